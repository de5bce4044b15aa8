//! Messages from the threads of a run to the executor.

use super::options::{Connection, ServerLink};
use super::planner::Planned;
use crate::error::{Error, Result};
use crate::input::Inputs;
use crate::tensor::Tensor;
use cutpoint_plan::plan::Operation;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, ModelId};
use std::time::{Duration, Instant};

/// A report of a thread, or a command.
pub(crate) enum Event {
    /// A machine has done something.
    Operation(Operation),
    /// A tensor has left.
    Transferred(Transferred),
    /// By its answer, the server had all of a job at this time, up to a constant offset per
    /// connection, which has this number.
    Arrived(JobId, u32, Time),
    /// The device's planned part, or the server's part, of a job is done, with these outputs.
    Part(JobId, Vec<(String, Tensor)>, Time),
    /// All parts of a job are done.
    Ended(JobId),
    /// A job cannot be computed.
    Failed(JobId, Error),
    /// A job was cancelled.
    Cancelled(JobId),
    /// The server was called after it was lost.
    Called(Result<Connection>),
    /// The result of a probe on the connection with this number.
    Probed(u32, Result<Duration>),
    /// The state has changed.
    Changed,
    /// A command to the run.
    Command(Command),
    /// A thread has nothing more to do.
    ThreadEnded,
}

/// A tensor that has left.
pub(crate) struct Transferred {
    pub(crate) operation: Operation,
    pub(crate) connection: u32,
    /// Its bytes as it is.
    pub(crate) raw: u64,
    /// Its bytes in the form in which it was sent.
    pub(crate) sent: u64,
}

/// A command to a run while it works.
pub(crate) enum Command {
    Submit { job: JobId, model: ModelId, inputs: Inputs, at: Instant },
    Cancel(JobId),
    CancelAll,
    Plan(Option<Planned>),
    Connect(ServerLink),
    Disconnect,
    Close,
}
