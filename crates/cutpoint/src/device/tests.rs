//! The executor with real threads: jobs, plans and cancels that come while it works.

use super::control::Control;
use super::*;
use crate::engine::EngineOptions;
use crate::engine::rten::Rten;
use crate::error::Result;
use crate::input::{Inputs, Supply};
use crate::onnx::LayeredModel;
use crate::onnx::tests::small::{layered, model, node, weight};
use crate::profile::unsplit_outputs;
use crate::trace::Execution;
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, LayerBuilder, Link, ModelBuilder, ModelId, Workload};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const OPTIONS: EngineOptions = EngineOptions { threads: NonZeroUsize::MIN };
const MODEL: ModelId = ModelId(0);

/// A device that keeps `jobs` jobs of a small model.
struct Bench {
    model: LayeredModel,
    workload: Workload,
    prepared: Prepared,
}

impl Bench {
    fn new(jobs: u64) -> Bench {
        let nodes = vec![
            node("MatMul", &["x", "w"], &["a"]),
            node("Tanh", &["a"], &["b"]),
            node("MatMul", &["b", "v"], &["y"]),
        ];
        let weights = vec![weight("w", &[8, 8]), weight("v", &[8, 8])];
        let model_of = layered(&model(&[32, 8], nodes, weights, &["y"]));
        let mut described = ModelBuilder::new("small").input("x", 1024);
        for layer in &model_of.layers().layers {
            let takes = Time::from_nanoseconds(1_000_000);
            let mut built = LayerBuilder::new(layer.name.clone()).device(takes);
            for tensor in &layer.reads {
                built = built.read(tensor.clone());
            }
            for tensor in &layer.writes {
                built = built.write(tensor.clone(), 1024);
            }
            described = described.layer(built);
        }
        let link = Link::at(Bandwidth::from_mbit_per_s(1.0).unwrap());
        let workload = Workload::builder(link).add_model(described).add_jobs("small", jobs);
        let workload = workload.build().unwrap();
        let plan =
            cutpoint_plan::policy::plan(&workload, Policy::LocalOnly, &PlanOptions::default());
        let program = Program::new(&workload, &plan.unwrap()).unwrap();
        let models = vec![Arc::new(model_of.clone())];
        let speed = SpeedFraction::FULL;
        let engine = Arc::new(Rten::new());
        let loaded = Loaded { segments: program.segments.clone(), suffixes: Suffixes::new(false) };
        let segments = loaded.segments.clone();
        let device = Device::load(engine, OPTIONS, speed, models, segments).unwrap();
        let prepared = Prepared { program, device, loaded, cuts: Vec::new() };
        Bench { model: model_of, workload, prepared }
    }

    fn inputs(&self, seed: u64) -> Inputs {
        let made = self.model.model().synthetic_inputs(seed).into_iter();
        made.map(|(name, tensor)| (name, tensor.into())).collect()
    }

    /// Executes; returns the jobs in the order in which they completed, each with the right outputs:
    /// those of the inputs with its number.
    fn run<'r>(
        &'r mut self,
        arrivals: &'r mut dyn Arrivals<'_>,
        planner: Option<&'r mut dyn Planner>,
        inbox: Inbox,
        mut on_job: impl FnMut(u32),
    ) -> (Execution, Vec<u32>) {
        let options = RunOptions { patience: Duration::from_secs(600), ..RunOptions::default() };
        let (workload, server) = (&self.workload, None);
        let executor = Executor { workload, arrivals, planner, server, inbox, options };
        let mut found = Vec::new();
        let execution = executor.run(&mut self.prepared, |job, outputs| {
            found.push((job, outputs));
            on_job(job.0);
        });
        for (job, outputs) in &found {
            let inputs = [self.inputs(job.0.into())];
            let whole = self.model.model();
            let expected = unsplit_outputs(&Rten::new(), OPTIONS, whole, &inputs).unwrap();
            assert_eq!(outputs[..], expected[0][..], "job {}", job.0);
        }
        let order = found.iter().map(|(job, _)| job.0).collect();
        (execution.unwrap(), order)
    }
}

#[test]
fn jobs_submitted_while_it_works_run_on_the_device_without_a_plan() {
    let mut bench = Bench::new(1);
    let (control, inbox) = Inbox::open();
    let inputs: Vec<Inputs> = (0..4).map(|seed| bench.inputs(seed)).collect();
    assert_eq!(control.submit(MODEL, inputs[0].clone()), JobId(0));
    let mut control = Some(control);
    let (execution, order) = bench.run(&mut (), None, inbox, |job| {
        let next = job + 1;
        match inputs.get(next as usize) {
            Some(inputs) => {
                let submitted = control.as_ref().unwrap().submit(MODEL, inputs.clone());
                assert_eq!(submitted, JobId(next));
            }
            // The last handle is dropped, so no more jobs can come.
            None => drop(control.take()),
        }
    });
    assert_eq!(order, [0, 1, 2, 3]);
    assert_eq!(execution.latencies.len(), 4);
    assert!(execution.failures.is_empty() && execution.cancelled.is_empty());
}

