//! Random workloads and plain plans for tests of everything that reads them.

use crate::cut::LayerSet;
use crate::format::write_workload;
use crate::instances::Shape;
use crate::options::{Granularity, Objective, Policy};
use crate::plan::{Operation, Partition, Plan, Schedule, Upload, Work};
use crate::units::{Bandwidth, Time};
use crate::workload::{
    JobId, JobRun, LayerBuilder, Link, ModelBuilder, ModelGraph, Size, TensorEncoding, TensorId,
    Workload, WorkloadBuilder,
};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::num::NonZeroU32;

/// Workloads of up to 3 models with up to 6 layers and up to 6 jobs, with everything that the
/// format has: several inputs and outputs, encodings, executors, downlink, delays.
pub(crate) fn arb_workload() -> impl Strategy<Value = Sample> {
    any::<u64>().prop_map(|seed| Sample(random_workload(&mut ChaCha8Rng::seed_from_u64(seed))))
}

/// A workload that is printed as the file it would be, ready for testdata/.
pub(crate) struct Sample(pub(crate) Workload);

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut json = Vec::new();
        write_workload(&self.0, &mut json).map_err(|_| fmt::Error)?;
        f.write_str(&String::from_utf8_lossy(&json))
    }
}

fn random_workload(rng: &mut ChaCha8Rng) -> Workload {
    let names: Vec<String> = (0..rng.random_range(1..=3)).map(|i| format!("model{i}")).collect();
    let models = names.iter().map(|name| random_model(rng, name)).collect();
    let jobs = (0..rng.random_range(1..=3)).map(|_| JobRun {
        model: names[rng.random_range(0..names.len())].clone(),
        count: rng.random_range(0..=2u64),
    });
    let jobs = jobs.collect();
    let mbps = |mbps| Bandwidth::from_mbit_per_s(mbps).expect("positive and finite");
    let builder = WorkloadBuilder {
        link: Link {
            uplink: mbps(*pick(rng, &[1.1, 5.85, 18.88])),
            downlink: pick(rng, &[None, Some(3.0), Some(40.0)]).map(mbps),
            round_trip: time(*pick(rng, &[0.0, 5.0, 0.000_003])),
            message_overhead: time(*pick(rng, &[0.0, 0.25])),
        },
        executors: NonZeroU32::new(*pick(rng, &[0, 0, 1, 2])),
        models,
        jobs,
    };
    builder.build().expect("the generator keeps the rules")
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.random_range(0..choices.len())]
}

fn random_size(rng: &mut ChaCha8Rng) -> Size {
    let bytes = rng.random_range(0..200_000u64);
    let encodings = (0..rng.random_range(0..=2)).map(|i| TensorEncoding {
        name: format!("form{i}"),
        bytes: rng.random_range(0..=bytes),
        encode: time(random_ms(rng)),
        decode: time(random_ms(rng)),
    });
    Size { bytes, encodings: encodings.collect() }
}

fn time(milliseconds: f64) -> Time {
    Time::from_milliseconds(milliseconds).expect("neither negative nor long")
}

fn random_ms(rng: &mut ChaCha8Rng) -> f64 {
    match rng.random_range(0..4) {
        0 => 0.0,
        1 => f64::from(rng.random_range(0..20u32)),
        _ => f64::from(rng.random_range(0..20_000_000u32)) / 1e6,
    }
}

fn random_model(rng: &mut ChaCha8Rng, name: &str) -> ModelBuilder {
    let inputs: Vec<String> = (0..rng.random_range(1..=2)).map(|i| format!("in{i}")).collect();
    let mut tensors = inputs.clone();
    let mut layers = Vec::new();
    for i in 0..rng.random_range(0..=6) {
        let reads = (0..rng.random_range(0..=2)).map(|_| pick(rng, &tensors).clone()).collect();
        let written: Vec<_> = (0..rng.random_range(0..=2)).map(|k| format!("t{i}.{k}")).collect();
        let writes = written.iter().map(|name| (name.clone(), random_size(rng))).collect();
        let (device, server) = (time(random_ms(rng)), time(random_ms(rng) / 4.0));
        layers.push(LayerBuilder { name: format!("layer{i}"), reads, writes, device, server });
        tensors.extend(written);
    }
    // The file need not be in topological order.
    layers.reverse();
    let outputs = rng.random_bool(0.3).then(|| vec![pick(rng, &tensors).clone()]);
    let inputs = inputs.into_iter().map(|name| (name, random_size(rng))).collect();
    ModelBuilder { name: name.to_owned(), inputs, outputs, layers }
}

