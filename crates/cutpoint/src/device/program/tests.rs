use super::*;
use crate::error::ErrorKind;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::format::read_workload;
use cutpoint_plan::options::{Granularity, Objective, Policy};
use cutpoint_plan::plan::{Operation, Partition, Plan, Schedule, Upload, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, LayerId, TensorId, Workload};

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
    let model = &workload.models()[0];
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
        let tensors = &workload.models()[0].tensors;
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
        let tensors = &workload.models()[0].tensors;
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
        let tensors = &workload.models()[0].tensors;
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
