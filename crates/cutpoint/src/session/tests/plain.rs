//! Jobs shared with a server that speaks the Open Inference Protocol and nothing of Cutpoint's own.

use super::meddler::{Habits, Meddler, Then};
use super::{Bench, JobId, LONG, OPTIONS, RunOptions, plan_at, rten, serve};
use crate::device::{Arrival, Arrivals};
use crate::input::{Inputs, Supply};
use crate::onnx::LayeredModel;
use crate::onnx::tests::small::*;
use crate::profile::{ProfileOptions, unsplit_outputs};
use crate::server::{Server, ServerOptions};
use crate::session::replan::JobsLeft;
use crate::session::{EncodingRequest, ProfileRequest};
use crate::tensor::{ElementType, Tensor, relative_difference};
use crate::wire::inference::ModelInferRequest;
use cutpoint_plan::options::Granularity;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::ModelId;
use std::cell::Cell;
use std::sync::{Arc, Mutex};

/// Two inputs, and two tensors that cross behind the first layers of both branches.
fn network() -> LayeredModel {
    let nodes = vec![
        node("MatMul", &["x", "w"], &["a"]),
        node("MatMul", &["z", "w"], &["b"]),
        node("Add", &["a", "b"], &["c"]),
        node("Tanh", &["c"], &["d"]),
        node("MatMul", &["d", "v"], &["y"]),
    ];
    let weights = vec![weight("w", &[8, 8]), weight("v", &[8, 8])];
    let mut network = model(&[1, 4, 8], nodes, weights, &["y"]);
    let graph = network.graph.as_mut().unwrap();
    graph.input.push(value("z", ElementType::F32, &[1, 4, 8]));
    layered(&network)
}

/// A plain server, a device, and the requests that one has sent the other on streams.
struct Stage {
    bench: Bench,
    requests: Arc<Mutex<Vec<ModelInferRequest>>>,
    _peer: Meddler,
    server: Cell<Option<Server>>,
}

impl Stage {
    fn new(server: Server) -> Stage {
        let requests: Arc<Mutex<Vec<ModelInferRequest>>> = Arc::default();
        let seen = requests.clone();
        let request = move |message: &mut ModelInferRequest| {
            seen.lock().unwrap().push(message.clone());
        };
        let habits = Habits { request: Arc::new(request), reply: Arc::new(|_| Then::Pass) };
        let peer = Meddler::start_plain(server.address(), habits);
        let bench = Bench::new(rten(), network(), &peer.address.to_string());
        Stage { bench, requests, _peer: peer, server: Cell::new(Some(server)) }
    }

    /// Runs jobs that keep the given numbers of layers on the device, and finds how far the outputs are off at
    /// most, relative to the largest value.
    fn run(&self, device_layers: &[usize], encodings: &[&str]) -> f64 {
        let workload = self.bench.workload(device_layers.len(), encodings);
        let plan = plan_at(&workload, device_layers, Granularity::Layer);
        let mut prepared = self.bench.prepare(&workload, &plan);
        let inputs = self.bench.inputs(device_layers.len());
        let model = self.bench.side.models[0].model.model();
        let expected = unsplit_outputs(&*rten(), OPTIONS, model, &inputs).unwrap();
        let how = RunOptions { patience: LONG, ..RunOptions::default() };
        let mut worst = 0.0f64;
        let on_outputs = |job: JobId, found: Vec<(String, Tensor)>| {
            let (name, expected) = &expected[job.index()][0];
            let found = found.iter().find(|(n, _)| n == name).unwrap();
            worst = worst.max(relative_difference(&found.1, expected).unwrap());
        };
        let runner = &self.bench.side;
        let execution =
            runner.execute_batch(&mut prepared, &workload, &inputs, None, how, on_outputs).unwrap();
        assert_eq!((execution.fallbacks, execution.failures), (vec![], vec![]));
        assert_eq!(execution.ended, device_layers.len() as u64);
        worst
    }

    /// The names and types of the tensors of the requests since the last call.
    fn sent(&self) -> Vec<Vec<(String, String)>> {
        let described = |request: ModelInferRequest| {
            assert!(request.parameters.is_empty(), "{:?}", request.parameters);
            assert!(request.inputs.iter().all(|input| input.parameters.is_empty()));
            request.inputs.into_iter().map(|input| (input.name, input.datatype)).collect()
        };
        self.requests.lock().unwrap().drain(..).map(described).collect()
    }
}

