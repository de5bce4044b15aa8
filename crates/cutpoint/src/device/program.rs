//! What the device has to do for a plan: which segments of which model to load, which of them to
//! run in which order, and which tensors to send in which order.
//!
//! The layers of a model are grouped into segments so that every weight is held once, however many
//! cuts are in use. For each distinct way in which a job's device layers are grouped into
//! uninterrupted runs, every layer gets a label: the number of its run, or [`NEVER`] if it stays
//! off the device. A run ends where another job takes over or where a tensor leaves. Layers with
//! the same labels in all the ways form one segment. Along every edge of the graph no label
//! decreases, so segments sorted by their labels only read from earlier ones.

use cutpoint_plan::plan::{Granularity, Plan, Work};
use cutpoint_plan::workload::{JobId, LayerId, Model, ModelId, TensorId, Workload};
use std::collections::{BTreeMap, BTreeSet};

/// The label of a layer that the device does not run for a job.
const NEVER: u32 = u32::MAX;

/// What the device has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// For each model of the workload, its segments in an order in which each only reads from
    /// earlier ones. Together they hold every layer once.
    pub segments: Vec<Vec<SegmentLayers>>,
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

/// An uninterrupted run of one job on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub job: JobId,
    /// Positions in the model's list of segments.
    pub segments: Vec<usize>,
    /// The layers of the run, in the order of the plan.
    pub layers: Vec<LayerId>,
    /// Tensors that nobody needs after this step.
    pub drops: Vec<TensorId>,
    /// Whether this is the last step of its job.
    pub is_last: bool,
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
}

/// What one job consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobProgram {
    /// Its model.
    pub model: ModelId,
    /// Whether it has steps on the device.
    pub has_steps: bool,
    /// Whether the server has a part in it.
    pub is_offloaded: bool,
    /// The segments that the server runs in its stead: those the device runs if the server is lost.
    pub server_segments: Vec<usize>,
    /// The tensors that cross the link.
    pub frontier: Vec<TensorId>,
}

impl Program {
    /// The program of a plan that has been checked.
    pub fn new(workload: &Workload, plan: &Plan) -> Program {
        let runs = runs_of(workload, plan);
        let labels = labels_of(workload, &runs);
        let mut ways: Vec<BTreeSet<&[u32]>> = vec![BTreeSet::new(); workload.models.len()];
        for (job, label) in labels.iter().enumerate() {
            ways[workload.jobs[job].index()].insert(label);
        }
        let ways: Vec<Vec<&[u32]>> = ways.into_iter().map(|w| w.into_iter().collect()).collect();
        let keyed: Vec<Vec<(Vec<u32>, SegmentLayers)>> =
            workload.models.iter().zip(&ways).map(|(m, w)| segments_of(m, w)).collect();

        let segments_with = |job: usize, label: u32| -> Vec<usize> {
            let model = workload.jobs[job].index();
            let way = ways[model].binary_search(&labels[job].as_slice()).expect("taken from it");
            let segments = keyed[model].iter().enumerate();
            segments.filter(|(_, (key, _))| key[way] == label).map(|(i, _)| i).collect()
        };

        let mut seen_runs = vec![0u32; workload.jobs.len()];
        let total_runs = runs.iter().fold(vec![0u32; workload.jobs.len()], |mut count, run| {
            count[run.job.index()] += 1;
            count
        });
        let mut steps = Vec::with_capacity(runs.len());
        for run in &runs {
            let j = run.job.index();
            let number = seen_runs[j];
            seen_runs[j] += 1;
            let model = workload.model_of(run.job);
            steps.push(Step {
                job: run.job,
                segments: segments_with(j, number),
                layers: run.layers.clone(),
                drops: drops_after(model, plan, run.job, &labels[j], number),
                is_last: number + 1 == total_runs[j],
            });
        }

        let jobs = (0..workload.jobs.len())
            .map(|j| {
                let partition = &plan.partitions[j];
                let is_offloaded =
                    partition.device_layers.count() < workload.model_of(JobId::at(j)).layers.len();
                JobProgram {
                    model: workload.jobs[j],
                    has_steps: total_runs[j] > 0,
                    is_offloaded,
                    server_segments: if is_offloaded { segments_with(j, NEVER) } else { vec![] },
                    frontier: partition.uploads.iter().map(|u| u.tensor).collect(),
                }
            })
            .collect();
        let segments = keyed.into_iter().map(|s| s.into_iter().map(|(_, s)| s).collect()).collect();
        Program { segments, steps, sends: sends_of(plan), jobs }
    }
}

