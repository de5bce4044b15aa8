//! Plans that send tensors in encodings, executed by real processes: the right outputs, the planned
//! operations in the trace, and no job lost with the server.

use crate::run::{
    Served, check_trace, cutpoint, difference, end_server_in_mid_run, outputs, path, run,
    squeezenet, stderr,
};
use cutpoint::input::write_npy;
use cutpoint::tensor::Tensor;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const JOBS: usize = 4;

/// A workload of `JOBS` jobs whose early layers are quick on the device, and every tensor of which
/// can cross the link in `encoding`, at a quarter of its size.
pub(crate) fn workload(model: &Path, folder: &Path, encoding: &str) -> std::path::PathBuf {
    let file = folder.join("workload.json");
    let alone = ["profile", path(model), "--engine", "rten", "--threads", "1", "-o", path(&file)];
    let profiled = run(&alone);
    assert!(profiled.status.success(), "{}", stderr(&profiled));
    let text = std::fs::read_to_string(&file).unwrap();
    let mut workload: Value = serde_json::from_str(&text).unwrap();
    let encoded = |size: &mut Value| {
        let bytes = size.as_u64().expect("a size");
        let form = json!({ "bytes": bytes / 4 + 64, "encode_ms": 0.01, "decode_ms": 0.01 });
        *size = json!({ "bytes": bytes, "encodings": { encoding: form } });
    };
    let model = workload["models"].as_object_mut().unwrap().values_mut().next().unwrap();
    model["inputs"].as_object_mut().unwrap().values_mut().for_each(encoded);
    let layers = model["layers"].as_array_mut().unwrap();
    let half = layers.len() / 2;
    for (number, layer) in layers.iter_mut().enumerate() {
        layer["device_ms"] = json!(if number < half { 0.5 } else { 50.0 });
        layer["server_ms"] = json!(0.5);
        layer["writes"].as_object_mut().unwrap().values_mut().for_each(encoded);
    }
    workload["link"] = json!({ "uplink_mbps": 20.0, "rtt_ms": 1.0 });
    workload["jobs"][0]["count"] = json!(JOBS);
    std::fs::write(&file, workload.to_string()).unwrap();
    file
}

pub(crate) fn run_arguments<'a>(
    model: &'a Path,
    jobs: &'a str,
    workload: &'a Path,
    server: &'a Served,
    uplink_mbps: &'a str,
) -> Vec<&'a str> {
    let engine = ["--engine", "rten", "--threads", "1"];
    let how = ["--workload", path(workload), "--server", &server.address];
    let limit = ["--uplink-limit-mbps", uplink_mbps];
    [&["run", path(model), jobs][..], &engine, &how, &limit].concat()
}

/// The encode operations of a process of a trace: job and tensor.
fn encodes(trace: &Path, pid: u32) -> BTreeSet<String> {
    let text = std::fs::read_to_string(trace).unwrap();
    let trace: Value = serde_json::from_str(&text).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().iter();
    let names = events
        .filter(|e| e["ph"] == "X" && e["pid"] == pid && e["cat"] == "device")
        .filter_map(|e| e["name"].as_str())
        .filter(|name| name.contains(" encode "));
    names.map(str::to_owned).collect()
}

