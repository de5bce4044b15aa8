//! How a plan is executed, and the way to the server.

use super::cancel::Cancel;
use crate::error::Result;
use crate::link::{StreamReceiver, StreamSender};
use cutpoint_plan::units::Bandwidth;
use std::sync::Arc;
use std::time::Duration;

/// As a rule this is the most of tensors that wait for the uplink before the device waits too, and as
/// much may be sent and not answered before the uplink waits.
pub(crate) const HELD_BYTES_MAX: usize = 256 << 20;

/// How often it is looked whether the receiver is still needed, and whether the run is cancelled.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Both ends of a stream of jobs.
pub(crate) type Connection = (StreamSender, StreamReceiver);

/// How a plan is executed.
#[derive(Clone, Debug)]
pub(crate) struct RunOptions {
    /// A server that owes a reply and says nothing for so long is lost.
    pub(crate) patience: Duration,
    /// Whether a change of the uplink's bandwidth makes a new plan, where there is a planner.
    pub(crate) follows_link: bool,
    /// The most bytes of tensors that wait for the uplink, and as many that were sent and whose jobs
    /// are not answered. A single job may have more.
    pub(crate) held_bytes_max: usize,
    /// Stops the run.
    pub(crate) cancel: Cancel,
}

impl Default for RunOptions {
    /// Half a minute of patience, and 256 MiB; a planner follows the link.
    fn default() -> RunOptions {
        RunOptions {
            patience: Duration::from_secs(30),
            follows_link: true,
            held_bytes_max: HELD_BYTES_MAX,
            cancel: Cancel::new(),
        }
    }
}

/// The way to the server.
pub(crate) struct ServerLink {
    /// The connection.
    pub(crate) connection: Connection,
    /// What can be done about it.
    pub(crate) access: Access,
}

/// What can be done about the way to the server.
#[derive(Clone)]
pub(crate) struct Access {
    /// Makes another connection after one is lost, with all suffixes loaded. Blocks.
    pub(crate) call: Arc<dyn Fn() -> Result<Connection> + Send + Sync>,
    /// Sends a probe of the given size; returns how long it took on the uplink. Blocks.
    pub(crate) probe: Arc<dyn Fn(u64) -> Result<Duration> + Send + Sync>,
    /// Learns the bandwidth that plans reckon with.
    pub(crate) expect: Arc<dyn Fn(Bandwidth) + Send + Sync>,
}
