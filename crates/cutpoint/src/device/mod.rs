//! The device's side of a run: it computes prefixes while the uplink carries the tensors of earlier
//! jobs and the server computes their suffixes.

mod agenda;
mod ahead;
mod backlog;
mod cancel;
mod collected;
mod compute;
mod crossing;
mod delivery;
mod drift;
mod execute;
mod expected;
mod plan_anew;
mod prepare;
mod probing;
mod program;
mod session;
mod shared;
mod source;
mod supervise;
mod throttle;
mod transfer;
mod unanswered;

pub use cancel::Cancel;
pub use drift::Drift;
pub use execute::{Connection, ExecuteOptions, HELD_BYTES_MAX, Jobs, Probe, Server, execute};
pub use plan_anew::{PlanChange, Planned, Planner, Reach, Standing};
pub use prepare::{Device, LoadedSuffix, Prepared, SuffixContent, Suffixes};
pub use program::{
    JobProgram, Program, SegmentLayers, Segments, Send, Step, StepWork, segments_for,
};
pub use session::{Fallback, Session};
pub use source::{Arrival, JOBS_IN_SYSTEM_MAX, Source, Waits};
pub use throttle::{ComputeClock, SpeedFraction, Stint};
