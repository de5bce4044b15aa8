//! Jobs that arrive over time: replayed inputs, and files that appear in a folder.

use crate::engines::zoo;
use crate::run::{
    Served, check_trace, cutpoint, difference, outputs, path, run, squeezenet, stderr,
};
use cutpoint::input::write_npy;
use cutpoint::zoo::Network;
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

const ENGINE: [&str; 4] = ["--engine", "rten", "--threads", "1"];

/// The summary, the last line on standard error.
fn summary(said: &str) -> Value {
    let line = said.lines().rfind(|line| line.starts_with('{')).expect("a summary");
    serde_json::from_str(line).expect("JSON")
}

#[test]
fn replayed_inputs_give_the_batch_outputs_and_wait_while_the_system_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let (jobs, trace) = ("synthetic:24", folder.path().join("trace.json"));
    let alone = run(&[&["run", path(&model), jobs][..], &ENGINE].concat());
    let expected = outputs(&alone);
    let server = Served::start(&model);
    let workload = folder.path().join("workload.json");
    let at = ["--server", &server.address, "--uplink-limit-mbps", "20"];
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
        assert!(said.contains("no plan keeps up with one job every"), "{said}");
        let latency = |name: &str| stream["latency_ms"][name].as_f64().unwrap();
        let ordered = ["p50", "p90", "p99", "max"].map(latency);
        assert!(ordered[0] > 0.0 && ordered.is_sorted(), "{ordered:?}");
    }
}

#[test]
fn a_slow_stream_measures_the_uplink_between_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let jobs = "synthetic:3";
    let alone = run(&[&["run", path(&model), jobs][..], &ENGINE].concat());
    let server = Served::start(&model);
    let at = ["--server", &server.address, "--uplink-limit-mbps", "100"];
    let workload = folder.path().join("workload.json");
    let stream =
        ["--period-ms", "500", "--policy", "server-only", "--raw", "-vv", "--format", "json"];
    let to = ["--workload-output", path(&workload)];
    let arguments = [&["run", path(&model), jobs][..], &ENGINE, &at, &stream, &to].concat();
    let output = run(&arguments);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    // The input of a job; 500 ms less what it takes on the uplink.
    assert!(said.contains("602112 bytes take "), "{said}");
    assert!(said.contains("longer after a pause of "), "{said}");
    assert!(difference(&outputs(&output), &outputs(&alone)) <= 1e-5);
    // The plan is one of the workload that was written.
    let read =
        cutpoint::session::parse_workload(&std::fs::read_to_string(&workload).unwrap(), "it");
    let stream = &summary(&said)["stream"];
    let planned = stream["planned_latency_ms"]["p50"].as_f64().unwrap();
    let workload = read.unwrap();
    let bytes = workload.link().uplink.transfer_time(602_112).unwrap();
    let least = bytes + workload.link().message_overhead + workload.link().round_trip;
    assert!(planned >= least.milliseconds(), "{planned} ms, {workload:?}");
}

