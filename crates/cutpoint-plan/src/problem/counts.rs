//! How many jobs take each mode.

/// For each class, how many of its jobs take each mode.
pub(crate) type Counts = Vec<Vec<u64>>;
