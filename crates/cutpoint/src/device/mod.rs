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

pub use arrivals::{Arrival, Arrivals};
pub use cancel::Cancel;
pub use planner::Planned;
pub use prepared::Prepared;
pub use program::{JobProgram, Program, SegmentLayers, Segments, Send, Step, StepWork};
pub use throttle::SpeedFraction;

pub(crate) use batch::Batch;
pub(crate) use control::Inbox;
pub(crate) use executor::Executor;
pub(crate) use monitor::time_of;
#[cfg(test)]
pub(crate) use options::HELD_BYTES_MAX;
pub(crate) use options::{Access, Connection, RunOptions, ServerLink};
pub(crate) use planner::{Planner, Standing};
pub(crate) use prepared::{Device, Loaded, LoadedSuffix, SuffixContent, Suffixes};
pub(crate) use program::segments_for;
pub(crate) use throttle::{ComputeClock, Stint};