fn pairs(names: &[(&str, &str)]) -> Vec<(String, String)> {
    names.iter().map(|(name, datatype)| ((*name).to_owned(), (*datatype).to_owned())).collect()
}

/// A server that has no model yet.
fn empty() -> Server {
    Server::start(ServerOptions::local(rten()), vec![]).unwrap()
}

#[test]
fn a_plain_server_is_sent_suffixes_and_all_tensors_of_a_job_at_once() {
    let stage = Stage::new(empty());
    let layers = stage.bench.layers();
    let cuts: Vec<usize> = (0..=layers).collect();
    assert!(stage.run(&cuts, &[]) <= 1e-5);
    let sent = stage.sent();
    assert_eq!(sent.len(), layers, "a message for each job with a part on the server");
    assert!(sent.contains(&pairs(&[("x", "FP32"), ("z", "FP32")])), "{sent:?}");
    assert!(sent.iter().any(|tensors| tensors.iter().any(|(name, _)| name == "a")), "{sent:?}");
    // The server has all of them now, under the same names.
    assert!(stage.run(&cuts, &[]) <= 1e-5);
}

#[test]
fn a_plain_server_takes_encoded_tensors_as_tensors_of_its_own_types() {
    let stage = Stage::new(empty());
    let last = stage.bench.layers() - 1;
    let eight = |name: &str| {
        vec![
            (format!("{name}.u8"), "UINT8".to_owned()),
            (format!("{name}.least"), "FP32".to_owned()),
            (format!("{name}.step"), "FP32".to_owned()),
        ]
    };
    for (encoding, off_max) in [("f16", 1e-3), ("u8", 2e-2), ("u8-channel", 2e-2)] {
        let worst = stage.run(&[last; 3], &[encoding]);
        assert!(worst > 0.0 && worst <= off_max, "{encoding}: {worst:e}");
        let sent = stage.sent();
        assert_eq!(sent.len(), 3);
        for tensors in sent {
            let name = tensors[0].0.split('.').next().unwrap();
            let expected = match encoding {
                "f16" => vec![(format!("{name}.f16"), "FP16".to_owned())],
                _ => eight(name),
            };
            assert_eq!(tensors, expected);
        }
    }
}

#[test]
fn encodings_that_a_plain_server_cannot_restore_are_refused_before_the_run() {
    let stage = Stage::new(empty());
    for (layers, encoding) in [(1, "zstd"), (1, "u8+zstd"), (0, "u8")] {
        let workload = stage.bench.workload(1, &[encoding]);
        let plan = plan_at(&workload, &[layers], Granularity::Layer);
        let error = stage.bench.side.prepare(&workload, &plan, &[]).err().unwrap();
        assert!(error.to_string().contains("not Cutpoint's own"), "{error}");
        assert!(error.to_string().contains(encoding), "{error}");
    }
}

#[test]
fn plans_for_a_plain_server_use_only_encodings_that_a_suffix_restores() {
    let stage = Stage::new(serve(rten(), &network()));
    let inputs = stage.bench.inputs(2);
    let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    for (budget, admits) in [("max_abs=1000", true), ("exact", false)] {
        let inputs: Vec<&dyn Supply> = vec![&inputs];
        let (budget, without_server) = (budget.parse().unwrap(), false);
        let encodings = Some(EncodingRequest { budget, inputs, without_server });
        let request = ProfileRequest { layers: quick, jobs: vec![2], encodings };
        let (workload, _) = stage.bench.side.measure(&request).unwrap();
        let model = &workload.models()[0];
        for tensor in &model.tensors {
            let is_plain = |name: &str| ["f16", "u8", "u8-channel"].contains(&name);
            assert!(tensor.encodings.iter().all(|e| is_plain(&e.name)), "{tensor:?}");
            assert!(tensor.producer.is_some() || tensor.encodings.is_empty(), "{tensor:?}");
        }
        let offered = model.tensors.iter().any(|tensor| !tensor.encodings.is_empty());
        assert_eq!(offered, admits, "{budget}");
    }
}

