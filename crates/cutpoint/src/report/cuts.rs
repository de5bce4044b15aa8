//! Which cuts a plan uses, each with a letter, so that every chart can speak of the same ones.

use super::text::label;
use cutpoint_plan::explain::{self, CutUse};
use cutpoint_plan::plan::{Partition, Plan, Upload};
use cutpoint_plan::units::{TIME_MAX, Time};
use cutpoint_plan::workload::{JobId, LayerId, Link, ModelGraph, ModelId, Workload};

/// One cut of one model, as some jobs use it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CutInUse {
    /// A, B, C and so on, along the model.
    pub letter: String,
    pub partition: Partition,
    /// Who uses it.
    pub jobs: Vec<JobId>,
    pub cost: CutCost,
}

/// The costs of one job at a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CutCost {
    /// f: layers and encodes on the device.
    pub device: Time,
    /// g: transfers on the uplink, the overhead of each message included.
    pub uplink: Time,
    /// Layers and decodes on the server.
    pub server: Time,
    /// The bytes that cross the uplink.
    pub bytes: u64,
}

impl CutInUse {
    /// The cut in words.
    pub(super) fn describe(&self, model: &ModelGraph) -> String {
        let name = |upload| label(self.upload_name(model, upload), 60);
        let kept = self.partition.device_layers.count();
        match (kept, self.partition.uploads.as_slice()) {
            (kept, _) if kept == model.layers.len() => "all on the device".to_owned(),
            (0, _) => "all on the server".to_owned(),
            (_, []) => format!("{kept} of {} layers on the device", model.layers.len()),
            (_, [upload]) => format!("after {}", name(upload)),
            (_, [first, rest @ ..]) => {
                format!("after {} and {} more", name(first), rest.len())
            }
        }
    }

    fn upload_name<'m>(&self, model: &'m ModelGraph, upload: &Upload) -> &'m str {
        let tensor = &model.tensors[upload.tensor.index()];
        tensor.producer.map_or(&tensor.name, |layer| &model.layers[layer.index()].name)
    }

    /// The encodings of what is sent, each once.
    pub(super) fn encodings(&self, model: &ModelGraph) -> Vec<String> {
        let uploads = self.partition.uploads.iter();
        let encoding = |u: &Upload| Some(&model.tensors[u.tensor.index()].encodings[u.encoding?]);
        let mut names: Vec<String> =
            uploads.filter_map(encoding).map(|e| label(&e.name, 40)).collect();
        names.dedup();
        names
    }
}

/// The cuts that the jobs of `model` use, from the one that keeps least on the device to the one
/// that keeps most.
pub(super) fn cuts_in_use(workload: &Workload, plan: &Plan, id: ModelId) -> Vec<CutInUse> {
    let model = &workload.models()[id.index()];
    let uses = explain::cuts_in_use(workload, plan).into_iter().filter(|cut| cut.model == id);
    let cut = |CutUse { partition, jobs, .. }: CutUse<'_>| {
        let (letter, cost) = (String::new(), cut_cost(model, &workload.link(), partition));
        CutInUse { letter, partition: partition.clone(), jobs, cost }
    };
    let mut cuts: Vec<CutInUse> = uses.map(cut).collect();
    cuts.sort_by_key(|c| (c.partition.device_layers.count(), c.cost.device));
    for (i, cut) in cuts.iter_mut().enumerate() {
        cut.letter = letter(i);
    }
    cuts
}

/// A to Z, then A1 to Z1, and so on.
fn letter(index: usize) -> String {
    let letter = char::from(b'A' + (index % 26) as u8);
    match index / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

/// What one job of `model` costs with `partition`; no time is longer than [`TIME_MAX`].
pub(super) fn cut_cost(model: &ModelGraph, link: &Link, partition: &Partition) -> CutCost {
    let mut cost = CutCost::default();
    for (l, layer) in model.layers.iter().enumerate() {
        if partition.device_layers.contains(LayerId::at(l)) {
            add(&mut cost.device, layer.device);
        } else {
            add(&mut cost.server, layer.server);
        }
    }
    for upload in &partition.uploads {
        let tensor = &model.tensors[upload.tensor.index()];
        let size = match upload.encoding {
            None => tensor.bytes,
            Some(e) => {
                let form = &tensor.encodings[e];
                add(&mut cost.device, form.encode);
                add(&mut cost.server, form.decode);
                form.bytes
            }
        };
        cost.bytes = cost.bytes.saturating_add(size);
        add(&mut cost.uplink, link.uplink.transfer_time(size).unwrap_or(TIME_MAX));
        add(&mut cost.uplink, link.message_overhead);
    }
    cost
}

fn add(sum: &mut Time, time: Time) {
    *sum = sum.checked_add(time).unwrap_or(TIME_MAX);
}
