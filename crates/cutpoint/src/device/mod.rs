//! The device's side of a run: it computes prefixes while the uplink carries the tensors of earlier
//! jobs and the server computes their suffixes.

mod ahead;
mod cancel;
mod compute;
mod execute;
mod expected;
mod outbox;
mod prepare;
mod program;
mod session;
mod throttle;

pub use cancel::Cancel;
pub use execute::{ExecuteOptions, OUTBOX_BYTES_MAX, execute};
pub use prepare::{Device, Prepared};
pub use program::{JobProgram, Program, SegmentLayers, Send, Step, StepWork};
pub use session::{Fallback, Session};
pub use throttle::{SpeedFraction, Stint};
