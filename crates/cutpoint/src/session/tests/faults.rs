//! Servers and links that hang, break, or answer wrongly in the middle of a run: each job ends once
//! with the right outputs, and the run says which the device finished itself, and why.

use super::meddler::{Habits, Meddler, Then};
use super::relay::{Fault, Relay};
use super::{Bench, LONG, fallbacks, plan_at, rten, serve};
use crate::device::RunOptions;
use crate::onnx::LayeredModel;
use crate::onnx::tests::small::{layered, model, node, weight};
use crate::server::Server;
use crate::session::RunSummary;
use crate::tensor::Tensor;
use crate::trace::{Execution, chrome_trace};
use crate::wire::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};
use crate::wire::parameters::names;
use bytes::Bytes;
use cutpoint_plan::options::Granularity;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const JOBS: usize = 8;

/// The job that something happens to.
const BAD: u32 = 3;

/// Bytes of the model's input, and of every tensor in it.
const TENSOR_BYTES: usize = 4 * 256;

fn network() -> LayeredModel {
    let nodes = vec![
        node("MatMul", &["x", "w"], &["a"]),
        node("Tanh", &["a"], &["b"]),
        node("MatMul", &["b", "v"], &["y"]),
    ];
    let weights = vec![weight("w", &[8, 8]), weight("v", &[8, 8])];
    layered(&model(&[32, 8], nodes, weights, &["y"]))
}

/// Runs jobs that are cut behind their first layer, the even ones, or wholly on the server;
/// checks that all have the right outputs.
fn run(address: &str, encodings: &[&str], patience: Duration, before: impl FnOnce()) -> Execution {
    let bench = Bench::new(rten(), network(), address);
    let workload = bench.workload(JOBS, encodings);
    let cuts: Vec<usize> = (0..JOBS).map(|job| 1 - job % 2).collect();
    let plan = plan_at(&workload, &cuts, Granularity::Layer);
    let mut prepared = bench.prepare(&workload, &plan);
    before();
    let execution = bench.run(&mut prepared, &workload, patience);

    let summary = RunSummary::of_batch(&plan, &execution, [None, None]);
    assert_eq!(summary.fallbacks, execution.fallbacks.len());
    let text = summary.render();
    let trace = chrome_trace(&workload, &plan, Some(&execution)).to_string();
    for (_, cause) in &execution.fallbacks {
        assert!(text.contains(cause), "{text}");
        let cause = serde_json::to_string(cause).unwrap();
        assert!(trace.contains(&cause), "{trace}");
    }
    execution
}

#[test]
fn a_wire_that_breaks_in_mid_run_costs_no_job() {
    for fault in [Fault::Silence, Fault::Garbage, Fault::Close] {
        let server = serve(rten(), &network());
        let relay = Relay::start(server.address());
        let patience = match fault {
            Fault::Silence => Duration::from_millis(200),
            Fault::Garbage | Fault::Close => LONG,
        };
        let arm = || relay.arm(3 * TENSOR_BYTES, fault);
        let execution = run(&relay.address.to_string(), &[], patience, arm);
        let (jobs, cause) = fallbacks(&execution);
        // What the first two jobs send fits through; what the last four send does not.
        assert!((4..8).all(|job| jobs.contains(&job)), "{fault:?}: {jobs:?}");
        let is_silence = cause.contains("the server said nothing for 200");
        assert_eq!(is_silence, fault == Fault::Silence, "{fault:?}: {cause}");
    }
}

/// Runs with a meddler between device and server; returns who fell back, and why the first did.
fn run_with(
    encodings: &[&str],
    patience: Duration,
    request: impl Fn(&mut ModelInferRequest) + Send + Sync + 'static,
    reply: impl Fn(&mut ModelStreamInferResponse) -> Then + Send + Sync + 'static,
) -> (Vec<u32>, String) {
    let server: Server = serve(rten(), &network());
    let habits = Habits { request: Arc::new(request), reply: Arc::new(reply) };
    let meddler = Meddler::start(server.address(), habits);
    fallbacks(&run(&meddler.address.to_string(), encodings, patience, || ()))
}