#[test]
fn watched_files_run_as_they_appear_and_a_bad_one_fails_alone() {
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

/// A program that watches a folder, and whose outputs are read one by one.
struct Watching {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
    folder: PathBuf,
    put: u64,
    /// The outputs by the name of the file that they are of.
    found: Vec<(String, Vec<f64>)>,
}

impl Watching {
    fn start(model: &Path, folder: &Path, arguments: &[&str]) -> Watching {
        let folder = folder.join("watched");
        std::fs::create_dir_all(&folder).unwrap();
        let watch = ["run", path(model), "--watch", path(&folder), "--format", "json"];
        let mut child = cutpoint(&[&watch[..], &ENGINE, arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        let stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        Watching { child, stdout, stderr, folder, put: 0, found: Vec::new() }
    }

    /// Puts frames into the folder: the first is the first synthetic one, and so on.
    fn put(&mut self, count: u64) {
        for seed in self.put..self.put + count {
            let frame = zoo(Network::SqueezeNet).synthetic_inputs(seed).remove(0).1;
            let hidden = self.folder.join(format!(".{seed:03}.npy"));
            write_npy(&hidden, &frame).unwrap();
            std::fs::rename(hidden, self.folder.join(format!("{seed:03}.npy"))).unwrap();
        }
        self.put += count;
    }

    /// Waits for the outputs of this many jobs.
    fn take(&mut self, count: usize) {
        for _ in 0..count {
            let line = self.stdout.next().expect("outputs").unwrap();
            self.read(&line);
        }
    }

    fn read(&mut self, line: &str) {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        let tensors = line["outputs"].as_object().unwrap().values();
        let numbers = tensors.flat_map(|t| t["data"].as_array().unwrap()).map(|v| v.as_f64());
        let name = line["input"].as_str().unwrap().to_owned();
        self.found.push((name, numbers.map(Option::unwrap).collect()));
    }

    /// Waits until the program says this.
    fn hear(&mut self, words: &str) {
        while !self.stderr.next().expect("it goes on").unwrap().contains(words) {}
    }

    /// Presses Ctrl-C and waits for the end; the summary, and how the program ended.
    fn interrupt(&mut self) -> (Value, ExitStatus) {
        signal("INT", self.child.id());
        while let Some(line) = self.stdout.next() {
            self.read(&line.unwrap());
        }
        let said: Vec<String> = self.stderr.by_ref().map(Result::unwrap).collect();
        (summary(&said.join("\n")), self.child.wait().unwrap())
    }

    /// Each file that was taken has given its outputs once.
    fn check(&self, expected: &[Vec<f64>]) {
        let mut names: Vec<&str> = self.found.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), self.found.len(), "a file was taken twice");
        for (name, found) in &self.found {
            let seed: usize = name.trim_end_matches(".npy").parse().unwrap();
            let off = difference(std::slice::from_ref(found), &expected[seed..=seed]);
            assert!(off <= 1e-5, "{name} differs by {off}");
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// What the unsplit model makes of the first synthetic frames.
fn expected(model: &Path, frames: u64) -> Vec<Vec<f64>> {
    let frames = format!("synthetic:{frames}");
    outputs(&run(&[&["run", path(model), &frames][..], &ENGINE].concat()))
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_watch_after_the_running_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let trace = folder.path().join("trace.json");
    let mut watching = Watching::start(&model, folder.path(), &["--trace", path(&trace)]);
    watching.put(40);
    watching.take(1);
    let (summary, status) = watching.interrupt();
    assert_eq!(status.code(), Some(0));
    watching.check(&expected(&model, 40));
    assert_eq!(summary["jobs"].as_u64(), Some(watching.found.len() as u64), "{summary}");
    assert_eq!(summary["failures"], 0);
    assert!(summary["stream"]["latency_ms"]["p50"].as_f64().unwrap() > 0.0, "{summary}");
    check_trace(&trace);
}

#[cfg(unix)]
#[test]
fn a_stream_survives_the_loss_of_its_server_and_offloads_again_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let model = squeezenet(folder.path());
    let server = Served::start(&model);
    let address = server.address.clone();
    let (trace, at) = (folder.path().join("trace.json"), ["--server", &address]);
    let how = ["--policy", "server-only", "--trace", path(&trace)];
    let limit = ["--uplink-limit-mbps", "200", "--raw"];
    let arguments = [&at[..], &how, &limit].concat();
    let mut watching = Watching::start(&model, folder.path(), &arguments);
    watching.put(8);
    watching.take(1);
    drop(server);
    watching.take(7);
    let _server = Served::start_at(&model, &address);
    watching.hear("the server is back");
    watching.put(3);
    watching.take(3);
    let (summary, status) = watching.interrupt();
    assert_eq!((status.code(), watching.found.len()), (Some(0), 11), "{summary}");
    watching.check(&expected(&model, 11));
    let causes = summary["fallback_causes"].as_array().unwrap();
    let jobs = causes.iter().flat_map(|c| c["jobs"].as_array().unwrap()).map(Value::as_u64);
    let jobs: Vec<u64> = jobs.map(Option::unwrap).collect();
    assert!(!jobs.is_empty() && jobs.iter().all(|job| (1..8).contains(job)), "{summary}");
    assert_eq!(summary["fallbacks"].as_u64(), Some(jobs.len() as u64));
    check_trace(&trace);
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(&trace).unwrap()).unwrap();
    // A row of the server's; there is a row for each job that it computes at the same time.
    let is_measured = |e: &Value| e["ph"] == "X" && e["pid"] == 2;
    let is_server = |e: &Value| e["tid"].as_u64().is_some_and(|tid| tid % 4 == 3);
    let by_server = |job: u64| {
        let mut events = trace["traceEvents"].as_array().unwrap().iter();
        events.any(|e| is_measured(e) && is_server(e) && e["args"]["job"].as_u64() == Some(job))
    };
    let served: Vec<u64> = (0..11).filter(|&job| by_server(job)).collect();
    assert!([0, 8, 9, 10].iter().all(|job| served.contains(job)), "{served:?}");
}
