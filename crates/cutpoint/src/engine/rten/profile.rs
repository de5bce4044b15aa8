//! Times rten's nodes in a child process, because rten prints them to standard output.
//!
//! The child is this very program, started with `engine profile-rten FOLDER`. The folder holds the
//! model and the inputs; the child prints what rten prints, and before that what the same run took
//! without printing.

use crate::engine::interface::{EngineOptions, ProfileRuns, Profiled};
use crate::engine::timing::{NodeTime, by_node};
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A node takes about 300 bytes; a model of 1000 nodes in 100 runs prints 30 MB.
const OUTPUT_BYTES_MAX: u64 = 1 << 30;

pub(super) const MODEL: &str = "model.onnx";
pub(super) const JOB: &str = "job.json";
const ERRORS: &str = "errors.txt";
/// Printed by the child: before each run, the nanoseconds of the run without printing; at the end,
/// the share of the time that it waited for a processor.
pub(super) const RUN: &str = "cutpoint: run ";
pub(super) const WAITING: &str = "cutpoint: waiting ";

/// The child's output.
#[derive(Debug, Default, PartialEq)]
struct Printed {
    runs: Vec<Vec<NodeTime>>,
    whole: Vec<Duration>,
    waiting: Option<f64>,
}

/// The child's job.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) threads: NonZeroUsize,
    pub(super) runs: usize,
    pub(super) inputs: Vec<JobInput>,
}

/// An input, whose bytes lie in the file of its index.
#[derive(Serialize, Deserialize)]
pub(super) struct JobInput {
    pub(super) name: String,
    pub(super) element_type: String,
    pub(super) shape: Vec<usize>,
}

