//! What a session works with, and how plans are executed.

use crate::device::{Cancel, HELD_BYTES_MAX};
use crate::onnx::LayeredModel;
use std::sync::Arc;
use std::time::Duration;

/// A model of a run.
#[derive(Clone)]
pub struct RunModel {
    /// Its name in the workload and on the server.
    pub name: String,
    /// The model.
    pub model: Arc<LayeredModel>,
}

/// How a plan is executed.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// A server that owes a reply and says nothing for so long is given up.
    pub patience: Duration,
    /// The most bytes of tensors that wait for the uplink, and as many that the device keeps of what
    /// was sent until the server has answered.
    pub held_bytes_max: usize,
    /// Stops the run.
    pub cancel: Cancel,
}

impl Default for RunOptions {
    /// Half a minute of patience, and [`HELD_BYTES_MAX`].
    fn default() -> RunOptions {
        RunOptions {
            patience: Duration::from_secs(30),
            held_bytes_max: HELD_BYTES_MAX,
            cancel: Cancel::new(),
        }
    }
}