/// One job at a time, until the server that came second has been sent enough of them.
struct Jobwise<'a> {
    stage: &'a Stage,
    inputs: &'a Inputs,
    given: u32,
    ended: &'a Cell<u32>,
    /// How many requests there were when the second server started.
    before: &'a Cell<Option<usize>>,
}

/// How many jobs are sent to the second server.
const LATE_JOBS: usize = 3;

/// A second server that is not called by then never is.
const LATEST: Time = Time::from_nanoseconds(60_000_000_000);

impl Arrivals<'_> for Jobwise<'_> {
    fn poll(&mut self, now: Time, has_room: bool) -> Arrival {
        let requests = self.stage.requests.lock().unwrap().len();
        if now > LATEST {
            return Arrival::End;
        }
        if self.before.get().is_some_and(|before| requests >= before + LATE_JOBS) {
            return Arrival::End;
        }
        if !has_room || self.given > self.ended.get() {
            return Arrival::Later(None);
        }
        self.given += 1;
        Arrival::Job { model: ModelId(0), arrived: now, inputs: self.inputs.clone() }
    }
}

#[test]
fn a_plain_server_that_is_lost_costs_no_job_and_is_given_its_suffixes_again() {
    let first = empty();
    let address = first.address();
    let mut stage = Stage::new(first);
    let cut = stage.bench.layers() - 1;
    // All but the last layer take no time, and the last one far too long here.
    let described = &mut stage.bench.described["models"]["small"]["layers"];
    for (number, layer) in described.as_array_mut().unwrap().iter_mut().enumerate() {
        let (device_ms, server_ms) = if number < cut { (0.001, 1000.0) } else { (1000.0, 0.001) };
        layer["device_ms"] = device_ms.into();
        layer["server_ms"] = server_ms.into();
    }
    let bench = &stage.bench;
    let workload = bench.workload(1, &["f16"]);
    let plan = plan_at(&workload, &[cut], Granularity::Layer);
    let mut prepared = bench.prepare(&workload, &plan);
    let inputs = bench.inputs(1);
    let model = bench.side.models[0].model.model();
    let expected = unsplit_outputs(&*rten(), OPTIONS, model, &inputs).unwrap();

    let (ended, before) = (Cell::new(0), Cell::new(None));
    let mut source =
        Jobwise { stage: &stage, inputs: &inputs[0], given: 0, ended: &ended, before: &before };
    let on_outputs = |job: JobId, found: Vec<(String, Tensor)>| {
        let (name, expected) = &expected[0][0];
        let output = &found.iter().find(|(n, _)| n == name).unwrap().1;
        assert!(relative_difference(output, expected).unwrap() <= 1e-3, "job {job:?}");
        ended.set(ended.get() + 1);
        if ended.get() == 2 {
            drop(stage.server.take());
            let options = ServerOptions { listen: address, ..ServerOptions::local(rten()) };
            stage.server.set(Some(Server::start(options, vec![]).unwrap()));
            before.set(Some(stage.requests.lock().unwrap().len()));
        }
    };
    let mut planner = JobsLeft::new(&workload, &plan, &prepared);
    let how = RunOptions { patience: LONG, follows_link: false, ..RunOptions::default() };
    let execution = bench.side.execute(
        &mut prepared,
        &workload,
        &mut source,
        Some(&mut planner),
        how,
        on_outputs,
    );
    let execution = execution.unwrap();
    assert_eq!(execution.failures, []);
    assert_eq!(execution.ended, u64::from(ended.get()), "each job ends once");
    let on_server = &execution.schedule.server;
    let is_there = |job: &JobId| on_server.iter().any(|o| o.job == *job);
    let fell_back = |job: &JobId| execution.fallbacks.iter().any(|(fallen, _)| fallen == job);
    let jobs = (0..ended.get()).map(JobId);
    let stayed = jobs.filter(|job| !is_there(job) && !fell_back(job)).count();
    assert!(stayed > 0, "jobs went on while there was no server");
    let last = JobId(ended.get() - 1);
    assert!(is_there(&last), "the second server computed: {on_server:?}");
    assert_eq!(stage.sent().pop().unwrap()[0].1, "FP16", "behind the same cut");
}
