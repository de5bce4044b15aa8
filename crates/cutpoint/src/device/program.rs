//! What the device has to do for a plan: which segments of which model to load, which of them to
//! run and which tensors to encode in which order, and which tensors to send in which order.
//!
//! The layers of a model are grouped into segments so that every weight is held once, however many
//! cuts are in use. For each distinct way in which a job's device layers are grouped into
//! uninterrupted runs, every layer gets a label: the number of its run, or [`NEVER`] if it stays
//! off the device. A run ends where another job takes over or where a tensor leaves. Layers with
//! the same labels in all the ways form one segment. Along every edge of the graph no label
//! decreases, so segments sorted by their labels only read from earlier ones.

use crate::encoding::Encoding;
use crate::error::{Error, ErrorKind, Result};
use cutpoint_plan::plan::{Granularity, Plan, Upload, Work};
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
    /// Its model.
    pub model: ModelId,
    /// Whether it has steps on the device.
    pub has_steps: bool,
    /// Whether the server has a part in it.
    pub is_offloaded: bool,
    /// The segments that the server runs in its stead: those the device runs if the server is lost.
    pub server_segments: Vec<usize>,
}

impl Program {
    /// The program of a plan that has been checked.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if the plan uses an encoding that this program does not know, naming
    /// the tensor.
    pub fn new(workload: &Workload, plan: &Plan) -> Result<Program> {
        let runs = runs_of(workload, plan)?;
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

        let counts = |count: fn(&Run) -> bool| {
            let mut counts = vec![0u32; workload.jobs.len()];
            runs.iter().filter(|run| count(run)).for_each(|run| counts[run.job.index()] += 1);
            counts
        };
        let (layer_runs, all_runs) = (counts(|run| run.encode.is_none()), counts(|_| true));
        let mut seen_layer_runs = vec![0u32; workload.jobs.len()];
        let mut seen_runs = vec![0u32; workload.jobs.len()];
        let mut steps = Vec::with_capacity(runs.len());
        for run in &runs {
            let j = run.job.index();
            let model = workload.model_of(run.job);
            let mut drops = Vec::new();
            let work = match run.encode {
                Some((tensor, encoding)) => StepWork::Encode(tensor, encoding),
                None => {
                    let number = seen_layer_runs[j];
                    seen_layer_runs[j] += 1;
                    drops = drops_after(model, plan, run.job, &labels[j], number);
                    let segments = segments_with(j, number);
                    StepWork::Layers { segments, layers: run.layers.clone() }
                }
            };
            seen_runs[j] += 1;
            steps.push(Step {
                job: run.job,
                work,
                departs: Vec::new(),
                drops,
                is_last: seen_runs[j] == all_runs[j],
            });
        }
        add_departures(workload, plan, &mut steps);

        let jobs = (0..workload.jobs.len())
            .map(|j| {
                let partition = &plan.partitions[j];
                let is_offloaded =
                    partition.device_layers.count() < workload.model_of(JobId::at(j)).layers.len();
                JobProgram {
                    model: workload.jobs[j],
                    has_steps: all_runs[j] > 0,
                    is_offloaded,
                    server_segments: if is_offloaded { segments_with(j, NEVER) } else { vec![] },
                }
            })
            .collect();
        let segments = keyed.into_iter().map(|s| s.into_iter().map(|(_, s)| s).collect()).collect();
        let sends = sends_of(workload, plan, &layer_runs);
        Ok(Program { segments, steps, sends, jobs })
    }

    /// Whether anything is sent in an encoding.
    pub fn encodes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.work, StepWork::Encode(..)))
    }
}

/// What the device does for one job without interruption: layers, or one encode.
struct Run {
    job: JobId,
    layers: Vec<LayerId>,
    encode: Option<(TensorId, Encoding)>,
}