/// The same with the bad job's reply changed.
fn with_reply(
    patience: Duration,
    change: impl Fn(&mut ModelStreamInferResponse) -> Then + Send + Sync + 'static,
) -> (Vec<u32>, String) {
    let is_bad = |message: &ModelStreamInferResponse| {
        message.infer_response.as_ref().is_some_and(|reply| reply.id == BAD.to_string())
    };
    let reply = move |message: &mut ModelStreamInferResponse| match is_bad(message) {
        true => change(message),
        false => Then::Pass,
    };
    run_with(&[], patience, |_| (), reply)
}

/// The same with the bad job's requests changed.
fn with_request(
    encodings: &[&str],
    change: impl Fn(&mut ModelInferRequest) + Send + Sync + 'static,
) -> (Vec<u32>, String) {
    let request = move |message: &mut ModelInferRequest| {
        if message.id == BAD.to_string() {
            change(message);
        }
    };
    run_with(encodings, LONG, request, |_| Then::Pass)
}

#[test]
fn an_unexpected_reply_fails_only_its_job() {
    type Change = fn(&mut ModelInferResponse);
    let cases: [(Change, &str); 6] = [
        (|reply| reply.outputs[0].shape = vec![8, 32], "FP32 [8, 32], expected FP32 [32, 8]"),
        (|reply| reply.outputs[0].datatype = "INT32".into(), "INT32 [32, 8], expected FP32"),
        (|reply| reply.outputs[0].shape = vec![i64::MAX, 8], "more than"),
        (|reply| reply.outputs[0].name = "z".into(), "output \"y\" is missing"),
        (
            |reply| drop(reply.raw_output_contents[0].split_off(TENSOR_BYTES - 1)),
            "has 1024 bytes, found 1023",
        ),
        (
            |reply| {
                reply.outputs.clear();
                reply.raw_output_contents.clear();
            },
            "output \"y\" is missing",
        ),
    ];
    for (change, expected) in cases {
        let (jobs, cause) = with_reply(LONG, move |message| {
            change(message.infer_response.as_mut().expect("a reply"));
            Then::Pass
        });
        assert_eq!(jobs, [BAD], "{cause}");
        assert!(cause.contains(expected), "{expected}: {cause}");
    }
}

#[test]
fn a_job_that_the_server_refuses_is_finished_on_the_device() {
    let (jobs, cause) = with_reply(LONG, |message| {
        message.error_message = "out of order".into();
        Then::Pass
    });
    assert_eq!((jobs, cause.as_str()), (vec![BAD], "out of order"));
}

#[test]
fn missing_answers_time_out_only_after_the_full_deadline() {
    let (jobs, cause) = with_reply(Duration::from_millis(200), |_| Then::Hang);
    assert!(jobs.contains(&BAD), "{jobs:?}");
    assert!(cause.contains("said nothing"), "{cause}");
}

#[test]
fn unsolicited_answers_are_ignored() {
    let (jobs, cause) = with_reply(LONG, |message| {
        message.infer_response.as_mut().expect("a reply").id = "4711".into();
        Then::Pass
    });
    assert_eq!((jobs, cause.as_str()), (vec![BAD], "the server ended the stream"));

    // The second answer, of whatever job it is, says that it is the first one's.
    let answered: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = answered.clone();
    let (jobs, cause) = run_with(
        &[],
        LONG,
        |_| (),
        move |message| {
            let reply = message.infer_response.as_mut().expect("a reply");
            let mut seen = seen.lock().unwrap();
            seen.push(reply.id.clone());
            if seen.len() == 2 {
                reply.id.clone_from(&seen[0]);
            }
            Then::Pass
        },
    );
    let unanswered: u32 = answered.lock().unwrap()[1].parse().unwrap();
    assert_eq!((jobs, cause.as_str()), (vec![unanswered], "the server ended the stream"));
}

#[test]
fn an_encoding_unknown_to_the_server_fails_only_its_job() {
    let (jobs, cause) = with_request(&["zstd"], |request| {
        let parameters = &mut request.inputs[0].parameters;
        assert!(parameters.contains_key(names::ENCODING));
        let telepathy = crate::wire::parameters::text("telepathy");
        parameters.insert(names::ENCODING.to_owned(), telepathy);
    });
    assert_eq!(jobs, [BAD]);
    assert!(cause.contains("unknown encoding `telepathy`"), "{cause}");
}