/// An uninterrupted run of device layers of one job.
struct Run {
    job: JobId,
    layers: Vec<LayerId>,
}

/// Groups the plan's device operations into runs: a run ends where another job takes over, where a
/// tensor is encoded, and, at layer granularity, where a tensor leaves.
fn runs_of(workload: &Workload, plan: &Plan) -> Vec<Run> {
    let leaves = |job: JobId, layer: LayerId| {
        let uploads = &plan.partitions[job.index()].uploads;
        let model = workload.model_of(job);
        plan.granularity == Granularity::Layer
            && uploads.iter().any(|u| model.tensors[u.tensor.index()].producer == Some(layer))
    };
    let mut runs: Vec<Run> = Vec::new();
    let mut is_open = false;
    for operation in &plan.schedule.device {
        let Work::Layer(layer) = operation.work else {
            is_open = false;
            continue;
        };
        match runs.last_mut() {
            Some(run) if is_open && run.job == operation.job => run.layers.push(layer),
            _ => runs.push(Run { job: operation.job, layers: vec![layer] }),
        }
        is_open = !leaves(operation.job, layer);
    }
    runs
}

/// For each job, the label of each layer.
fn labels_of(workload: &Workload, runs: &[Run]) -> Vec<Vec<u32>> {
    let mut labels: Vec<Vec<u32>> = workload
        .jobs
        .iter()
        .map(|m| vec![NEVER; workload.models[m.index()].layers.len()])
        .collect();
    let mut count = vec![0u32; workload.jobs.len()];
    for run in runs {
        let number = &mut count[run.job.index()];
        for layer in &run.layers {
            labels[run.job.index()][layer.index()] = *number;
        }
        *number += 1;
    }
    labels
}

/// The layers of a model by their labels in all ways, sorted by labels.
fn segments_of(model: &Model, ways: &[&[u32]]) -> Vec<(Vec<u32>, SegmentLayers)> {
    let mut by_labels: BTreeMap<Vec<u32>, Vec<LayerId>> = BTreeMap::new();
    for &layer in &model.topological {
        let key = ways.iter().map(|way| way[layer.index()]).collect();
        by_labels.entry(key).or_default().push(layer);
    }
    by_labels
        .into_iter()
        .map(|(key, layers)| {
            let is_planned = key.iter().any(|&label| label != NEVER);
            (key, SegmentLayers { layers, is_planned })
        })
        .collect()
}

