//! Inputs of jobs are there when they are needed, and not much longer.

use super::OPTIONS;
use super::{Bench, JobId, LONG, check_output, plan_at, rten, serve};
use crate::device::{HELD_BYTES_MAX, RunOptions};
use crate::error::{Error, ErrorKind};
use crate::input::{Input, Inputs, Supply};
use crate::onnx::LayeredModel;
use crate::onnx::tests::small::*;
use crate::profile::unsplit_outputs;
use crate::tensor::{ElementType, Tensor};
use bytes::Bytes;
use cutpoint_plan::options::Granularity;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const JOBS: usize = 40;

/// Three for each machine that jobs come to from outside.
const AHEAD_MAX: usize = 6;

fn network() -> LayeredModel {
    let nodes = vec![
        node("MatMul", &["x", "w"], &["a"]),
        node("Tanh", &["a"], &["b"]),
        node("MatMul", &["b", "v"], &["y"]),
    ];
    let weights = vec![weight("w", &[8, 8]), weight("v", &[8, 8])];
    layered(&model(&[32, 8], nodes, weights, &["y"]))
}

/// Inputs that are counted while they are held.
struct Counted {
    inputs: Vec<Inputs>,
    held: Arc<AtomicUsize>,
    most: AtomicUsize,
    loads: Mutex<Vec<usize>>,
    /// A job whose inputs cannot be loaded.
    bad: Option<usize>,
}

/// Bytes of an input that is counted.
struct Guard(Bytes, Arc<AtomicUsize>);

impl AsRef<[u8]> for Guard {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counted {
    fn new(inputs: Vec<Inputs>, bad: Option<usize>) -> Counted {
        let (held, most) = (Arc::default(), AtomicUsize::new(0));
        Counted { inputs, held, most, loads: Mutex::default(), bad }
    }

    /// The jobs whose inputs were asked for, once for each time.
    fn loads(&self) -> Vec<usize> {
        let mut loads = self.loads.lock().unwrap().clone();
        loads.sort_unstable();
        loads
    }
}

impl Supply for Counted {
    fn count(&self) -> usize {
        self.inputs.len()
    }

    fn inputs(&self, job: usize) -> Inputs {
        self.loads.lock().unwrap().push(job);
        if self.bad == Some(job) {
            let error = Error::new(ErrorKind::File, "cannot be opened").at("frame.npy");
            return [("x".to_owned(), Input::Unusable(Arc::new(error)))].into();
        }
        let value = self.inputs[job]["x"].tensor().unwrap();
        let held = self.held.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(held, Ordering::SeqCst);
        let bytes = Bytes::from_owner(Guard(value.bytes().clone(), self.held.clone()));
        let value = Tensor::new(ElementType::F32, value.shape().to_vec(), bytes).unwrap();
        [("x".to_owned(), value.into())].into()
    }
}

fn run(device_layers: &[usize], bad: Option<usize>) -> Counted {
    run_within(HELD_BYTES_MAX, device_layers, bad)
}

/// Executes jobs that keep the given numbers of layers on the device, and checks the outputs of all but the bad
/// one.
fn run_within(held_bytes_max: usize, device_layers: &[usize], bad: Option<usize>) -> Counted {
    let server = serve(rten(), &network());
    let bench = Bench::new(rten(), network(), &server.address().to_string());
    let workload = bench.workload(device_layers.len(), &[]);
    let plan = plan_at(&workload, device_layers, Granularity::Layer);
    let mut prepared = bench.prepare(&workload, &plan);
    let supply = Counted::new(bench.inputs(device_layers.len()), bad);
    let whole = bench.side.models[0].model.model();
    let expected = unsplit_outputs(&*rten(), OPTIONS, whole, &supply.inputs).unwrap();
    let how = RunOptions { patience: LONG, held_bytes_max, ..RunOptions::default() };
    let mut ended = Vec::new();
    let on_outputs = |job: JobId, found: Vec<(String, Tensor)>| {
        expected[job.index()].iter().for_each(|(n, e)| check_output(job.index(), &found, n, e));
        ended.push(job.index());
    };
    let execution =
        bench.side.execute_batch(&mut prepared, &workload, &supply, None, how, on_outputs).unwrap();
    ended.sort_unstable();
    let all = (0..device_layers.len()).filter(|&job| Some(job) != bad);
    assert_eq!(ended, all.collect::<Vec<_>>());
    assert_eq!(execution.fallbacks, []);
    let failures: Vec<_> = execution.failures.iter().map(|(job, c)| (job.index(), &**c)).collect();
    let expected = bad.map(|job| (job, "[file] frame.npy: cannot be opened"));
    assert_eq!(failures, expected.into_iter().collect::<Vec<_>>());
    assert_eq!(supply.held.load(Ordering::SeqCst), 0, "all are dropped in the end");
    supply
}

#[test]
fn few_jobs_hold_their_inputs_at_a_time() {
    // Everything on the device; and all jobs cut behind their only layer that reads an input.
    for layers in [2, 1] {
        let supply = run(&[layers; JOBS], None);
        let most = supply.most.load(Ordering::SeqCst);
        assert!(most <= AHEAD_MAX + 2, "{most} at a time, with {layers} layers on the device");
        assert_eq!(supply.loads(), (0..JOBS).collect::<Vec<_>>(), "each once");
    }
}

#[test]
fn retained_tensors_stay_within_their_limit() {
    let input_bytes = 32 * 8 * size_of::<f32>();
    for jobs in [1, 2] {
        let supply = run_within(jobs * input_bytes, &[0; JOBS], None);
        let most = supply.most.load(Ordering::SeqCst);
        assert!(most <= AHEAD_MAX + jobs + 2, "{most} at a time, {jobs} unanswered");
    }
    // Less than a single tensor: one job at a time, from the device and as they are.
    let layers: Vec<usize> = (0..JOBS).map(|job| job % 3).collect();
    run_within(1, &layers, None);
    run_within(1, &[1; JOBS], None);
}

#[test]
fn inputs_that_leave_as_they_are_are_loaded_in_their_turn() {
    let supply = run(&[0; JOBS], None);
    assert_eq!(supply.loads(), (0..JOBS).collect::<Vec<_>>(), "each once");
    let layers: Vec<usize> = (0..JOBS).map(|job| job % 3).collect();
    run(&layers, None);
}

#[test]
fn a_job_whose_input_cannot_be_loaded_fails_alone() {
    for layers in 0..3 {
        run(&[layers; 12], Some(7));
        run(&[layers; 12], Some(0));
    }
}