/// A valid plan with random cuts and encodings: jobs in the order of the workload, each machine
/// first come, first served, every operation as early as that order allows.
pub(crate) fn list_plan(workload: &Workload, granularity: Granularity, seed: u64) -> Plan {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut device = Lane::default();
    let (mut partitions, mut sends, mut completions) = (Vec::new(), Vec::new(), Vec::new());
    for job in (0..workload.jobs.len()).map(JobId::at) {
        let model = workload.model_of(job);
        let partition = random_partition(model, &mut rng);
        let mut ready = device.run_job(job, model, &partition);
        if granularity == Granularity::Job {
            ready.iter_mut().for_each(|at| *at = (*at).max(device.last_layer_end));
        }
        let all = partition.uploads.iter().zip(&ready);
        sends.extend(all.map(|(upload, &ready)| (ready, job, upload.clone())));
        completions.push(device.last_layer_end);
        partitions.push(partition);
    }
    sends.sort_by_key(|&(ready, job, _)| (ready, job));
    let (mut uplink, link) = (Lane::default(), &workload.link);
    let mut arrivals: Vec<_> = vec![Time::ZERO; workload.jobs.len()];
    for (ready, job, upload) in sends {
        let tensor = &workload.model_of(job).tensors[upload.tensor.index()];
        let bytes = upload.encoding.map_or(tensor.bytes, |e| tensor.encodings[e].bytes);
        let time = link.uplink.transfer_time(bytes).unwrap() + link.message_overhead;
        let end = uplink.add(job, Work::Transfer(upload.tensor), ready, time);
        arrivals[job.index()] = end + link.round_trip.half();
    }
    let (server, downlink) = serve(workload, &partitions, &arrivals, &mut completions);
    let makespan = completions.iter().copied().max().unwrap_or_default();
    let schedule =
        Schedule { device: device.operations, uplink: uplink.operations, server, downlink };
    let policy = Policy::PartitionOnly;
    let lower_bound = Time::ZERO;
    let optimal = makespan == Time::ZERO;
    Plan {
        policy,
        granularity,
        objective: Objective::Makespan,
        period: None,
        partitions,
        schedule,
        completions,
        makespan,
        lower_bound,
        optimal,
    }
}

fn random_partition(model: &ModelGraph, rng: &mut ChaCha8Rng) -> Partition {
    let mut device_layers = LayerSet::none(model);
    let likely = *pick(rng, &[0.0, 0.5, 0.8, 1.0]);
    for &layer in &model.topological {
        let producers = model.layers[layer.index()].reads.iter();
        let mut producers = producers.filter_map(|t| model.tensors[t.index()].producer);
        if producers.all(|p| device_layers.contains(p)) && rng.random_bool(likely) {
            device_layers.insert(layer);
        }
    }
    let frontier = crate::cut::frontier(model, &device_layers).into_iter();
    let uploads = frontier.map(|tensor| {
        let forms = model.tensors[tensor.index()].encodings.len();
        let encoding = rng.random_range(0..=forms).checked_sub(1);
        Upload { tensor, encoding }
    });
    Partition { uploads: uploads.collect(), device_layers }
}

#[derive(Default)]
struct Lane {
    operations: Vec<Operation>,
    free: Time,
    last_layer_end: Time,
}

impl Lane {
    fn add(&mut self, job: JobId, work: Work, ready: Time, time: Time) -> Time {
        let start = self.free.max(ready);
        self.free = start + time;
        self.operations.push(Operation { job, work, start, end: self.free });
        self.free
    }

