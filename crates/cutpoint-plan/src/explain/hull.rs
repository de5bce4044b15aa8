//! The cuts of a model on the lower hull of device and uplink time, for people to read.

use crate::cut::LayerSet;
use crate::hull::lower_hull;
use crate::plan::Upload;
use crate::problem::{Class, Mode};
use crate::units::Time;
use crate::workload::Workload;

/// A cut on the hull.
#[derive(Clone, Debug)]
pub(super) struct HullCut {
    pub(super) layers: LayerSet,
    pub(super) layer_count: usize,
    pub(super) uploads: Vec<Upload>,
    pub(super) device: Time,
    pub(super) uplink: Time,
    /// Bytes on the uplink.
    pub(super) bytes: u64,
    /// The bandwidth at which uplink time equals device time, if there is one.
    pub(super) balanced_mbps: Option<f64>,
}

/// The hull of one model's cuts, by increasing device time. O(K log K) in the number of cuts.
pub(super) fn hull(workload: &Workload, class: &Class<'_>) -> Vec<HullCut> {
    let vertices = lower_hull(&class.modes, |mode| (mode.device, mode.uplink));
    vertices.into_iter().map(|m| hull_cut(workload, class, &class.modes[m])).collect()
}

fn hull_cut(workload: &Workload, class: &Class<'_>, mode: &Mode) -> HullCut {
    let model = class.pricer.model;
    let size = |upload: &Upload| model.tensors[upload.tensor.index()].sent_bytes(upload.encoding);
    let bytes = mode.uploads.iter().map(size).sum::<u64>();
    let overhead: Time = mode.uploads.iter().map(|_| workload.link.message_overhead).sum();
    let seconds = mode.device.saturating_sub(overhead).nanoseconds() as f64 / 1e9;
    let is_balanced = bytes > 0 && seconds > 0.0;
    HullCut {
        layers: mode.layers.clone(),
        layer_count: model.layers.len(),
        uploads: mode.uploads.clone(),
        device: mode.device,
        uplink: mode.uplink,
        bytes,
        balanced_mbps: is_balanced.then(|| bytes as f64 * 8.0 / 1e6 / seconds),
    }
}