/// Executes plans with an encoding; returns the largest difference to the unsplit model.
fn largest_difference(encoding: &str) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let jobs = format!("synthetic:{JOBS}");
    let alone = run(&["run", path(&model), &jobs, "--engine", "rten", "--threads", "1"]);
    let expected = outputs(&alone);
    let workload = workload(&model, folder.path(), encoding);
    let server = Served::start(&model);
    let mut largest = 0.0f64;
    for (policy, granularity) in [("joint", "layer"), ("joint", "job"), ("server-only", "layer")] {
        let (trace, plan) = (folder.path().join("trace.json"), folder.path().join("plan.json"));
        let mut arguments = run_arguments(&model, &jobs, &workload, &server, "20");
        arguments.extend(["--policy", policy, "--granularity", granularity]);
        arguments.extend(["--trace", path(&trace), "--plan-output", path(&plan)]);
        let ran = run(&arguments);
        assert!(ran.status.success(), "{}", stderr(&ran));
        assert!(!stderr(&ran).contains("sent raw"), "{}", stderr(&ran));
        assert!(!stderr(&ran).contains("fell back"), "{}", stderr(&ran));
        assert!(stderr(&ran).contains(" MB raw"), "{}", stderr(&ran));
        let planned = encodes(&trace, 1);
        assert!(planned.len() >= JOBS, "{policy} at {granularity} granularity: {planned:?}");
        assert_eq!(encodes(&trace, 2), planned, "{policy} at {granularity} granularity");
        check_trace(&trace);
        let checked = run(&["check", path(&workload), path(&plan)]);
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        largest = largest.max(difference(&outputs(&ran), &expected));
    }
    largest
}

#[test]
fn a_plan_with_an_exact_encoding_gives_the_outputs_of_the_unsplit_model() {
    let found = largest_difference("zstd");
    assert!(found <= 1e-5, "differs by {found}");
}

#[test]
fn a_plan_with_a_lossy_encoding_gives_outputs_close_to_those_of_the_unsplit_model() {
    let found = largest_difference("u8+zstd");
    assert!(found > 1e-7, "nothing was lost: was anything encoded?");
    assert!(found <= 0.1, "differs by {found}");
}

#[test]
fn jobs_with_encoded_tensors_are_finished_locally_from_the_raw_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let jobs = "synthetic:6";
    let alone = run(&["run", path(&model), jobs, "--engine", "rten", "--threads", "1"]);
    let expected = outputs(&alone);
    let workload = workload(&model, folder.path(), "u8+zstd");
    let server = Served::start(&model);
    // Slow, so that the run is still going when the server dies.
    let mut arguments = run_arguments(&model, jobs, &workload, &server, "2");
    arguments.extend(["--policy", "server-only"]);
    let output = end_server_in_mid_run(cutpoint(&arguments), server);
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("finished on the device"), "{said}");
    let found = outputs(&output);
    // The last job cannot have reached the server.
    let last = found.len() - 1;
    let off = difference(&found[last..], &expected[last..]);
    assert!(off <= 1e-5, "differs by {off}");
    assert!(difference(&found, &expected) <= 0.1);
}

#[test]
fn an_unknown_encoding_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let workload = workload(&model, folder.path(), "telepathy");
    let server = Served::start(&model);
    let refused = run(&run_arguments(&model, "synthetic:2", &workload, &server, "20"));
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("unknown encoding \"telepathy\", expected one of zstd"), "{said}");
    assert!(refused.stdout.is_empty());
}

#[test]
fn a_tensor_out_of_range_for_its_encoding_is_sent_raw() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let shape = vec![1, 3, 224, 224];
    let mut values: Vec<f32> = (0..3 * 224 * 224).map(|i| (i % 251) as f32 / 251.0).collect();
    let write = |name: &str, values: &[f32]| {
        let tensor = Tensor::from_f32(shape.clone(), values).unwrap();
        let file = folder.path().join(name);
        write_npy(&file, &tensor).unwrap();
        file
    };
    let plain = write("plain.npy", &values);
    let files = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|wrong| {
        values[12_345] = wrong;
        write(&format!("{wrong}.npy"), &values)
    });
    let server = Served::start(&model);
    for encoding in ["u8", "f16+zstd"] {
        let workload = workload(&model, folder.path(), encoding);
        let mut arguments = run_arguments(&model, path(&plain), &workload, &server, "50");
        arguments.splice(3..3, files.iter().map(|file| path(file)));
        arguments.extend(["--policy", "server-only"]);
        let ran = run(&arguments);
        let said = stderr(&ran);
        assert!(ran.status.success(), "{said}");
        assert_eq!(said.matches("is sent raw").count(), 3, "{said}");
        assert!(said.contains("a number is infinite or NaN"), "{said}");
        assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), 4);
    }
}