/// The tensors that nobody needs once run `number` of a job has ended: the last layer on the device
/// that reads or writes them is in that run, and they neither cross the link nor leave as outputs.
fn drops_after(
    model: &Model,
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

/// The plan's transfers, in order.
fn sends_of(plan: &Plan) -> Vec<Send> {
    let mut sent = vec![0usize; plan.partitions.len()];
    plan.schedule
        .uplink
        .iter()
        .filter_map(|operation| match operation.work {
            Work::Transfer(tensor) => {
                let job = operation.job;
                let part = sent[job.index()];
                sent[job.index()] += 1;
                let parts = plan.partitions[job.index()].uploads.len();
                Some(Send { job, tensor, part, parts })
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::cut::LayerSet;
    use cutpoint_plan::format::read_workload;
    use cutpoint_plan::plan::{Objective, Operation, Partition, Policy, Schedule, Upload};
    use cutpoint_plan::units::Time;

    /// x -> A -> a, then B and C side by side, joined by D.
    const DIAMOND: &str = r#"{
        "schema": "cutpoint.workload/1",
        "link": { "uplink_mbps": 8.0 },
        "models": { "diamond": {
            "inputs": { "x": 1000 },
            "layers": [
                { "name": "A", "reads": ["x"], "writes": { "a": 1000 }, "device_ms": 1.0 },
                { "name": "B", "reads": ["a"], "writes": { "b": 1000 }, "device_ms": 1.0 },
                { "name": "C", "reads": ["a"], "writes": { "c": 1000 }, "device_ms": 1.0 },
                { "name": "D", "reads": ["b", "c"], "writes": { "y": 10 }, "device_ms": 1.0 }
            ] } },
        "jobs": [ { "model": "diamond", "count": 2 } ]
    }"#;

    fn operation(job: u32, work: Work, start_ms: f64) -> Operation {
        let at = |ms| Time::from_milliseconds(ms).unwrap();
        Operation { job: JobId(job), work, start: at(start_ms), end: at(start_ms + 1.0) }
    }

    /// Job 0 stays on the device up to A and B and sends `a` and `b`; job 1 stays wholly.
    fn plan(workload: &Workload, granularity: Granularity) -> Plan {
        let model = &workload.models[0];
        let tensor =
            |name: &str| TensorId::at(model.tensors.iter().position(|t| t.name == name).unwrap());
        let mut prefix = LayerSet::none(model);
        prefix.insert(LayerId(0));
        prefix.insert(LayerId(1));
        let uploads =
            [tensor("a"), tensor("b")].map(|tensor| Upload { tensor, encoding: None }).to_vec();
        let layers = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (1, 3)];
        let device = layers
            .iter()
            .enumerate()
            .map(|(i, &(job, layer))| operation(job, Work::Layer(LayerId(layer)), i as f64))
            .collect();
        let uplink = vec![
            operation(0, Work::Transfer(tensor("a")), 1.0),
            operation(0, Work::Transfer(tensor("b")), 2.0),
        ];
        let zero = Time::ZERO;
        Plan {
            policy: Policy::Joint,
            granularity,
            objective: Objective::Makespan,
            period: None,
            partitions: vec![
                Partition { device_layers: prefix, uploads },
                Partition { device_layers: LayerSet::all(model), uploads: vec![] },
            ],
            schedule: Schedule { device, uplink, ..Schedule::default() },
            completions: vec![zero, zero],
            makespan: zero,
            lower_bound: zero,
            optimal: false,
        }
    }

    fn layers(program: &Program) -> Vec<Vec<u32>> {
        let segments = &program.segments[0];
        segments.iter().map(|s| s.layers.iter().map(|l| l.0).collect()).collect()
    }

    #[test]
    fn every_layer_is_in_one_segment_and_a_step_ends_where_a_tensor_leaves() {
        let workload = read_workload(DIAMOND.as_bytes()).unwrap();
        let program = Program::new(&workload, &plan(&workload, Granularity::Layer));
        assert_eq!(layers(&program), [vec![0], vec![1], vec![2, 3]]);
        let steps: Vec<_> = program.steps.iter().map(|s| (s.job.0, s.segments.clone())).collect();
        assert_eq!(steps, [(0, vec![0]), (0, vec![1]), (1, vec![0, 1, 2])]);
        assert_eq!(program.jobs[0].server_segments, [2]);
        assert!(program.jobs[1].server_segments.is_empty());
        assert_eq!(program.sends.iter().map(|s| s.part).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn at_job_granularity_a_prefix_is_one_segment() {
        let workload = read_workload(DIAMOND.as_bytes()).unwrap();
        let program = Program::new(&workload, &plan(&workload, Granularity::Job));
        assert_eq!(layers(&program), [vec![0, 1], vec![2, 3]]);
        assert_eq!(program.steps[0].segments, [0]);
        assert_eq!(program.steps[1].segments, [0, 1]);
    }

    #[test]
    fn tensors_are_dropped_after_their_last_use_unless_they_leave() {
        let workload = read_workload(DIAMOND.as_bytes()).unwrap();
        let program = Program::new(&workload, &plan(&workload, Granularity::Layer));
        let names = |step: &Step| -> Vec<&str> {
            let tensors = &workload.models[0].tensors;
            step.drops.iter().map(|t| tensors[t.index()].name.as_str()).collect()
        };
        assert_eq!(names(&program.steps[0]), ["x"]);
        assert!(names(&program.steps[1]).is_empty());
        assert_eq!(names(&program.steps[2]), ["x", "a", "b", "c"]);
    }
}