/// Replaces the numbers of an encoded tensor of two dimensions.
fn replace_numbers(request: &mut ModelInferRequest, numbers: &[u8]) {
    const HEADER_BYTES: usize = 3 + 2 * 4;
    let mut bytes = request.raw_input_contents[0].slice(..HEADER_BYTES).to_vec();
    bytes.extend_from_slice(numbers);
    request.inputs[0].shape = vec![bytes.len() as i64];
    request.raw_input_contents[0] = Bytes::from(bytes);
}

#[test]
fn a_payload_longer_than_its_header_fails_only_its_job() {
    let more = zstd::bulk::compress(&[0; 4 * TENSOR_BYTES], 1).unwrap();
    // The two bytes behind magic number and descriptor tell the content's size less 256.
    let size = (4 * TENSOR_BYTES - 256) as u16;
    assert_eq!(more[5..7], size.to_le_bytes());
    let mut liar = more.clone();
    liar[5..7].copy_from_slice(&((TENSOR_BYTES - 256) as u16).to_le_bytes());
    for frame in [more, liar] {
        let change = move |request: &mut ModelInferRequest| replace_numbers(request, &frame);
        let (jobs, cause) = with_request(&["zstd"], change);
        assert_eq!(jobs, [BAD], "{cause}");
        assert!(cause.contains("zstd"), "{cause}");
    }
}

#[test]
fn a_shape_mismatch_between_prefix_and_suffix_fails_only_its_job() {
    let (jobs, cause) = with_request(&[], |request| request.inputs[0].shape = vec![8, 32]);
    assert_eq!(jobs, [BAD]);
    assert!(cause.contains("[8, 32]"), "{cause}");
}

#[test]
fn inputs_that_do_not_fit_fail_their_job_alone() {
    let server = serve(rten(), &network());
    let bench = Bench::new(rten(), network(), &server.address().to_string());
    let workload = bench.workload(JOBS, &[]);
    let all = bench.layers();
    // The bad jobs are one on the server and one on the device.
    let plan = plan_at(&workload, &[0, all, 0, 0, 1, all, 0, 0], Granularity::Layer);
    let mut prepared = bench.prepare(&workload, &plan);
    let mut inputs = bench.inputs(JOBS);
    inputs[3].clear();
    let half = Tensor::from_f32(vec![16, 8], &[0.0; 128]).unwrap();
    inputs[5].insert("x".into(), half.into());
    let mut done = Vec::new();
    let how = RunOptions { patience: LONG, ..RunOptions::default() };
    let execution = bench
        .side
        .execute_batch(&mut prepared, &workload, &inputs, None, how, |job, _| done.push(job.0))
        .unwrap();
    done.sort_unstable();
    assert_eq!(done, [0, 1, 2, 4, 6, 7]);
    let failures: Vec<(u32, &str)> =
        execution.failures.iter().map(|(job, cause)| (job.0, cause.as_str())).collect();
    let expected = [
        (3, "[input] input \"x\" is missing"),
        (5, "[input] input \"x\": FP32 [16, 8], expected FP32 [32, 8]"),
    ];
    assert_eq!(failures, expected);
    assert_eq!(execution.fallbacks, []);
}

#[test]
fn nan_values_pass_through() {
    let server = serve(rten(), &network());
    let bench = Bench::new(rten(), network(), &server.address().to_string());
    for encodings in [&[][..], &["zstd"]] {
        let workload = bench.workload(3, encodings);
        let plan = plan_at(&workload, &[0, 1, bench.layers()], Granularity::Layer);
        let mut inputs = bench.inputs(3);
        let mut values = [f32::NAN; 256];
        values[8..16].fill(f32::INFINITY);
        let values = Tensor::from_f32(vec![32, 8], &values).unwrap();
        inputs[1].insert("x".into(), values.into());
        let mut prepared = bench.prepare(&workload, &plan);
        let execution = bench.run_on(&inputs, &mut prepared, &workload, LONG);
        assert_eq!(execution.fallbacks, []);
    }
}