#[test]
fn a_job_with_inputs_that_do_not_fit_fails_alone() {
    let mut bench = Bench::new(1);
    let (control, inbox) = Inbox::open();
    control.submit(MODEL, Inputs::new());
    control.submit(MODEL, bench.inputs(1));
    control.close();
    let (execution, order) = bench.run(&mut (), None, inbox, |_| {});
    assert_eq!(order, [1]);
    assert_eq!(execution.failures.len(), 1);
    assert_eq!(execution.failures[0].0, JobId(0));
}

/// Inputs of a batch. Those of job 3 are held back until they are released, and with them the device.
struct HeldBack {
    inputs: Vec<Inputs>,
    released: Mutex<Option<Receiver<()>>>,
}

impl Supply for HeldBack {
    fn count(&self) -> usize {
        self.inputs.len()
    }

    fn inputs(&self, job: usize) -> Inputs {
        if job == 3
            && let Some(released) = self.released.lock().unwrap().take()
        {
            released.recv().unwrap();
        }
        self.inputs[job].clone()
    }
}

/// Plans nothing. Releases the inputs when it is asked, which is when a job was submitted and all
/// commands before that were carried out.
struct Release(Sender<()>);

impl Planner for Release {
    fn plan(&mut self, _jobs: &[(JobId, ModelId)], _: &Standing) -> Result<Option<Planned>> {
        self.0.send(()).unwrap();
        Ok(None)
    }
}

/// Runs a batch of six jobs. When job 2 is complete, and the device waits for the inputs of job 3,
/// `command` is called, and then job 6 submitted.
fn run_held_back(command: impl Fn(&Control, &Segments, &Workload)) -> (Execution, Vec<u32>) {
    let mut bench = Bench::new(6);
    let (release, released) = channel();
    let inputs = (0..6).map(|seed| bench.inputs(seed)).collect();
    let (last, workload) = (bench.inputs(6), bench.workload.clone());
    let segments = bench.prepared.loaded.segments.clone();
    let supply = HeldBack { inputs, released: Mutex::new(Some(released)) };
    let mut batch = Batch::new(&bench.prepared, &supply).unwrap();
    let (control, inbox) = Inbox::open();
    bench.run(&mut batch, Some(&mut Release(release)), inbox, |job| {
        if job == 2 {
            command(&control, &segments, &workload);
            assert_eq!(control.submit(MODEL, last.clone()), JobId(6));
            control.close();
        }
    })
}

#[test]
fn cancelled_jobs_do_not_complete_and_the_others_do() {
    let (execution, order) = run_held_back(|control, _, _| {
        // The device waits for the inputs of job 3, and job 4 has not begun.
        control.cancel(JobId(3));
        control.cancel(JobId(4));
        // It has ended, and this one never comes.
        control.cancel(JobId(0));
        control.cancel(JobId(9));
    });
    assert_eq!(order, [0, 1, 2, 5, 6]);
    assert_eq!(execution.cancelled, [JobId(3), JobId(4)]);
    assert_eq!((execution.ended, execution.is_cancelled), (5, false));
    assert_eq!(execution.completions[3..5], [None, None]);
    assert!(execution.failures.is_empty());
}

/// A plan in which the last two jobs of the batch change places, and which names a job that has ended.
fn other_order(segments: &Segments, workload: &Workload) -> Planned {
    let jobs = [5, 4, 0].map(|job| (JobId(job), MODEL));
    Planned::local(segments, workload, &jobs)
}

#[test]
fn a_new_plan_holds_for_the_jobs_that_have_not_begun() {
    let (execution, order) = run_held_back(|control, segments, workload| {
        control.plan(Some(other_order(segments, workload)));
    });
    assert_eq!(order, [0, 1, 2, 3, 5, 4, 6]);
    let [change] = &execution.changes[..] else { panic!("{:?}", execution.changes) };
    assert_eq!((change.jobs, change.offloaded, change.uplink), (2, 0, None));
}

#[test]
fn a_plan_that_is_taken_away_leaves_the_jobs_on_the_device() {
    let (execution, order) = run_held_back(|control, segments, workload| {
        control.plan(Some(other_order(segments, workload)));
        control.plan(None);
    });
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(execution.changes.len(), 2);
}

#[test]
fn a_cancelled_run_ends_though_more_jobs_may_come() {
    let mut bench = Bench::new(1);
    let (control, inbox) = Inbox::open();
    control.submit(MODEL, bench.inputs(0));
    let (execution, order) = bench.run(&mut (), None, inbox, |_| control.cancel_all());
    assert_eq!(order, [0]);
    assert!(execution.is_cancelled);
}
