//! The program from end to end: real processes, real sockets, small models.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program, on the embedded engine unless the arguments say otherwise.
pub(crate) fn cutpoint(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutpoint"));
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    cutpoint(arguments).output().expect("the program starts")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A served model, ended with this value.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
}

impl Served {
    pub(crate) fn start(model: &Path) -> Served {
        Served::start_at(model, "127.0.0.1:0")
    }

    pub(crate) fn start_at(model: &Path, address: &str) -> Served {
        let engine = ["--engine", "rten", "--threads", "1"];
        Served::start_with(&[&[path(model), "--listen", address][..], &engine].concat())
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Served {
        let mut child = cutpoint(&[&["serve"], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("an address");
        Served { child, address: line.trim().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A zoo model in a folder.
pub(crate) fn squeezenet(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("squeezenet.onnx");
    let made = run(&["zoo", "squeezenet", "-o", path(&file)]);
    assert!(made.status.success(), "{}", stderr(&made));
    file
}

/// The outputs of all jobs by number, from JSON lines.
pub(crate) fn outputs(output: &Output) -> Vec<Vec<f64>> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let mut jobs: Vec<(u64, Vec<f64>)> = text
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).expect("a JSON line");
            let tensors = value["outputs"].as_object().expect("outputs");
            let data = tensors.values().flat_map(|t| t["data"].as_array().expect("data"));
            let values = data.map(|v| v.as_f64().expect("a number")).collect();
            (value["job"].as_u64().expect("a job"), values)
        })
        .collect();
    jobs.sort_by_key(|(job, _)| *job);
    assert!(jobs.iter().enumerate().all(|(i, (job, _))| i as u64 == *job), "each job once");
    jobs.into_iter().map(|(_, values)| values).collect()
}

/// The largest difference, relative to the largest value.
pub(crate) fn difference(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    assert_eq!(a.len(), b.len());
    let (a, b): (Vec<f64>, Vec<f64>) = (a.concat(), b.concat());
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0.0f64, |m, (x, y)| m.max((x - y).abs())) / scale
}

#[test]
fn every_policy_gives_the_outputs_of_the_unsplit_model_and_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let alone = run(&["run", path(&model), "synthetic:4", "--engine", "rten", "--threads", "1"]);
    assert!(alone.status.success(), "{}", stderr(&alone));
    let expected = outputs(&alone);
    assert_eq!(expected.len(), 4);

    let server = Served::start(&model);
    let workload = folder.path().join("workload.json");
    let measured = run(&[
        "profile",
        path(&model),
        "--engine",
        "rten",
        "--threads",
        "1",
        "--server",
        &server.address,
        "--uplink-limit-mbps",
        "50",
        "--device-fraction",
        "0.5",
        "--rehearse",
        "4",
        "-o",
        path(&workload),
    ]);
    assert!(measured.status.success(), "{}", stderr(&measured));
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&workload).unwrap()).unwrap();
    assert_eq!(written["jobs"], serde_json::json!([{ "model": "squeezenet", "count": 1 }]));
    for (policy, granularity) in [
        ("local-only", "layer"),
        ("server-only", "layer"),
        ("partition-only", "layer"),
        ("schedule-only", "job"),
        ("joint", "layer"),
        ("joint", "job"),
    ] {
        let trace = folder.path().join("trace.json");
        let ran = run(&[
            "run",
            path(&model),
            "synthetic:4",
            "--engine",
            "rten",
            "--threads",
            "1",
            "--server",
            &server.address,
            "--workload",
            path(&workload),
            "--policy",
            policy,
            "--granularity",
            granularity,
            "--trace",
            path(&trace),
            "--uplink-limit-mbps",
            "50",
        ]);
        assert!(ran.status.success(), "{policy}: {}", stderr(&ran));
        let found = difference(&outputs(&ran), &expected);
        assert!(found <= 1e-5, "{policy} at {granularity} granularity differs by {found}");
        check_trace(&trace);
    }
}

/// Outputs are written in rehearsals and repeats too, since that takes time, but to nowhere.
#[test]
fn rehearsed_and_repeated_runs_give_each_output_once() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let jobs = ["run", path(&model), "synthetic:3", "--engine", "rten", "--threads", "1"];
    let expected = outputs(&run(&jobs));
    let server = Served::start(&model);
    let repeated_for = |ms: &str| {
        let mut command = cutpoint(&jobs);
        command
            .args(["--server", &server.address, "--uplink-limit-mbps", "50", "--raw"])
            .args(["--device-fraction", "0.5", "--rehearse", "2", "--format", "json"])
            .args(["--repeat-ms", ms, "--policy", "joint"]);
        command
    };
    let runs = |ran: &Output| -> u64 {
        assert!(ran.status.success(), "{}", stderr(ran));
        let summary = stderr(ran).lines().rev().find_map(|line| serde_json::from_str(line).ok());
        let summary: Value = summary.expect("a summary");
        summary["runs"].as_u64().expect("a number")
    };
    let ran = repeated_for("1000000").output().expect("the program starts");
    assert_eq!(runs(&ran), 21);
    assert!(difference(&outputs(&ran), &expected) <= 1e-5);
    let files = folder.path().join("outputs");
    let ran = repeated_for("0").args(["--output", path(&files)]).output();
    assert_eq!(runs(&ran.expect("the program starts")), 1);
    let names = std::fs::read_dir(&files).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().enumerate().all(|(job, name)| name.starts_with(&format!("{job:05}-"))));
}

