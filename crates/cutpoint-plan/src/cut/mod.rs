//! Cuts: which layers of a job stay on the device.

pub(crate) mod closed_sets;
pub(crate) mod frontier;
mod layer_set;

pub use closed_sets::visit_cuts;
pub use frontier::frontier;
#[cfg(test)]
pub(crate) use frontier::is_downward_closed;
pub use layer_set::LayerSet;
