//! All cuts of a model, by trying every set of its layers.

use cutpoint_plan::workload::{Link, ModelGraph, TensorId};

/// One cut as work: layers that stay on the device, each after those it reads from, and the times
/// at which they set tensors free for the uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The work of the device; first the model's inputs, which take no time.
    pub steps: Vec<Step>,
}

/// A layer on the device, or an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Device time.
    pub device: u64,
    /// Uplink time of all its tensors that are sent.
    pub uplink: u64,
    /// Positions in [`Cut::steps`] that come before.
    pub after: Vec<usize>,
}

impl Cut {
    pub(super) fn device(&self) -> u64 {
        self.steps.iter().map(|s| s.device).sum()
    }

    pub(super) fn uplink(&self) -> u64 {
        self.steps.iter().map(|s| s.uplink).sum()
    }
}

/// Every cut whose tensors get through the link.
pub(super) fn cuts(model: &ModelGraph, link: &Link) -> Vec<Cut> {
    let sets = (0..1u32 << model.layers.len()).map(|bits| {
        let kept: Vec<bool> = (0..model.layers.len()).map(|l| bits >> l & 1 == 1).collect();
        kept
    });
    sets.filter(|kept| is_closed(model, kept)).filter_map(|kept| cut(model, link, &kept)).collect()
}

/// Whether every layer that is kept reads only from layers that are kept.
fn is_closed(model: &ModelGraph, kept: &[bool]) -> bool {
    let is_made = |t: &TensorId| model.tensors[t.index()].producer.is_none_or(|p| kept[p.index()]);
    let mut layers = model.layers.iter().zip(kept);
    layers.all(|(layer, &is_kept)| !is_kept || layer.reads.iter().all(is_made))
}

/// The steps of a cut; `None` if some tensor never gets through.
fn cut(model: &ModelGraph, link: &Link, kept: &[bool]) -> Option<Cut> {
    // What is sent of each layer, and last of the inputs together: they are there from the start.
    let inputs = model.layers.len();
    let mut uplink = vec![0u64; inputs + 1];
    for tensor in &model.tensors {
        let is_here = tensor.producer.is_none_or(|p| kept[p.index()]);
        let is_wanted = tensor.readers.iter().any(|r| !kept[r.index()]);
        if is_here && is_wanted {
            let time = link.uplink.transfer_time(tensor.bytes)? + link.message_overhead;
            uplink[tensor.producer.map_or(inputs, |p| p.index())] += time.nanoseconds();
        }
    }
    let mut steps = vec![Step { device: 0, uplink: uplink[inputs], after: Vec::new() }];
    let mut position = vec![None; model.layers.len()];
    for &id in model.topological.iter().filter(|id| kept[id.index()]) {
        let layer = &model.layers[id.index()];
        let producers = layer.reads.iter().filter_map(|t| model.tensors[t.index()].producer);
        let after = producers.map(|p| position[p.index()].expect("kept, and earlier in the order"));
        let after = after.collect();
        position[id.index()] = Some(steps.len());
        let device = layer.device.nanoseconds();
        steps.push(Step { device, uplink: uplink[id.index()], after });
    }
    Some(Cut { steps })
}
