//! Where other systems cut one job: Neurosurgeon (Kang and others 2017, doi:10.1145/3037697.3037698)
//! and DADS (Hu and others 2019, doi:10.1109/INFOCOM.2019.8737614).
//!
//! Neurosurgeon predicts for every cut point of a chain what one job takes, device, then link, then
//! server, and takes the least. Here it gets measured times where it has regression models, and
//! of a graph the cut points along the topological order.
//!
//! DADS cuts graphs. Its rule for light load takes the minimum cut for what one job takes; its rule
//! for heavy load makes the longest of the three stages short, which it solves within a factor of
//! three. Here both are solved by looking at every downward-closed cut, so DADS is never behind its
//! own algorithm. A model with too many cuts has those along its topological order.
//!
//! Both send each tensor in the form that takes least in all, and all jobs of a model are cut alike.

use cutpoint_plan::cut::{LayerSet, frontier, visit_cuts};
use cutpoint_plan::plan::{Partition, Upload};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{LayerId, Link, ModelGraph, TensorEncoding, TensorId, Workload};

/// Models with more cuts have only those along their order looked at.
const CUTS_MAX: usize = 20_000;

/// A rule for where to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Neurosurgeon,
    DadsLight,
    DadsHeavy,
}

/// The load of a cut on each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stages {
    device: Time,
    uplink: Time,
    server: Time,
}

impl Stages {
    fn sum(self) -> Time {
        self.device + self.uplink + self.server
    }

    fn longest(self) -> Time {
        self.device.max(self.uplink).max(self.server)
    }
}

/// The cut of each job of a model.
pub(super) fn partition(workload: &Workload, model: &ModelGraph, rule: Rule) -> Partition {
    let round_trip = workload.link().round_trip;
    let mut best: Option<((Time, Time), Partition)> = None;
    let mut consider = |layers: &LayerSet, sent: &[TensorId]| {
        let Some((stages, uploads)) = stages(&workload.link(), model, layers, sent) else {
            return true;
        };
        let is_whole = layers.count() == model.layers.len();
        let latency = stages.sum() + if is_whole { Time::ZERO } else { round_trip };
        let value = match rule {
            Rule::Neurosurgeon | Rule::DadsLight => (latency, stages.longest()),
            Rule::DadsHeavy => (stages.longest(), latency),
        };
        if best.as_ref().is_none_or(|(least, _)| value < *least) {
            best = Some((value, Partition { device_layers: layers.clone(), uploads }));
        }
        true
    };
    // Counting is cheap; a count that ends early means there are too many to look at.
    let is_few = rule != Rule::Neurosurgeon && visit_cuts(model, CUTS_MAX, |_, _| true);
    if is_few {
        visit_cuts(model, CUTS_MAX, consider);
    } else {
        let mut layers = LayerSet::none(model);
        consider(&layers, &frontier(model, &layers));
        for &layer in &model.topological {
            layers.insert(layer);
            consider(&layers, &frontier(model, &layers));
        }
    }
    let (_, partition) = best.expect("the device alone can do the work");
    partition
}

/// The stages of a cut and its uploads in their quickest forms; `None` if a transfer never ends.
fn stages(
    link: &Link,
    model: &ModelGraph,
    layers: &LayerSet,
    sent: &[TensorId],
) -> Option<(Stages, Vec<Upload>)> {
    let mut stages = Stages::default();
    for (l, layer) in model.layers.iter().enumerate() {
        match layers.contains(LayerId::at(l)) {
            true => stages.device += layer.device,
            false => stages.server += layer.server,
        }
    }
    let mut uploads = Vec::with_capacity(sent.len());
    for &tensor in sent {
        let (form, cost) = quickest_form(link, model, tensor)?;
        stages.device += cost.device;
        stages.uplink += cost.uplink;
        stages.server += cost.server;
        uploads.push(Upload { tensor, encoding: form });
    }
    Some((stages, uploads))
}

fn quickest_form(
    link: &Link,
    model: &ModelGraph,
    tensor: TensorId,
) -> Option<(Option<usize>, Stages)> {
    let described = &model.tensors[tensor.index()];
    let crossing = |bytes: u64| Some(link.uplink.transfer_time(bytes)? + link.message_overhead);
    let raw =
        crossing(described.bytes).map(|uplink| (None, Stages { uplink, ..Stages::default() }));
    let encoded = |(e, form): (usize, &TensorEncoding)| {
        let uplink = crossing(form.bytes)?;
        Some((Some(e), Stages { device: form.encode, uplink, server: form.decode }))
    };
    let forms = described.encodings.iter().enumerate().filter_map(encoded);
    raw.into_iter().chain(forms).min_by_key(|(_, stages)| stages.sum())
}
