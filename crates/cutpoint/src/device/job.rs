//! A job, as it is planned.

use super::inputs::JobInputs;
use cutpoint_plan::plan::Partition;
use cutpoint_plan::workload::ModelId;
use std::sync::Arc;

/// A job that has not ended, as it is planned.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) model: ModelId,
    pub(crate) partition: Arc<Partition>,
    pub(crate) inputs: Arc<JobInputs>,
    pub(crate) is_offloaded: bool,
    /// What the device runs if the server is lost.
    pub(crate) server_segments: Vec<usize>,
    /// The name of its suffix on the server, if that has a part in it.
    pub(crate) suffix: Option<Arc<str>>,
}
