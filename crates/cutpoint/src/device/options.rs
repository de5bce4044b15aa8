//! How to execute: limits, the way to the server, and the jobs.

use super::arrivals::Arrivals;
use super::cancel::Cancel;
use crate::error::Result;
use crate::input::Supply;
use crate::link::{StreamReceiver, StreamSender};
use cutpoint_plan::units::{Bandwidth, Time};
use std::sync::Arc;
use std::time::Duration;

/// As a rule this is the most of tensors that wait for the uplink before the device waits too, and as
/// much may be sent and not answered before the uplink waits.
pub const HELD_BYTES_MAX: usize = 256 << 20;

/// How often it is looked whether the receiver is still needed, and whether the run is cancelled.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Both ends of a stream of jobs.
pub type Connection = (StreamSender, StreamReceiver);

/// How to execute.
#[derive(Clone, Debug)]
pub struct ExecuteOptions {
    /// A server that owes a reply and says nothing for so long is lost.
    pub patience: Duration,
    /// The round trip of the link, for the time at which the server's work is drawn.
    pub round_trip: Time,
    /// Whether a change of the uplink's bandwidth makes a new plan.
    pub follows_link: bool,
    /// The most bytes of tensors that wait for the uplink, and as many that were sent and whose jobs
    /// are not answered. A single job may have more.
    pub held_bytes_max: usize,
    /// Stops the run.
    pub cancel: Cancel,
}

/// The jobs of a run.
pub enum Jobs<'a> {
    /// All are there: one set of inputs for each job of the plan that was prepared, which is asked
    /// for shortly before the job begins.
    AllThere(&'a dyn Supply),
    /// They arrive over time. Each is planned as it arrives, by the planner.
    Arriving(&'a mut dyn Arrivals),
}

/// The way to the server.
pub struct ServerLink {
    /// The connection.
    pub connection: Connection,
    /// Makes another one after that is lost, with all suffixes loaded; takes as long as it takes.
    pub call: Arc<dyn Fn() -> Result<Connection> + Send + Sync>,
    /// Sends so many bytes that are of no use, and says how long they took on the uplink.
    pub probe: Probe,
    /// Learns the bandwidth that plans reckon with.
    pub expect: Arc<dyn Fn(Bandwidth) + Send + Sync>,
}

/// Sends bytes that are of no use, to learn how long they take on the uplink.
pub type Probe = Arc<dyn Fn(u64) -> Result<Duration> + Send + Sync>;