/// Runs `program engine profile-rten` and gathers what it prints.
pub(super) fn profile(
    program: &Path,
    onnx: &[u8],
    options: EngineOptions,
    inputs: &[(&str, &Tensor)],
    runs: ProfileRuns,
) -> Result<Profiled> {
    let file =
        |e: io::Error| Error::new(ErrorKind::File, "cannot write the profile's job").because(e);
    let folder = tempfile::tempdir().map_err(file)?;
    write_job(folder.path(), onnx, options, inputs, runs).map_err(file)?;
    let errors = File::create(folder.path().join(ERRORS)).map_err(file)?;
    let failed = |message: String| {
        Error::new(ErrorKind::Engine, format!("cannot profile in a child process: {message}"))
    };
    let mut child = Command::new(program)
        .args(["engine", "profile-rten"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .map_err(|e| failed(format!("{} does not start", program.display())).because(e))?;
    let mut printed = Vec::new();
    let output = child.stdout.take().expect("standard output was asked for as a pipe");
    // Read to the end before anything is parsed: parsing would take the processor from the child.
    let read = output.take(OUTPUT_BYTES_MAX).read_to_end(&mut printed);
    if read.is_err() || printed.len() as u64 == OUTPUT_BYTES_MAX {
        let killed = child.kill();
        log::debug!("stopping the child that profiles: {killed:?}");
    }
    let status = child.wait().map_err(|e| failed("it is gone".into()).because(e))?;
    read.map_err(|e| failed("its output cannot be read".into()).because(e))?;
    if !status.success() {
        let mut said = String::new();
        let errors = File::open(folder.path().join(ERRORS)).map_err(file)?;
        let read = errors.take(1 << 16).read_to_string(&mut said);
        let line = said.lines().find_map(|line| line.strip_prefix("error: "));
        return Err(failed(line.map_or_else(|| format!("{status}, {read:?}"), str::to_owned)));
    }
    let mut printed = parse(&String::from_utf8_lossy(&printed));
    let expected = runs.warm_up + runs.repeats;
    let found = printed.runs.len();
    if found != expected {
        return Err(failed(format!("it made {found} runs, expected {expected}")));
    }
    Ok(Profiled {
        nodes: by_node(printed.runs.split_off(runs.warm_up)),
        whole: printed.whole.split_off(runs.warm_up),
        waiting: printed.waiting,
    })
}

fn write_job(
    folder: &Path,
    onnx: &[u8],
    options: EngineOptions,
    inputs: &[(&str, &Tensor)],
    runs: ProfileRuns,
) -> io::Result<()> {
    fs::write(folder.join(MODEL), onnx)?;
    let describe = |(name, tensor): &(&str, &Tensor)| JobInput {
        name: (*name).to_owned(),
        element_type: tensor.element_type().protocol_name().to_owned(),
        shape: tensor.shape().to_vec(),
    };
    for (index, (_, tensor)) in inputs.iter().enumerate() {
        fs::write(folder.join(index.to_string()), tensor.bytes())?;
    }
    let inputs = inputs.iter().map(describe).collect();
    let job = Job { threads: options.threads, runs: runs.warm_up + runs.repeats, inputs };
    fs::write(folder.join(JOB), serde_json::to_vec(&job)?)
}

/// Reads what the child printed. Lines of other forms are stepped over.
fn parse(text: &str) -> Printed {
    let mut printed = Printed::default();
    let mut node: Option<NodeTime> = None;
    for line in text.lines() {
        if let Some(ns) = line.strip_prefix(RUN).and_then(|ns| ns.parse().ok()) {
            printed.runs.push(Vec::new());
            printed.whole.push(Duration::from_nanos(ns));
            node = None;
        } else if let Some(share) = line.strip_prefix(WAITING) {
            printed.waiting = share.parse().ok();
        } else if let Some(header) = line.strip_prefix('#') {
            node = parse_header(header);
        } else if let Some(output) = line.strip_prefix("  output ")
            && let Some(node) = node.as_mut()
        {
            let name = output.split_once(": ").and_then(|(_, rest)| rest.rsplit_once(" ("));
            node.tensors.extend(name.map(|(name, _)| name.to_owned()));
        } else if let Some(time) = line.strip_prefix("  time: ")
            && let Some(mut done) = node.take()
            && let Some(time) = parse_time(time)
            && let Some(run) = printed.runs.last_mut()
        {
            done.time = time;
            run.push(done);
        }
    }
    printed
}

/// `12 Conv (name)`, the node's position first.
fn parse_header(header: &str) -> Option<NodeTime> {
    let (position, rest) = header.split_once(' ')?;
    position.parse::<usize>().ok()?;
    let (operator, name) = rest.split_once(" (")?;
    Some(NodeTime {
        node: name.strip_suffix(')')?.to_owned(),
        tensors: Vec::new(),
        operator: operator.to_owned(),
        time: Duration::ZERO,
    })
}

fn parse_time(time: &str) -> Option<Duration> {
    let ms: f64 = time.strip_suffix("ms")?.parse().ok()?;
    Duration::try_from_secs_f64(ms / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_nodes_are_read_and_everything_else_is_stepped_over() {
        let printed = "\
#0 Conv (before any run)
  time: 9.000ms
cutpoint: run 4000
#0 Conv (conv1)
  input 0: x (tensor(f32) [1, 3, 64, 64])
  output 0: a (b) ([1, 8, 64, 64])
  time: 0.321ms
#1 Split ()
  output 0: left ([1])
  output 1: right ([1])
  time: 1.5ms
#2 Lost (no time)
#x nonsense
  time: 1.0ms
2 ops evaluated in 0.947ms

Conv   0.78ms (82.88%)
cutpoint: run 5000
#0 Conv (conv1)
  output 0: a (b) ([1, 8, 64, 64])
  time: NaNms
#1 Conv (conv1)
  time: 0.5ms
cutpoint: waiting 0.25
";
        let node = |node: &str, operator: &str, tensors: &[&str], us: u64| NodeTime {
            node: node.into(),
            tensors: tensors.iter().map(|&t| t.into()).collect(),
            operator: operator.into(),
            time: Duration::from_micros(us),
        };
        let first = vec![
            node("conv1", "Conv", &["a (b)"], 321),
            node("", "Split", &["left", "right"], 1500),
        ];
        let expected = Printed {
            runs: vec![first, vec![node("conv1", "Conv", &[], 500)]],
            whole: [4000, 5000].map(Duration::from_nanos).to_vec(),
            waiting: Some(0.25),
        };
        assert_eq!(parse(printed), expected);
    }
}