#[test]
fn the_written_plan_is_valid_for_the_written_workload() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let server = Served::start(&model);
    let [workload, plan, trace] =
        ["workload.json", "plan.json", "trace.json"].map(|name| folder.path().join(name));
    for rehearse in ["0", "2"] {
        let ran = cutpoint(&["run", path(&model), "synthetic:4", "--engine", "rten"])
            .args(["--threads", "1", "--server", &server.address, "--uplink-limit-mbps", "50"])
            .args(["--device-fraction", "0.5", "--raw", "--rehearse", rehearse])
            .args(["--workload-output", path(&workload), "--plan-output", path(&plan)])
            .args(["--trace", path(&trace)])
            .output()
            .expect("the program starts");
        assert!(ran.status.success(), "{rehearse}: {}", stderr(&ran));
        let checked = run(&["check", path(&workload), path(&plan)]);
        assert!(checked.status.success(), "{rehearse}: {}", stderr(&checked));
        let page = folder.path().join("report.html");
        let arguments = ["--trace", path(&trace), "-o", path(&page)];
        let shown = cutpoint(&["report", path(&workload), path(&plan)]).args(arguments).output();
        let shown = shown.expect("the program starts");
        assert!(shown.status.success(), "{rehearse}: {}", stderr(&shown));
    }
}

/// Planned and measured operations are there, and none overlap on the device or the uplink.
pub(crate) fn check_trace(path: &Path) {
    let text = std::fs::read_to_string(path).expect("a trace");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    for pid in [1, 2] {
        for tid in [1, 2] {
            let mut spans: Vec<(f64, f64)> = events
                .iter()
                .filter(|e| e["ph"] == "X" && e["pid"] == pid && e["tid"] == tid)
                .map(|e| {
                    let (start, length) = (e["ts"].as_f64(), e["dur"].as_f64());
                    (start.expect("ts"), start.expect("ts") + length.expect("dur"))
                })
                .collect();
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            let overlap = spans.windows(2).find(|pair| pair[1].0 < pair[0].1 - 0.01);
            assert_eq!(overlap, None, "process {pid}, row {tid}");
        }
        let has_device = events.iter().any(|e| e["pid"] == pid && e["ph"] == "X");
        assert!(has_device, "process {pid} is empty");
    }
}

/// What a run prints whose server is ended when the first job is complete.
pub(crate) fn end_server_in_mid_run(mut device: Command, server: Served) -> Output {
    let device = device.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut device = device.spawn().expect("the program starts");
    let mut stdout = BufReader::new(device.stdout.take().expect("piped"));
    let mut first = String::new();
    stdout.read_line(&mut first).expect("the first job's outputs");
    drop(server);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the other outputs");
    let mut said = String::new();
    let mut log = device.stderr.take().expect("piped");
    log.read_to_string(&mut said).expect("the summary");
    Output {
        status: device.wait().expect("it ends"),
        stdout: format!("{first}{rest}").into_bytes(),
        stderr: said.into_bytes(),
    }
}

#[test]
fn jobs_finish_with_the_right_outputs_without_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let alone = run(&["run", path(&model), "synthetic:6", "--engine", "rten", "--threads", "1"]);
    let expected = outputs(&alone);
    let server = Served::start(&model);
    // A slow uplink, so that the run is still going when the server dies.
    let device = cutpoint(&[
        "run",
        path(&model),
        "synthetic:6",
        "--engine",
        "rten",
        "--threads",
        "1",
        "--server",
        &server.address,
        "--policy",
        "server-only",
        "--uplink-limit-mbps",
        "8",
    ]);
    let output = end_server_in_mid_run(device, server);
    assert!(output.status.success(), "{}", stderr(&output));
    let found = difference(&outputs(&output), &expected);
    assert!(found <= 1e-5, "differs by {found}");
    assert!(stderr(&output).contains("finished on the device"), "{}", stderr(&output));
}

#[test]
fn bad_input_gives_one_clear_error_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let not_onnx = folder.path().join("not.onnx");
    std::fs::write(&not_onnx, b"hello").unwrap();
    let truncated = folder.path().join("truncated.onnx");
    let whole = std::fs::read(&model).unwrap();
    std::fs::write(&truncated, &whole[..whole.len() / 2]).unwrap();
    let missing = folder.path().join("missing.onnx");
    let array = folder.path().join("wrong.npy");
    let shaped = cutpoint::tensor::Tensor::from_f32(vec![2], &[0.0, 1.0]).unwrap();
    cutpoint::input::write_npy(&array, &shaped).unwrap();
    let nobody = "127.0.0.1:1";
    let cases: [(&[&str], &str); 6] = [
        (&["run", path(&not_onnx), "synthetic:1"], "not.onnx"),
        (&["run", path(&truncated), "synthetic:1"], "truncated.onnx"),
        (&["run", path(&missing), "synthetic:1"], "missing.onnx"),
        (&["run", path(&model), path(&array)], "wrong.npy"),
        (&["run", path(&model), "nothing-*.jpg"], "nothing-*.jpg"),
        (&["run", path(&model), "synthetic:1", "--server", nobody], nobody),
    ];
    for (arguments, place) in cases {
        let output = cutpoint(arguments).args(["--engine", "rten"]).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("error:") && said.contains(place), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
    let misuse = run(&["run", path(&model), "synthetic:1", "--policy", "magic"]);
    assert_eq!(misuse.status.code(), Some(2));
}