    /// Each layer and, behind it, the encodes of what it writes; gives when each upload is ready.
    fn run_job(&mut self, job: JobId, model: &ModelGraph, partition: &Partition) -> Vec<Time> {
        let mut ready = vec![Time::ZERO; partition.uploads.len()];
        self.last_layer_end = Time::ZERO;
        let on_device = model.topological.iter().filter(|l| partition.device_layers.contains(**l));
        let steps = std::iter::once(None).chain(on_device.map(|&layer| Some(layer)));
        for step in steps {
            if let Some(layer) = step {
                let time = model.layers[layer.index()].device;
                self.last_layer_end = self.add(job, Work::Layer(layer), Time::ZERO, time);
            }
            for (upload, ready) in partition.uploads.iter().zip(&mut ready) {
                let tensor = &model.tensors[upload.tensor.index()];
                if tensor.producer != step {
                    continue;
                }
                *ready = if step.is_some() { self.free } else { Time::ZERO };
                if let Some(encoding) = upload.encoding {
                    let time = tensor.encodings[encoding].encode;
                    *ready = self.add(job, Work::Encode(upload.tensor), Time::ZERO, time);
                }
            }
        }
        ready
    }
}

/// Server and downlink; completions of jobs with a suffix become later.
fn serve(
    workload: &Workload,
    partitions: &[Partition],
    arrivals: &[Time],
    completions: &mut [Time],
) -> (Vec<Operation>, Vec<Operation>) {
    let has_suffix = |&job: &usize| {
        partitions[job].device_layers.count() < workload.model_of(JobId::at(job)).layers.len()
    };
    let mut order: Vec<usize> = (0..arrivals.len()).filter(has_suffix).collect();
    order.sort_by_key(|&job| arrivals[job]);
    let executors = workload.executors.map_or(order.len(), |n| n.get() as usize);
    let mut free = vec![Time::ZERO; executors];
    let (mut server, mut downlink) = (Vec::new(), Lane::default());
    for &index in &order {
        let job = JobId::at(index);
        let (model, partition) = (workload.model_of(job), &partitions[index]);
        let remote = (0..model.layers.len())
            .filter(|&l| !partition.device_layers.contains(crate::workload::LayerId::at(l)));
        let decode = partition
            .uploads
            .iter()
            .filter_map(|u| Some(model.tensors[u.tensor.index()].encodings[u.encoding?].decode));
        let time = remote.map(|l| model.layers[l].server).sum::<Time>() + decode.sum();
        let slot = free.iter_mut().min().expect("one for each job, or at least one");
        let start = arrivals[index].max(*slot);
        *slot = start + time;
        server.push(Operation { job, work: Work::Suffix, start, end: *slot });
    }
    server.sort_by_key(|op| op.start);
    let mut blocks = server.clone();
    blocks.sort_by_key(|op| op.end);
    for op in blocks {
        let mut back = op.end;
        if let Some(link) = workload.link.downlink {
            let (model, partition) = (workload.model_of(op.job), &partitions[op.job.index()]);
            let is_remote = |t: &&TensorId| {
                let producer = model.tensors[t.index()].producer;
                producer.is_some_and(|p| !partition.device_layers.contains(p))
            };
            let outputs = model.outputs.iter().filter(is_remote);
            let bytes = outputs.map(|t| model.tensors[t.index()].bytes).sum();
            back = downlink.add(op.job, Work::Download, op.end, link.transfer_time(bytes).unwrap());
        }
        let completion = &mut completions[op.job.index()];
        *completion = (*completion).max(back + workload.link.round_trip.half());
    }
    (server, downlink.operations)
}

/// Branches that split and join again, put in series and side by side.
pub(crate) fn series_parallel(rng: &mut impl Rng, layers: usize) -> Shape {
    let mut shape: Shape = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    while shape.len() < layers {
        let room = layers - shape.len();
        let width = if shape.is_empty() { 1 } else { rng.random_range(1..=3.min(room)) };
        let from = ends.clone();
        let base = shape.len();
        // A join, if there are several ends, or a fan of branches from the one end.
        let width = if from.len() > 1 { 1 } else { width };
        shape.extend((0..width).map(|_| from.clone()));
        ends = (base..base + width).collect();
    }
    shape
}

/// Gives about half of a model's tensors an encoding that is smaller and takes time at both ends.
pub(crate) fn encode_some(rng: &mut impl Rng, model: &mut ModelGraph) {
    for tensor in &mut model.tensors {
        if rng.random_range(0..2) == 0 {
            tensor.encodings.push(TensorEncoding {
                name: "small".to_owned(),
                bytes: tensor.bytes / rng.random_range(2..5),
                encode: Time::from_nanoseconds(rng.random_range(0..6)),
                decode: Time::from_nanoseconds(rng.random_range(0..4)),
            });
        }
    }
}
