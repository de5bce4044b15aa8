//! From a plan's schedule to runs, labels, segments, departures and sends.

use super::steps::{NEVER, SegmentLayers, Send, Step, StepWork};
use crate::encoding::Encoding;
use crate::error::{Error, ErrorKind, Result};
use cutpoint_plan::options::Granularity;
use cutpoint_plan::plan::{Plan, Upload, Work};
use cutpoint_plan::workload::{JobId, LayerId, ModelGraph, TensorId, Workload};
use std::collections::{BTreeMap, BTreeSet};

/// Groups the plan's device operations into steps: a step ends where another job takes over, where a
/// tensor is encoded, and, at layer granularity, where a tensor leaves. Their segments, and what
/// departs and is dropped after them, are still open.
pub(super) fn steps_of(workload: &Workload, plan: &Plan) -> Result<Vec<Step>> {
    let leaves = |job: JobId, layer: LayerId| {
        let uploads = &plan.partitions[job.index()].uploads;
        let model = workload.model_of(job);
        plan.granularity == Granularity::Layer
            && uploads.iter().any(|u| model.tensors[u.tensor.index()].producer == Some(layer))
    };
    let mut steps: Vec<Step> = Vec::new();
    let mut is_open = false;
    for operation in &plan.schedule.device {
        let job = operation.job;
        let work = match operation.work {
            Work::Layer(layer) => {
                let was_open = std::mem::replace(&mut is_open, !leaves(job, layer));
                if let Some(Step { job: last, work: StepWork::Layers { layers, .. }, .. }) =
                    steps.last_mut().filter(|_| was_open)
                    && *last == job
                {
                    layers.push(layer);
                    continue;
                }
                StepWork::Layers { segments: Vec::new(), layers: vec![layer] }
            }
            Work::Encode(tensor) => {
                is_open = false;
                StepWork::Encode(tensor, encoding_of(workload, plan, job, tensor)?)
            }
            Work::Transfer(_) | Work::Suffix | Work::Download => continue,
        };
        let (departs, drops) = (Vec::new(), Vec::new());
        steps.push(Step { job, work, departs, drops, is_last: false });
    }
    // The last step of each job is the first one from the end.
    let mut is_over = vec![false; workload.jobs().len()];
    for step in steps.iter_mut().rev() {
        step.is_last = !std::mem::replace(&mut is_over[step.job.index()], true);
    }
    Ok(steps)
}

/// The encoding in which a plan sends a tensor.
fn encoding_of(workload: &Workload, plan: &Plan, job: JobId, tensor: TensorId) -> Result<Encoding> {
    let model = workload.model_of(job);
    let described = &model.tensors[tensor.index()];
    let mut uploads = plan.partitions[job.index()].uploads.iter();
    let chosen = uploads.find(|u| u.tensor == tensor).and_then(|u| u.encoding);
    let name = chosen.and_then(|e| described.encodings.get(e)).map_or("", |e| e.name.as_str());
    Encoding::from_name(name).ok_or_else(|| {
        let known = Encoding::names();
        let message = format!("unknown encoding {name:?}, expected one of {known}");
        let place = format!("tensor {:?} of model {:?}", described.name, model.name);
        Error::new(ErrorKind::Workload, message).at(place)
    })
}

/// Whether an upload is an input that leaves as it is.
fn is_raw_input(model: &ModelGraph, upload: &Upload) -> bool {
    upload.encoding.is_none() && model.tensors[upload.tensor.index()].producer.is_none()
}

