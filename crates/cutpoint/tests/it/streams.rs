//! Jobs that arrive over time: replayed inputs, and files that appear in a folder.

use crate::engines::zoo;
use crate::run::{
    Served, check_trace, cutpoint, difference, outputs, path, run, squeezenet, stderr,
};
use cutpoint::frames::write_npy;
use cutpoint::zoo::Network;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

const ENGINE: [&str; 4] = ["--engine", "rten", "--threads", "1"];

/// The summary, the last line on standard error.
fn summary(said: &str) -> Value {
    let line = said.lines().rfind(|line| line.starts_with('{')).expect("a summary");
    serde_json::from_str(line).expect("JSON")
}

#[test]
fn replayed_inputs_give_what_they_give_all_at_once_and_wait_outside_while_the_system_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let (jobs, trace) = ("synthetic:24", folder.path().join("trace.json"));
    let alone = run(&[&["run", path(&model), jobs][..], &ENGINE].concat());
    let expected = outputs(&alone);
    let server = Served::start(&model);
    let workload = folder.path().join("workload.json");
    let at = ["--server", &server.address, "--uplink-limit-mbps", "200"];
    let to = ["-o", path(&workload)];
    let profiled = run(&[&["profile", path(&model)][..], &ENGINE, &at, &to].concat());
    assert!(profiled.status.success(), "{}", stderr(&profiled));
    let from = ["--workload", path(&workload), "--format", "json", "--trace", path(&trace)];
    // All jobs are there at once, and more than may be in work.
    for policy in ["joint", "server-only"] {
        let stream = ["--period-ms", "0", "--policy", policy];
        let arguments = [&["run", path(&model), jobs][..], &ENGINE, &at, &from, &stream].concat();
        let output = run(&arguments);
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        let found = difference(&outputs(&output), &expected);
        assert!(found <= 1e-5, "{policy} differs by {found}");
        check_trace(&trace);
        let stream = &summary(&said)["stream"];
        assert_eq!(stream["keeps_up"], false);
        assert!(stream["waited"].as_u64().unwrap() > 0, "{stream}");
        assert!(said.contains("no plan keeps up with one job each"), "{said}");
        let latency = |name: &str| stream["latency_ms"][name].as_f64().unwrap();
        let ordered = ["p50", "p90", "p99", "max"].map(latency);
        assert!(ordered[0] > 0.0 && ordered.is_sorted(), "{ordered:?}");
    }
}

#[test]
fn files_are_run_as_they_appear_and_a_bad_one_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let watched = folder.path().join("watched");
    std::fs::create_dir(&watched).unwrap();
    let frame = |seed: u64| zoo(Network::SqueezeNet).synthetic_inputs(seed).remove(0).1;
    write_npy(&watched.join("first.npy"), &frame(0)).unwrap();
    std::fs::write(watched.join("bad.npy"), b"no array").unwrap();
    std::fs::write(watched.join("notes.txt"), b"no input").unwrap();
    // Not taken while its name begins with a dot.
    write_npy(&watched.join(".second.npy"), &frame(1)).unwrap();
    let watch = ["run", path(&model), "--watch", path(&watched), "--watch-count", "3"];
    let mut child = cutpoint(&[&watch[..], &ENGINE, &["--format", "json"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    stdout.read_line(&mut first).expect("the first job's outputs");
    std::fs::rename(watched.join(".second.npy"), watched.join("second.npy")).unwrap();
    let (mut second, mut said) = (String::new(), String::new());
    stdout.read_to_string(&mut second).expect("the second job's outputs");
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("the summary");
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    let data = |line: &str| -> (String, Vec<f64>) {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        let tensors = line["outputs"].as_object().unwrap().values();
        let numbers = tensors.flat_map(|t| t["data"].as_array().unwrap()).map(|v| v.as_f64());
        (line["input"].as_str().unwrap().to_owned(), numbers.map(Option::unwrap).collect())
    };
    let expected = outputs(&run(&[&["run", path(&model), "synthetic:2"][..], &ENGINE].concat()));
    for (line, name, right) in [(&first, "first.npy", 0), (&second, "second.npy", 1)] {
        let (input, found) = data(line);
        assert_eq!(input, name);
        assert!(difference(&[found], &expected[right..=right]) <= 1e-5);
    }
    assert!(said.contains("bad.npy"), "{said}");
    let summary = summary(&said);
    assert_eq!((&summary["jobs"], &summary["failures"]), (&3.into(), &1.into()));
    let nowhere = folder.path().join("nowhere");
    let missing = run(&[&["run", path(&model), "--watch", path(&nowhere)][..], &ENGINE].concat());
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("nowhere"), "{}", stderr(&missing));
}
