//! The planner's time.

pub(crate) mod growth;
