//! The threads of a run. They share the monitor, and report to the executor in events.

pub(crate) mod compute;
pub(crate) mod load_inputs;
pub(crate) mod receive;
pub(crate) mod send;
