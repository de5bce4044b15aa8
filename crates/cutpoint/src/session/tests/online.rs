//! Running, cancelling, and running again, against servers that answer and servers that do not.

use super::meddler::{Habits, Meddler, Then};
use super::{Bench, LONG, rten, serve};
use crate::device::Cancel;
use crate::error::ErrorKind;
use crate::input::OnDemand;
use crate::onnx::tests::small::{model, node, weight};
use crate::session::{JobOutcome, Model, Outputs, PlannedRun, Profile, Session, SessionOptions};
use cutpoint_plan::options::Policy;
use prost::Message;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

const JOBS: usize = 6;

fn network() -> Model {
    let nodes = vec![
        node("MatMul", &["x", "w"], &["a"]),
        node("Tanh", &["a"], &["b"]),
        node("MatMul", &["b", "w"], &["y"]),
    ];
    let network = model(&[2, 8], nodes, vec![weight("w", &[8, 8])], &["y"]);
    Model::from_bytes("small", network.encode_to_vec(), &[]).unwrap()
}

/// A session whose server hangs from its third answer on, as long as the flag is set.
struct Stage {
    session: Session,
    planned: PlannedRun,
    inputs: Vec<crate::Inputs>,
    hangs: Arc<AtomicBool>,
    _meddler: Meddler,
    _server: crate::server::Server,
}

fn stage() -> Stage {
    let layered = network().onnx.into_layers(&*rten()).unwrap();
    let server = serve(rten(), &layered);
    let hangs = Arc::new(AtomicBool::new(true));
    let flag = hangs.clone();
    let reply = move |message: &mut crate::wire::inference::ModelStreamInferResponse| {
        let id = &message.infer_response.as_ref().expect("a reply").id;
        let is_late = id.parse::<usize>().unwrap() >= 2;
        if is_late && flag.load(Ordering::SeqCst) { Then::Hang } else { Then::Pass }
    };
    let habits = Habits { request: Arc::new(|_| ()), reply: Arc::new(reply) };
    let meddler = Meddler::start(server.address(), habits);
    let address = meddler.address.to_string();
    let profile = Bench::new(rten(), layered, &address).described.to_string();
    let options = SessionOptions {
        engine: "rten".parse().unwrap(),
        threads: Some(std::num::NonZeroUsize::MIN),
        server: Some(address),
        patience: LONG,
        ..SessionOptions::default()
    };
    let inputs = (0..JOBS as u64).map(|seed| network().synthetic_inputs(seed)).collect();
    let session = Session::open(vec![network()], options).unwrap();
    let profile = Profile::from_json(&profile).unwrap();
    let planned = profile.plan(&[("small", JOBS)], Policy::ServerOnly).unwrap();
    Stage { session, planned, inputs, hangs, _meddler: meddler, _server: server }
}

impl Stage {
    /// The outputs of the unsplit model.
    fn expected(&self) -> Vec<Outputs> {
        let options = SessionOptions {
            engine: "rten".parse().unwrap(),
            threads: Some(std::num::NonZeroUsize::MIN),
            ..SessionOptions::default()
        };
        let alone = Session::open(vec![network()], options).unwrap();
        let profile = Profile::from_json(&self.planned_json()).unwrap();
        let planned = profile.plan(&[("small", JOBS)], Policy::LocalOnly).unwrap();
        let inputs = OnDemand::new(JOBS, |job| self.inputs[job].clone());
        alone.run(&planned, &inputs).unwrap().into_outputs().unwrap()
    }

    fn planned_json(&self) -> String {
        let mut text = Vec::new();
        cutpoint_plan::format::write_workload(self.planned.workload(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// A server that hung answers the next run.
    fn check_next_run(&self) {
        self.hangs.store(false, Ordering::SeqCst);
        let outcome = self.session.run(&self.planned, &self.inputs).unwrap();
        assert_eq!(outcome.done().count(), JOBS);
        assert_eq!(outcome.execution.fallbacks, []);
        assert_eq!(outcome.into_outputs().unwrap(), self.expected());
    }
}

#[test]
fn a_cancelled_run_ends_and_reports_completed_jobs() {
    let stage = stage();
    let expected = stage.expected();
    let (cancel, mut done) = (Cancel::new(), Vec::new());
    let execution =
        stage.session.run_each(&stage.planned, &stage.inputs, &cancel, |job, outputs| {
            assert_eq!(outputs, expected[job.index()]);
            done.push(job.0);
            if done.len() == 2 {
                cancel.cancel();
            }
        });
    let execution = execution.unwrap();
    assert!(execution.is_cancelled);
    let complete = execution.completions.iter().map(Option::is_some).collect::<Vec<_>>();
    assert_eq!((done, complete), (vec![0, 1], [vec![true; 2], vec![false; 4]].concat()));
    assert_eq!((execution.fallbacks.len(), execution.failures.len()), (0, 0));
    stage.check_next_run();
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_running() {
    let stage = stage();
    let (sender, done) = mpsc::channel();
    let running =
        stage.session.run_each_async(&stage.planned, stage.inputs.clone(), move |job, _| {
            sender.send(job.0).unwrap()
        });
    let first = [done.recv().unwrap(), done.recv().unwrap()];
    drop(running);
    // Its thread has ended: nobody holds the other end of the channel.
    assert_eq!((first, done.recv()), ([0, 1], Err(mpsc::RecvError)));
    stage.check_next_run();
}

#[test]
fn a_cancelled_future_returns_completed_jobs() {
    let stage = stage();
    let running = stage.session.run_async(&stage.planned, stage.inputs.clone());
    running.cancel();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = runtime.block_on(running).unwrap();
    assert!(outcome.execution.is_cancelled);
    assert!(outcome.jobs[2..].iter().all(|job| *job == JobOutcome::Cancelled));
    assert!(outcome.done().count() <= 2);
    assert_eq!(outcome.into_outputs().unwrap_err().kind(), ErrorKind::Usage);
    stage.check_next_run();
}

#[test]
fn inconsistent_inputs_are_refused() {
    let engine = || SessionOptions { engine: "rten".parse().unwrap(), ..Default::default() };
    let twins = Session::open(vec![network(), network()], engine()).err().unwrap();
    assert_eq!(twins.kind(), ErrorKind::Usage);
    assert!(twins.to_string().contains("two models are named \"small\""), "{twins}");
    let stage = stage();
    let other = Session::open(vec![network().named("other")], engine()).unwrap();
    let error = other.run(&stage.planned, &stage.inputs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Workload, "{error}");
    let error = stage.session.run(&stage.planned, &stage.inputs[1..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let profile = Profile::from_json(&stage.planned_json()).unwrap();
    let error = profile.plan(&[("large", 1)], Policy::Joint).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Workload, "{error}");
}
