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

/// The work of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The segments to load.
    pub segments: Segments,
    /// The steps of the compute thread, in order.
    pub steps: Vec<Step>,
    /// The tensors that the sender sends, in order.
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

/// Work of the device for one job without interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The job.
    pub job: JobId,
    /// The work.
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
    /// The job.
    pub job: JobId,
    /// The tensor.
    pub tensor: TensorId,
    /// Its position among the job's tensors that cross the link, in the order they are sent.
    pub part: usize,
    /// How many tensors of this job cross the link.
    pub parts: usize,
    /// Whether it is an input sent raw, which needs no step on the device.
    pub is_there: bool,
}

/// The parts of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobProgram {
    /// The job.
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
