//! What was planned and what happened: the record of a run, and its trace.

mod chrome;
mod execution;
mod read;

pub(crate) use chrome::lanes;
pub use chrome::{chrome_trace, label};
pub use execution::{
    Execution, PlanChange, RECORDED_JOBS_MAX, Waits, busy_share_of_span, utilisation,
};
pub use read::{TRACE_BYTES_MAX, read_measured};
