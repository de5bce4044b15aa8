//! The whole path for a program of the user's own: load models, measure them, plan, run.
//!
//! ```text
//! Model::load ─► Session::open ─► Session::profile ─► Profile::plan ─► Session::run
//! ```
//!
//! A [`Session`] is a device with its models, and the server it is connected to, if any. A
//! [`Profile`] is what was measured; [`Profile::plan`] makes a [`PlannedRun`] for any number of jobs
//! without touching the world; [`Session::run`] executes that, as often as the program likes.
//!
//! Every call that takes long has two forms. The blocking one is for plain threads, and panics
//! within an asynchronous runtime if the session has a server; the other gives a [`Running`], a
//! future that needs no particular runtime. A run can be cancelled with a
//! [`Cancel`](crate::device::Cancel), or by dropping its future: it stops after the operation in
//! progress and leaves nothing running.
//!
//! Below this module are its parts, for programs that want less or more of them: [`crate::server`] is the other end.

mod device_side;
mod generic_server;
mod measurement;
mod model;
mod options;
mod outcome;
mod paced_times;
mod plan;
mod prepare;
mod rehearsal;
mod replan;
mod running;
mod server_models;
#[expect(clippy::module_inception, reason = "the room is named after what it holds")]
mod session;
mod stream;
mod summary;
mod workload;

pub use measurement::{EncodingRequest, Measurement, ProfileRequest};
pub use model::Model;
pub use options::{SessionModel, SessionOptions};
pub use outcome::{JobOutcome, Outcome, Outputs};
pub use plan::{PlannedRun, Profile};
pub use rehearsal::RehearsalOptions;
pub use running::Running;
pub use session::Session;

pub use stream::{Names, PATTERN_JOBS_MAX, Replay, StreamPlan, Watch};
pub use summary::{Change, FallbackCause, MachineUse, Percentiles, RunSummary, StreamSummary};
pub use workload::{MeasuredModel, measured_workload, parse_workload};

#[cfg(test)]
#[cfg(all(feature = "rten", feature = "onnxruntime", feature = "server"))]
pub(crate) mod tests;