/// Says after which step each tensor may leave: after the one that makes it as it is to be sent,
/// and at job granularity not before the job's last layer.
pub(super) fn add_departures(workload: &Workload, plan: &Plan, steps: &mut [Step]) {
    let mut last_layers = vec![None; workload.jobs().len()];
    for (number, step) in steps.iter().enumerate() {
        if matches!(step.work, StepWork::Layers { .. }) {
            last_layers[step.job.index()] = Some(number);
        }
    }
    let mut departures: Vec<(usize, TensorId)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let model = workload.model_of(step.job);
        let uploads = &plan.partitions[step.job.index()].uploads;
        let last = last_layers[step.job.index()];
        let earliest = match (plan.granularity, last) {
            (Granularity::Job, Some(last)) => number.max(last),
            _ => number,
        };
        match &step.work {
            StepWork::Encode(tensor, _) => departures.push((earliest, *tensor)),
            StepWork::Layers { layers, .. } => {
                let is_made_here = |upload: &&Upload| {
                    let producer = model.tensors[upload.tensor.index()].producer;
                    upload.encoding.is_none() && producer.is_some_and(|p| layers.contains(&p))
                };
                departures
                    .extend(uploads.iter().filter(is_made_here).map(|u| (earliest, u.tensor)));
            }
        }
        if plan.granularity == Granularity::Job && last == Some(number) {
            let inputs = uploads.iter().filter(|u| is_raw_input(model, u));
            departures.extend(inputs.map(|u| (number, u.tensor)));
        }
    }
    departures.into_iter().for_each(|(number, tensor)| steps[number].departs.push(tensor));
}

/// For each job, the label of each layer.
pub(super) fn labels_of(workload: &Workload, steps: &[Step]) -> Vec<Vec<u32>> {
    let mut labels: Vec<Vec<u32>> = workload
        .jobs()
        .iter()
        .map(|m| vec![NEVER; workload.models()[m.index()].layers.len()])
        .collect();
    let mut count = vec![0u32; workload.jobs().len()];
    for step in steps {
        let StepWork::Layers { layers, .. } = &step.work else { continue };
        let number = &mut count[step.job.index()];
        for layer in layers {
            labels[step.job.index()][layer.index()] = *number;
        }
        *number += 1;
    }
    labels
}

/// The layers of a model by their labels in all ways, sorted by labels.
pub(super) fn segments_of(model: &ModelGraph, ways: &BTreeSet<Vec<u32>>) -> Vec<SegmentLayers> {
    let mut by_labels: BTreeMap<Vec<u32>, Vec<LayerId>> = BTreeMap::new();
    for &layer in &model.topological {
        let key = ways.iter().map(|way| way[layer.index()]).collect();
        by_labels.entry(key).or_default().push(layer);
    }
    let segment = |(key, layers): (Vec<u32>, Vec<LayerId>)| {
        let is_planned = key.iter().any(|&label| label != NEVER);
        SegmentLayers { layers, is_planned }
    };
    by_labels.into_iter().map(segment).collect()
}

/// The tensors that nobody needs once run `number` of a job has ended: the last layer on the device
/// that reads or writes them is in that run, and they neither cross the link nor leave as outputs.
pub(super) fn drops_after(
    model: &ModelGraph,
    plan: &Plan,
    job: JobId,
    label: &[u32],
    number: u32,
) -> Vec<TensorId> {
    let uploads = &plan.partitions[job.index()].uploads;
    let last_use = |t: &TensorId| {
        let tensor = &model.tensors[t.index()];
        let users = tensor.readers.iter().chain(&tensor.producer);
        users.map(|l| label[l.index()]).filter(|&l| l != NEVER).max()
    };
    (0..model.tensors.len())
        .map(TensorId::at)
        .filter(|t| last_use(t) == Some(number))
        .filter(|t| !model.outputs.contains(t) && uploads.iter().all(|u| u.tensor != *t))
        .collect()
}

/// The plan's transfers, in order; `layer_runs` says how often each job has layers on the device.
pub(super) fn sends_of(workload: &Workload, plan: &Plan, layer_runs: &[u32]) -> Vec<Send> {
    let mut sent = vec![0usize; plan.partitions.len()];
    plan.schedule
        .uplink
        .iter()
        .filter_map(|operation| match operation.work {
            Work::Transfer(tensor) => {
                let job = operation.job;
                let part = sent[job.index()];
                sent[job.index()] += 1;
                let uploads = &plan.partitions[job.index()].uploads;
                let upload = uploads.iter().find(|u| u.tensor == tensor)?;
                let waits = plan.granularity == Granularity::Job && layer_runs[job.index()] > 0;
                let is_there = is_raw_input(workload.model_of(job), upload) && !waits;
                Some(Send { job, tensor, part, parts: uploads.len(), is_there })
            }
            _ => None,
        })
        .collect()
}
