//! Gathers the times of nodes, run by run, whatever engine they come from, and tells how long this
//! process waited for a processor.

use super::interface::{BODY_PREFIX, NodeTimes};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// One node in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeTime {
    pub(super) node: String,
    pub(super) tensors: Vec<String>,
    pub(super) operator: String,
    pub(super) time: Duration,
}

/// Turns runs into nodes: each with its times in all runs, in the order of first appearance.
///
/// A node that runs several times in one run, as a name that an engine gave twice, is summed.
pub(super) fn by_node(runs: Vec<Vec<NodeTime>>) -> Vec<NodeTimes> {
    let count = runs.len();
    let mut nodes: Vec<NodeTimes> = Vec::new();
    let mut positions: HashMap<(String, Vec<String>), usize> = HashMap::new();
    for (run, times) in runs.into_iter().enumerate() {
        for NodeTime { node, tensors, operator, time } in times {
            if node.starts_with(BODY_PREFIX) {
                continue;
            }
            let position =
                *positions.entry((node, tensors)).or_insert_with_key(|(node, tensors)| {
                    let (node, tensors) = (node.clone(), tensors.clone());
                    nodes.push(NodeTimes {
                        node,
                        tensors,
                        operator,
                        times: vec![Duration::ZERO; count],
                    });
                    nodes.len() - 1
                });
            nodes[position].times[run] += time;
        }
    }
    nodes
}

/// Measures which share of a stretch of time this process waited for a processor.
pub(crate) struct WaitClock {
    start: Instant,
    waited: Option<Duration>,
}

impl WaitClock {
    pub(crate) fn start() -> WaitClock {
        WaitClock { start: Instant::now(), waited: waited() }
    }

    /// The share since the start, for a process that keeps `threads` threads busy.
    pub(crate) fn share(&self, threads: NonZeroUsize) -> Option<f64> {
        let waited = waited()?.saturating_sub(self.waited?);
        let available = self.start.elapsed().as_secs_f64() * threads.get() as f64;
        (available > 0.0).then(|| (waited.as_secs_f64() / available).min(1.0))
    }
}

/// Processor time that the calling thread has used so far.
#[cfg(unix)]
pub(super) fn of_this_thread() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(unix))]
pub(super) fn of_this_thread() -> Option<Duration> {
    None
}

/// How long the threads of this process have been running; Linux alone tells.
pub fn ran() -> Option<Duration> {
    sum_of_threads(0)
}

/// How long the threads of this process were ready to run and not running; Linux alone tells.
fn waited() -> Option<Duration> {
    sum_of_threads(1)
}

fn sum_of_threads(field: usize) -> Option<Duration> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split_whitespace().nth(field)?.parse().ok().map(Duration::from_nanos)
    };
    // A thread may end between being listed and being read.
    Some(threads.filter_map(of_thread).sum())
}
