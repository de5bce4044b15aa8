//! The lower convex hull of a model's cuts in the plane of device time and uplink time.
//!
//! Cuts off the hull matter only through a term that does not grow with the number of jobs. Where
//! uplink times grow as 1 / bandwidth, the same cuts are on the hull at every bandwidth, and only
//! the point where the hull meets "device time = uplink time" moves.
//!
//! Source: theory of the parametric minimum cut, Theorem 4 and section 5.7.

use crate::cut::LayerSet;
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
    let mut modes: Vec<&Mode> = class.modes.iter().collect();
    modes.sort_by_key(|m| (m.device, m.uplink, m.server));
    let mut vertices: Vec<&Mode> = Vec::new();
    for mode in modes {
        if vertices.last().is_some_and(|last| mode.uplink >= last.uplink) {
            continue;
        }
        while let [.., a, b] = vertices.as_slice()
            && !is_below(a, b, mode)
        {
            vertices.pop();
        }
        vertices.push(mode);
    }
    vertices.into_iter().map(|mode| hull_cut(workload, class, mode)).collect()
}

/// Whether `b` is below the line from `a` to `c`.
fn is_below(a: &Mode, b: &Mode, c: &Mode) -> bool {
    let run = |from: &Mode, to: &Mode| i128::from((to.device - from.device).nanoseconds());
    let fall = |from: &Mode, to: &Mode| i128::from((from.uplink - to.uplink).nanoseconds());
    fall(a, b) * run(a, c) > fall(a, c) * run(a, b)
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
