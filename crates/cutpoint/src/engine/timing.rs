//! Gathers the times of nodes, run by run, whatever engine they come from.

use super::{BODY_PREFIX, NodeTimes};
use std::collections::HashMap;
use std::time::Duration;

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
