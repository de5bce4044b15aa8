//! Whole paths through the module: read, layers, segments, and the results of running them.

mod cuts;
mod layers;
mod networks;
mod quantised_segments;
mod random;
mod reading;
pub(crate) mod small;
