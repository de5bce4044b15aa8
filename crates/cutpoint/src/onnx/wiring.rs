//! Which node of a graph writes a tensor, and which nodes read it.

use super::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto};
use crate::error::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The graphs that are attributes of a node: the bodies of `If`, `Loop` and `Scan`.
pub(super) fn bodies(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a: &AttributeProto| a.g.iter().chain(&a.graphs))
}

/// The tensors that a node reads, each once: its inputs, then what its bodies capture.
pub(super) fn reads(node: &NodeProto) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let inputs = node.input.iter().map(String::as_str);
    inputs
        .chain(bodies(node).flat_map(captures))
        .filter(|name| !name.is_empty() && seen.insert(*name))
        .collect()
}

/// The tensors that a node writes.
pub(super) fn writes(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.output.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// The names that a body takes from the graphs around it.
fn captures(body: &GraphProto) -> Vec<&str> {
    let mut own: BTreeSet<&str> = body.input.iter().map(|i| i.name()).collect();
    own.extend(body.initializer.iter().map(|t| t.name()));
    own.extend(sparse_names(body));
    own.extend(body.node.iter().flat_map(writes));
    let outputs = body.output.iter().map(|o| o.name());
    body.node.iter().flat_map(reads).chain(outputs).filter(|name| !own.contains(name)).collect()
}

/// The names of the sparse initializers of a graph.
pub(super) fn sparse_names(graph: &GraphProto) -> impl Iterator<Item = &str> {
    graph.sparse_initializer.iter().filter_map(|s| Some(s.values.as_ref()?.name()))
}

/// The function of the model that a node calls, if it calls one.
pub(super) fn called<'f>(
    functions: &'f [FunctionProto],
    node: &NodeProto,
) -> Option<&'f FunctionProto> {
    functions.iter().find(|f| f.name() == node.op_type() && f.domain() == node.domain())
}

/// How a person finds a node: its name, or its operator and first output.
pub(super) fn place(node: &NodeProto) -> String {
    match (node.name(), writes(node).next()) {
        ("", Some(output)) => format!("node {} that writes {output:?}", node.op_type()),
        ("", None) => format!("node {}", node.op_type()),
        (name, _) => format!("node {name:?}"),
    }
}

/// Who writes and who reads each tensor of a list of nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Wiring {
    /// The tensors that each node reads, by [`reads`].
    pub(super) reads: Vec<Vec<String>>,
    /// The tensors that each node writes.
    pub(super) writes: Vec<Vec<String>>,
    /// The node that writes a tensor.
    pub(super) producer: BTreeMap<String, usize>,
    /// The nodes that read a tensor, in the order of the list.
    pub(super) readers: BTreeMap<String, Vec<usize>>,
}

impl Wiring {
    pub(super) fn new(nodes: &[NodeProto]) -> Wiring {
        let mut wiring = Wiring::default();
        for (index, node) in nodes.iter().enumerate() {
            let read: Vec<String> = reads(node).into_iter().map(str::to_owned).collect();
            for name in &read {
                wiring.readers.entry(name.clone()).or_default().push(index);
            }
            let written: Vec<String> = writes(node).map(str::to_owned).collect();
            for name in &written {
                wiring.producer.insert(name.clone(), index);
            }
            wiring.reads.push(read);
            wiring.writes.push(written);
        }
        wiring
    }

    pub(super) fn readers(&self, tensor: &str) -> &[usize] {
        self.readers.get(tensor).map_or(&[], Vec::as_slice)
    }

    /// The nodes that write what `node` reads.
    pub(super) fn predecessors(&self, node: usize) -> impl Iterator<Item = usize> {
        self.reads[node].iter().filter_map(|name| self.producer.get(name).copied())
    }
}

/// The nodes, each after those that it reads from; ties in the order of the list.
///
/// # Errors
/// [`ErrorKind::Model`] if nodes read from each other in a circle.
pub(super) fn sorted(nodes: Vec<NodeProto>) -> Result<Vec<NodeProto>> {
    let wiring = Wiring::new(&nodes);
    let order = order(nodes.len(), |node| wiring.predecessors(node).collect());
    if let Some(stuck) = (0..nodes.len()).find(|n| order.len() < nodes.len() && !order.contains(n))
    {
        let error = Error::new(ErrorKind::Model, "the node reads what depends on its own output");
        return Err(error.at(place(&nodes[stuck])));
    }
    let mut slots: Vec<Option<NodeProto>> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|index| slots[index].take()).collect())
}

/// The numbers below `count`, each after its predecessors, the smallest first where there is a
/// choice; what lies on or behind a circle is left out.
pub(super) fn order(count: usize, predecessors: impl Fn(usize) -> BTreeSet<usize>) -> Vec<usize> {
    let mut successors = vec![Vec::new(); count];
    let mut waiting = Vec::with_capacity(count);
    for node in 0..count {
        let before = predecessors(node);
        waiting.push(before.len());
        before.into_iter().for_each(|earlier| successors[earlier].push(node));
    }
    let mut ready: BTreeSet<usize> = (0..count).filter(|&node| waiting[node] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(node) = ready.pop_first() {
        order.push(node);
        for &next in &successors[node] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.insert(next);
            }
        }
    }
    order
}
