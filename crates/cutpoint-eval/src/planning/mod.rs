//! The planner's time.

pub(crate) mod growth;
pub(crate) mod speed;
