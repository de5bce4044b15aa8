//! The parts of a program.

use crate::encoding::Encoding;
use cutpoint_plan::plan::Partition;
use cutpoint_plan::workload::{JobId, LayerId, ModelId, TensorId};
use std::sync::Arc;

/// The label of a layer that the device does not run for a job.
pub(super) const NEVER: u32 = u32::MAX;

/// For each model of a workload, its segments in an order in which each only reads from earlier
/// ones. Together they hold every layer once.
pub type Segments = Arc<Vec<Vec<SegmentLayers>>>;

/// What the device has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What is loaded.
    pub segments: Segments,
    /// What the compute thread does, in order.
    pub steps: Vec<Step>,
    /// What the sender does, in order.
    pub sends: Vec<Send>,
    /// For each job, what must happen before it is complete.
    pub jobs: Vec<JobProgram>,
}

/// The layers of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentLayers {
    /// In topological order.
    pub layers: Vec<LayerId>,
    /// Whether the plan has the device run it for some job; if not, it is needed only when the
    /// server is lost.
    pub is_planned: bool,
}

/// What the device does for one job without interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub job: JobId,
    /// What.
    pub work: StepWork,
    /// Tensors that may leave after this step.
    pub departs: Vec<TensorId>,
    /// Tensors that nobody needs after this step.
    pub drops: Vec<TensorId>,
    /// Whether this is the last step of its job.
    pub is_last: bool,
}

/// The work of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepWork {
    /// Some layers.
    Layers {
        /// Positions in the model's list of segments.
        segments: Vec<usize>,
        /// The layers, in the order of the plan.
        layers: Vec<LayerId>,
    },
    /// Bringing a tensor into an encoding.
    Encode(TensorId, Encoding),
}

/// One tensor that crosses the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// Whose.
    pub job: JobId,
    /// Which.
    pub tensor: TensorId,
    /// Its position among the job's tensors that cross the link, in the order they are sent.
    pub part: usize,
    /// How many tensors of this job cross the link.
    pub parts: usize,
    /// Whether it may leave from the start as it is; it does not pass through the outbox.
    pub is_there: bool,
}

/// What one job consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobProgram {
    /// Which.
    pub job: JobId,
    /// Its model.
    pub model: ModelId,
    /// Where it is cut.
    pub partition: Arc<Partition>,
    /// Whether it has steps on the device.
    pub has_steps: bool,
    /// Whether the server has a part in it.
    pub is_offloaded: bool,
    /// The name of its suffix on the server, once that is loaded.
    pub suffix: Option<Arc<str>>,
    /// The segments that the server runs in its place: those the device runs if the server is lost.
    pub server_segments: Vec<usize>,
}