/// Groups the plan's device operations into runs: a run ends where another job takes over, where a
/// tensor is encoded, and, at layer granularity, where a tensor leaves.
fn runs_of(workload: &Workload, plan: &Plan) -> Result<Vec<Run>> {
    let leaves = |job: JobId, layer: LayerId| {
        let uploads = &plan.partitions[job.index()].uploads;
        let model = workload.model_of(job);
        plan.granularity == Granularity::Layer
            && uploads.iter().any(|u| model.tensors[u.tensor.index()].producer == Some(layer))
    };
    let mut runs: Vec<Run> = Vec::new();
    let mut is_open = false;
    for operation in &plan.schedule.device {
        let job = operation.job;
        let layer = match operation.work {
            Work::Layer(layer) => layer,
            Work::Encode(tensor) => {
                let encode = encoding_of(workload, plan, job, tensor)?;
                runs.push(Run { job, layers: Vec::new(), encode: Some((tensor, encode)) });
                is_open = false;
                continue;
            }
            Work::Transfer(_) | Work::Suffix | Work::Download => continue,
        };
        match runs.last_mut() {
            Some(run) if is_open && run.job == job => run.layers.push(layer),
            _ => runs.push(Run { job, layers: vec![layer], encode: None }),
        }
        is_open = !leaves(job, layer);
    }
    Ok(runs)
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
fn is_raw_input(model: &Model, upload: &Upload) -> bool {
    upload.encoding.is_none() && model.tensors[upload.tensor.index()].producer.is_none()
}

/// Says after which step each tensor may leave: after the one that makes it as it is to be sent,
/// and at job granularity not before the job's last layer.
fn add_departures(workload: &Workload, plan: &Plan, steps: &mut [Step]) {
    let mut last_layers = vec![None; workload.jobs.len()];
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
fn labels_of(workload: &Workload, runs: &[Run]) -> Vec<Vec<u32>> {
    let mut labels: Vec<Vec<u32>> = workload
        .jobs
        .iter()
        .map(|m| vec![NEVER; workload.models[m.index()].layers.len()])
        .collect();
    let mut count = vec![0u32; workload.jobs.len()];
    for run in runs.iter().filter(|run| run.encode.is_none()) {
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

/// The plan's transfers, in order; `layer_runs` says how often each job has layers on the device.
fn sends_of(workload: &Workload, plan: &Plan, layer_runs: &[u32]) -> Vec<Send> {
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

    /// The job and the segments of each step.
    fn segments(program: &Program) -> Vec<(u32, Vec<usize>)> {
        let of_step = |step: &Step| match &step.work {
            StepWork::Layers { segments, .. } => (step.job.0, segments.clone()),
            StepWork::Encode(..) => (step.job.0, vec![]),
        };
        program.steps.iter().map(of_step).collect()
    }

    #[test]
    fn every_layer_is_in_one_segment_and_a_step_ends_where_a_tensor_leaves() {
        let workload = read_workload(DIAMOND.as_bytes()).unwrap();
        let program = Program::new(&workload, &plan(&workload, Granularity::Layer)).unwrap();
        assert_eq!(layers(&program), [vec![0], vec![1], vec![2, 3]]);
        assert_eq!(segments(&program), [(0, vec![0]), (0, vec![1]), (1, vec![0, 1, 2])]);
        assert_eq!(program.jobs[0].server_segments, [2]);
        assert!(program.jobs[1].server_segments.is_empty());
        assert_eq!(program.sends.iter().map(|s| s.part).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn at_job_granularity_a_prefix_is_one_segment() {
        let workload = read_workload(DIAMOND.as_bytes()).unwrap();
        let program = Program::new(&workload, &plan(&workload, Granularity::Job)).unwrap();
        assert_eq!(layers(&program), [vec![0, 1], vec![2, 3]]);
        assert_eq!(segments(&program), [(0, vec![0]), (1, vec![0, 1])]);
    }

    #[test]
    fn tensors_are_dropped_after_their_last_use_unless_they_leave() {
        let workload = read_workload(DIAMOND.as_bytes()).unwrap();
        let program = Program::new(&workload, &plan(&workload, Granularity::Layer)).unwrap();
        let names = |step: &Step| -> Vec<&str> {
            let tensors = &workload.models[0].tensors;
            step.drops.iter().map(|t| tensors[t.index()].name.as_str()).collect()
        };
        assert_eq!(names(&program.steps[0]), ["x"]);
        assert!(names(&program.steps[1]).is_empty());
        assert_eq!(names(&program.steps[2]), ["x", "a", "b", "c"]);
    }

    /// The plan of above, with `x` and `a` of job 0 in an encoding; `b` is sent as it is.
    fn encoded_plan(workload: &Workload, granularity: Granularity) -> Plan {
        let mut plan = plan(workload, granularity);
        let [x, a] = ["x", "a"].map(|name| {
            let tensors = &workload.models[0].tensors;
            TensorId::at(tensors.iter().position(|t| t.name == name).unwrap())
        });
        plan.partitions[0].uploads[0].encoding = Some(0);
        plan.partitions[0].uploads.push(Upload { tensor: x, encoding: Some(0) });
        plan.schedule.device.insert(1, operation(0, Work::Encode(a), 1.0));
        plan.schedule.device.insert(0, operation(0, Work::Encode(x), 0.0));
        plan.schedule.uplink.push(operation(0, Work::Transfer(x), 3.0));
        plan
    }

    fn encodable(name: &str) -> Workload {
        let form = format!(r#"{{ "bytes": 1000, "encodings": {{ "{name}": {{ "bytes": 9 }} }} }}"#);
        let text = DIAMOND.replace(r#""x": 1000"#, &format!(r#""x": {form}"#));
        let text = text.replace(r#""a": 1000"#, &format!(r#""a": {form}"#));
        read_workload(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_encode_is_a_step_and_its_tensor_leaves_after_it() {
        let workload = encodable("u8");
        let names = |step: &Step| -> String {
            let tensors = &workload.models[0].tensors;
            step.departs.iter().map(|t| tensors[t.index()].name.as_str()).collect()
        };
        let steps = |granularity| -> Vec<(u32, Vec<usize>, String, bool)> {
            let program = Program::new(&workload, &encoded_plan(&workload, granularity)).unwrap();
            assert!(program.encodes() && program.sends.iter().all(|send| !send.is_there));
            let named = program.steps.iter().map(|s| (names(s), s.is_last));
            let of_step = |((job, segments), (departs, is_last))| (job, segments, departs, is_last);
            segments(&program).into_iter().zip(named).map(of_step).collect()
        };
        let by_layer = [
            (0, vec![], "x".to_owned(), false),
            (0, vec![0], String::new(), false),
            (0, vec![], "a".to_owned(), false),
            (0, vec![1], "b".to_owned(), true),
            (1, vec![0, 1, 2], String::new(), true),
        ];
        assert_eq!(steps(Granularity::Layer), by_layer);
        // Nothing leaves before the last layer of its job.
        let mut by_job = by_layer;
        by_job[0].2 = String::new();
        by_job[2].2 = String::new();
        by_job[3].2 = "xab".to_owned();
        assert_eq!(steps(Granularity::Job), by_job);
    }

    #[test]
    fn an_input_as_it_is_waits_for_the_last_layer_only_at_job_granularity() {
        let workload = encodable("u8");
        for granularity in [Granularity::Layer, Granularity::Job] {
            let mut plan = encoded_plan(&workload, granularity);
            plan.partitions[0].uploads[2].encoding = None;
            plan.schedule.device.remove(0);
            let program = Program::new(&workload, &plan).unwrap();
            let is_there: Vec<bool> = program.sends.iter().map(|send| send.is_there).collect();
            let is_layer = granularity == Granularity::Layer;
            assert_eq!(is_there, [false, false, is_layer]);
            let departs = program.steps.iter().map(|step| step.departs.len()).sum::<usize>();
            assert_eq!(departs, if is_layer { 2 } else { 3 });
        }
    }

    #[test]
    fn an_unknown_encoding_is_refused_by_name() {
        let workload = encodable("telepathy");
        let plan = encoded_plan(&workload, Granularity::Layer);
        let error = Program::new(&workload, &plan).expect_err("nobody knows it");
        assert_eq!(error.kind(), ErrorKind::Workload);
        let expected = "tensor \"x\" of model \"diamond\": unknown encoding \"telepathy\"";
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
