//! The device's side of a run: it computes prefixes while the uplink carries the tensors of earlier
//! jobs and the server computes their suffixes.

mod arrivals;
mod batch;
mod cancel;
mod control;
mod event;
mod executor;
mod inputs;
mod job;
mod monitor;
mod options;
mod planner;
mod prepared;
mod program;
mod recorder;
mod state;
mod supervisor;
mod tensor_checks;
mod threads;
mod throttle;
mod uplink_times;

#[cfg(test)]
mod tests;

pub use arrivals::{Arrival, Arrivals, JOBS_IN_SYSTEM_MAX, Waits};
pub use batch::Batch;
pub use cancel::Cancel;
pub use control::{Control, Inbox};
pub use executor::Executor;
pub use options::{Access, Connection, ExecuteOptions, HELD_BYTES_MAX, ServerLink};
pub use planner::{PlanChange, Planned, Planner, Reach, Standing};
pub use prepared::{Device, LoadedSuffix, Prepared, SuffixContent, Suffixes};
pub use program::{
    JobProgram, Program, SegmentLayers, Segments, Send, Step, StepWork, segments_for,
};
pub use state::jobs::Fallback;
pub use throttle::{ComputeClock, SpeedFraction, Stint};
