//! Whole paths through the module: read, layers, segments, and the results of running them.

mod cuts;
mod encoded;
mod layers;
mod networks;
mod random;
mod reading;
pub(crate) mod small;
