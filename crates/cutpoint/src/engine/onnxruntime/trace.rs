//! The profile that ONNX Runtime writes: a list of events in the Chrome trace format.

use crate::engine::timing::{NodeTime, by_node};
use crate::engine::{NodeTimes, ProfileRuns};
use crate::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

/// An event takes about 600 bytes; a model of 1000 nodes in 100 runs makes 60 MB.
const TRACE_BYTES_MAX: u64 = 1 << 30;

/// Times are in microseconds.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    name: String,
    #[serde(default)]
    ts: u64,
    #[serde(default)]
    dur: u64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    #[serde(default)]
    op_name: String,
}

/// Reads a profile and removes the file.
pub(super) fn read(path: &Path, runs: ProfileRuns) -> Result<Vec<NodeTimes>> {
    let unreadable = |e: std::io::Error| {
        Error::new(ErrorKind::Engine, "cannot read the profile").because(e).at(path.display())
    };
    let file = File::open(path).map_err(unreadable)?;
    let nodes = parse(BufReader::new(file), runs);
    std::fs::remove_file(path).map_err(unreadable)?;
    nodes
}

fn parse(source: impl Read, runs: ProfileRuns) -> Result<Vec<NodeTimes>> {
    let error = |message: String| Error::new(ErrorKind::Engine, message);
    let events: Vec<Event> = serde_json::from_reader(source.take(TRACE_BYTES_MAX))
        .map_err(|e| error("ONNX Runtime wrote a profile that cannot be read".into()).because(e))?;
    let mut spans: Vec<(u64, u64)> = events
        .iter()
        .filter(|event| event.cat == "Session" && event.name == "model_run")
        .map(|event| (event.ts, event.ts.saturating_add(event.dur)))
        .collect();
    spans.sort_unstable();
    let expected = runs.warm_up + runs.repeats;
    if spans.len() != expected {
        let found = spans.len();
        return Err(error(format!("ONNX Runtime's profile has {found} runs, expected {expected}")));
    }
    let mut nodes: Vec<&Event> =
        events.iter().filter(|event| event.cat == "Node" && event.name.ends_with(KERNEL)).collect();
    nodes.sort_by_key(|event| event.ts);
    let mut timed: Vec<Vec<NodeTime>> = vec![Vec::new(); expected];
    for event in nodes {
        // A node starts no earlier than its run, so the run is the last one that has started.
        let run = spans.partition_point(|&(start, _)| start <= event.ts);
        let Some(run) = run.checked_sub(1).filter(|&run| event.ts <= spans[run].1) else {
            continue;
        };
        timed[run].push(NodeTime {
            node: event.name[..event.name.len() - KERNEL.len()].to_owned(),
            tensors: Vec::new(),
            operator: event.args.op_name.clone(),
            time: Duration::from_micros(event.dur),
        });
    }
    Ok(by_node(timed.split_off(runs.warm_up)))
}

const KERNEL: &str = "_kernel_time";

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"[
        {"cat":"Session","dur":300,"ts":3,"ph":"X","name":"model_loading_uri","args":{}},
        {"cat":"Node","dur":90,"ts":1002,"name":"a_kernel_time","args":{"op_name":"Conv"}},
        {"cat":"Session","dur":200,"ts":1000,"name":"model_run","args":{}},
        {"cat":"Node","dur":40,"ts":2001,"name":"a_kernel_time","args":{"op_name":"Conv","x":[1]}},
        {"cat":"Node","dur":5,"ts":2042,"name":"cutpoint_body/b_kernel_time","args":{}},
        {"cat":"Node","dur":9,"ts":2041,"name":"if_kernel_time","args":{"op_name":"If"}},
        {"cat":"Session","dur":100,"ts":2000,"name":"model_run","args":{}},
        {"cat":"Node","dur":42,"ts":3001,"name":"a_kernel_time","args":{"op_name":"Conv"}},
        {"cat":"Session","dur":100,"ts":3000,"name":"model_run","args":{}}
    ]"#;

    #[test]
    fn node_times_fall_into_their_runs() {
        let runs = ProfileRuns { warm_up: 1, repeats: 2 };
        let nodes = parse(TRACE.as_bytes(), runs).unwrap();
        let us = Duration::from_micros;
        let node = |node: &str, operator: &str, times: [u64; 2]| NodeTimes {
            node: node.into(),
            tensors: vec![],
            operator: operator.into(),
            times: times.map(us).to_vec(),
        };
        assert_eq!(nodes, [node("a", "Conv", [40, 42]), node("if", "If", [9, 0])]);
    }

    #[test]
    fn a_profile_with_lost_runs_or_no_json_is_refused() {
        let runs = ProfileRuns { warm_up: 1, repeats: 3 };
        let error = parse(TRACE.as_bytes(), runs).unwrap_err();
        assert_eq!(error.to_string(), "ONNX Runtime's profile has 3 runs, expected 4");
        assert_eq!(parse(&b"[{"[..], runs).unwrap_err().kind(), ErrorKind::Engine);
    }
}
