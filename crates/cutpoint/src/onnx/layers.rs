//! Which nodes belong together: the layers of a model.
//!
//! One rule: what an engine fuses into one kernel stays together, and so does what moves no data.
//! In detail, for every node that is computed (constants belong to whoever reads them):
//!
//! 1. A tensor that cannot cross a cut (no dense tensor, or of unstable shape) has its writer and
//!    readers, and all that lies between them, in one layer.
//! 2. A view (`Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`, `Identity`, `Dropout`) joins the writer
//!    of what it views.
//! 3. A `BatchNormalization` joins a convolution or matrix product. So does a node that works on
//!    each element alone (an activation, or arithmetic with a constant); that one also joins
//!    arithmetic on two tensors and normalisations.
//! 4. A gate `x * f(x)`, where `f` works on each element alone (as in SiLU and hard swish), is
//!    one with `f`, and joins the writer of `x` as an activation would.
//! 5. A residual `Add` joins the convolution that writes one of its operands, the later one if both
//!    are convolutions, if no activation comes between them.
//! 6. A `QuantizeLinear` joins the writer of its operand, a `DequantizeLinear` its reader, the
//!    `Cast` of an integer convolution its writer.
//!
//! A node joins by a tensor only if nobody else reads that tensor and it is not an output of the model
//! (in 4: nobody but `f` and the product). No rule is applied, except the first, where the layers
//! would read from each other in a circle.

use super::proto::NodeProto;
use super::resolved_model::ResolvedModel;
use super::wiring::{self, Wiring};
use crate::tensor::TensorSpec;
use std::collections::{BTreeMap, BTreeSet};

/// The layers of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerGraph {
    /// Each after those that it reads from.
    pub layers: Vec<OnnxLayer>,
    /// The inputs of the model.
    pub inputs: Vec<String>,
    /// The outputs of the model.
    pub outputs: Vec<String>,
    /// The inputs and what layers write.
    pub tensors: BTreeMap<String, TensorSpec>,
}

/// Nodes that stay together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxLayer {
    /// Unique in the model: the name of its main node, or operator and output of that.
    pub name: String,
    /// In topological order.
    pub nodes: Vec<LayerNode>,
    /// The inputs of the model and the tensors of other layers that it reads, each once.
    pub reads: Vec<String>,
    /// The tensors that other layers read or that are outputs of the model.
    pub writes: Vec<String>,
    /// Bytes of the constants that it needs; what two layers share counts in both.
    pub parameter_bytes: u64,
}

/// A node of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNode {
    /// Its name, which may be empty.
    pub name: String,
    /// Its operator.
    pub op_type: String,
    /// The tensors that it writes.
    pub outputs: Vec<String>,
    pub(super) index: usize,
}

#[cfg(test)]
impl LayerNode {
    /// A node that writes one tensor.
    pub(crate) fn for_tests(op_type: &str, output: &str) -> LayerNode {
        let outputs = vec![output.to_owned()];
        LayerNode { name: String::new(), op_type: op_type.to_owned(), outputs, index: 0 }
    }
}

const VIEWS: [&str; 6] = ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"];

const CONVOLUTIONS: [&str; 5] =
    ["Conv", "ConvTranspose", "FusedConv", "ConvInteger", "QLinearConv"];

const PRODUCTS: [&str; 5] = ["Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "FusedMatMul"];

const NORMALISATIONS: [&str; 4] =
    ["BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"];

const ARITHMETIC: [&str; 8] = ["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum"];

const ACTIVATIONS: [&str; 23] = [
    "Relu",
    "Clip",
    "LeakyRelu",
    "PRelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Tanh",
    "Elu",
    "Celu",
    "Selu",
    "Softplus",
    "Softsign",
    "Mish",
    "Gelu",
    "ThresholdedRelu",
    "Erf",
    "Exp",
    "Sqrt",
    "Neg",
    "Abs",
    "Reciprocal",
];

impl LayerGraph {
    pub(super) fn of(model: &ResolvedModel) -> LayerGraph {
        let mut grouping = Grouping::new(model);
        grouping.join_what_cannot_cross();
        for node in (0..model.is_computed.len()).filter(|&n| model.is_computed[n]) {
            grouping.apply_rules(node);
        }
        let groups = grouping.sorted();
        let mut names = BTreeSet::new();
        let layers: Vec<OnnxLayer> =
            groups.iter().map(|nodes| layer(model, nodes, &mut names)).collect();
        let inputs: Vec<String> = model.model.inputs.iter().map(|(name, _)| name.clone()).collect();
        let listed = inputs.iter().chain(layers.iter().flat_map(|l| &l.writes));
        let spec = |name: &String| Some((name.clone(), model.tensors.get(name)?.clone()));
        let tensors = listed.filter_map(spec).collect();
        let outputs = model.model.outputs().map(str::to_owned).collect();
        LayerGraph { layers, inputs, outputs, tensors }
    }
}

fn layer(model: &ResolvedModel, nodes: &[usize], names: &mut BTreeSet<String>) -> OnnxLayer {
    let graph = &model.model.graph;
    let described = |&index: &usize| {
        let node = &graph.node[index];
        LayerNode {
            name: node.name().to_owned(),
            op_type: node.op_type().to_owned(),
            outputs: model.wiring.writes[index].clone(),
            index,
        }
    };
    OnnxLayer {
        name: unique_name(main_node(nodes.iter().map(|&n| &graph.node[n])), names),
        nodes: nodes.iter().map(described).collect(),
        reads: model.reads_of(nodes),
        writes: model.writes_of(nodes, &BTreeSet::new()),
        parameter_bytes: model.constants_of(nodes).bytes(graph),
    }
}

/// The node that a layer is named after: the heaviest kind, the first of its kind.
fn main_node<'a>(nodes: impl Iterator<Item = &'a NodeProto>) -> Option<&'a NodeProto> {
    nodes.min_by_key(|node| match node.op_type() {
        op if CONVOLUTIONS.contains(&op) || PRODUCTS.contains(&op) => 0,
        op if VIEWS.contains(&op) => 4,
        op if ACTIVATIONS.contains(&op) || op.contains("QuantizeLinear") => 3,
        op if ARITHMETIC.contains(&op) => 2,
        _ => 1,
    })
}

fn unique_name(main: Option<&NodeProto>, names: &mut BTreeSet<String>) -> String {
    let name = match main {
        Some(node) if !node.name().is_empty() => node.name().to_owned(),
        Some(node) => {
            format!("{}:{}", node.op_type(), wiring::writes(node).next().unwrap_or_default())
        }
        None => "layer".to_owned(),
    };
    let mut unique = name.clone();
    let mut number = 2;
    while !names.insert(unique.clone()) {
        unique = format!("{name}#{number}");
        number += 1;
    }
    unique
}

/// A partition of the computed nodes whose quotient graph has no circle.
struct Grouping<'a> {
    model: &'a ResolvedModel,
    /// By node: the number of its group, which is the number of one of its nodes.
    group: Vec<usize>,
    /// By group number: its nodes, sorted.
    members: Vec<Vec<usize>>,
}

impl<'a> Grouping<'a> {
    fn new(model: &'a ResolvedModel) -> Grouping<'a> {
        let count = model.is_computed.len();
        let members = (0..count).map(|node| vec![node]).collect();
        Grouping { model, group: (0..count).collect(), members }
    }

    fn wiring(&self) -> &'a Wiring {
        &self.model.wiring
    }

    fn op(&self, node: usize) -> &'a str {
        self.model.model.graph.node[node].op_type()
    }

    fn join_what_cannot_cross(&mut self) {
        for tensor in self.wiring().producer.keys() {
            let writer = self.wiring().producer[tensor];
            if !self.model.is_computed[writer] || self.model.can_cross(tensor) {
                continue;
            }
            for &reader in self.wiring().readers(tensor) {
                let mut all = self.between(writer, reader);
                all.push(self.group[reader]);
                all.into_iter().for_each(|group| self.unite(writer, group));
            }
        }
    }

    fn apply_rules(&mut self, node: usize) {
        let op = self.op(node);
        let flowing: Vec<&str> = self.wiring().reads[node]
            .iter()
            .map(String::as_str)
            .filter(|name| self.model.flows(name))
            .collect();
        if op == "DequantizeLinear" {
            return self.join_reader(node);
        }
        match flowing.as_slice() {
            [operand] => {
                let Some(writer) = self.writer_for(operand) else { return };
                let joins = VIEWS.contains(&op)
                    || op == "QuantizeLinear"
                    || NORMALISATIONS[0] == op && self.is_linear(writer)
                    || works_on_elements(op) && self.takes_elementwise(writer)
                    || op == "Cast" && self.op(writer).ends_with("Integer");
                if joins {
                    self.join(writer, node);
                }
            }
            [a, b] if op == "Mul" => self.join_gate(node, a, b),
            [a, b] if op == "Add" || op == "Sum" => self.join_residual(node, a, b),
            _ => {}
        }
    }

    /// The writer of a tensor that only one node reads and that is not an output of the model.
    fn writer_for(&self, tensor: &str) -> Option<usize> {
        let is_private = self.wiring().readers(tensor).len() == 1 && !self.model.is_output(tensor);
        self.wiring().producer.get(tensor).copied().filter(|_| is_private)
    }

    fn group_has(&self, node: usize, ops: &[&str]) -> bool {
        self.members[self.group[node]].iter().any(|&member| ops.contains(&self.op(member)))
    }

    fn is_linear(&self, node: usize) -> bool {
        self.group_has(node, &CONVOLUTIONS) || self.group_has(node, &PRODUCTS)
    }

    fn takes_elementwise(&self, node: usize) -> bool {
        self.is_linear(node)
            || self.group_has(node, &NORMALISATIONS)
            || self.group_has(node, &ARITHMETIC)
    }

    fn join_reader(&mut self, node: usize) {
        let [output] = self.wiring().writes[node].as_slice() else { return };
        if let ([reader], false) = (self.wiring().readers(output), self.model.is_output(output)) {
            self.join(node, *reader);
        }
    }

    /// `x * f(x)`.
    fn join_gate(&mut self, product: usize, a: &str, b: &str) {
        for (x, gate) in [(a, b), (b, a)] {
            let Some(chain) = self.chain(gate, x) else { continue };
            let is_private = self.wiring().readers(x).len() == 2 && !self.model.is_output(x);
            if let (true, Some(&head)) = (is_private, chain.last()) {
                // From the product back to the head, so that no step makes a circle.
                for &node in &chain {
                    self.join(node, product);
                }
                let writer = self.wiring().producer.get(x).copied();
                if let Some(writer) = writer.filter(|&w| self.takes_elementwise(w)) {
                    self.join(writer, head);
                }
                return;
            }
        }
    }

    /// The nodes by which `gate` follows from `x` element by element, the last one first.
    fn chain(&self, gate: &str, x: &str) -> Option<Vec<usize>> {
        let mut chain = Vec::new();
        let mut tensor = gate;
        while tensor != x {
            let node = self.writer_for(tensor)?;
            if !works_on_elements(self.op(node)) {
                return None;
            }
            let mut flowing = self.wiring().reads[node].iter().filter(|n| self.model.flows(n));
            tensor = flowing.next()?;
            if flowing.next().is_some() {
                return None;
            }
            chain.push(node);
        }
        (!chain.is_empty()).then_some(chain)
    }

    fn join_residual(&mut self, sum: usize, a: &str, b: &str) {
        let candidate = |tensor: &str| {
            let writer = self.writer_for(tensor)?;
            let op = self.op(writer);
            let is_open = CONVOLUTIONS.contains(&op)
                || op == NORMALISATIONS[0]
                || ARITHMETIC.contains(&op)
                || op == "DequantizeLinear";
            let follows_sum = self.members[self.group[writer]]
                .iter()
                .any(|&m| m <= writer && ACTIVATIONS.contains(&self.op(m)));
            (is_open && !follows_sum && self.group_has(writer, &CONVOLUTIONS)).then_some(writer)
        };
        let mut candidates: Vec<usize> = [a, b].into_iter().filter_map(candidate).collect();
        candidates.sort_unstable();
        while let Some(writer) = candidates.pop() {
            if self.join(writer, sum) {
                return;
            }
        }
    }

    /// Makes one group of two, unless that would make a circle; returns whether it did.
    fn join(&mut self, before: usize, after: usize) -> bool {
        let is_free = self.between(before, after).is_empty();
        if is_free {
            self.unite(before, after);
        }
        is_free
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.group[a], self.group[b]);
        if a == b {
            return;
        }
        let moved = std::mem::take(&mut self.members[b]);
        moved.iter().for_each(|&node| self.group[node] = a);
        self.members[a].extend(moved);
        self.members[a].sort_unstable();
    }

    /// The groups on paths from one group to another, without these two.
    fn between(&self, from: usize, to: usize) -> Vec<usize> {
        let (from, to) = (self.group[from], self.group[to]);
        let last = self.members[to].last().copied().unwrap_or(to);
        let behind = self.reachable(from, |group| self.members[group][0] <= last, Self::after);
        let first = self.members[from].first().copied().unwrap_or(from);
        let is_late = |group: usize| *self.members[group].last().unwrap_or(&group) >= first;
        let mut ahead = self.reachable(to, is_late, Self::before);
        ahead.retain(|group| behind.contains(group) && *group != from && *group != to);
        ahead.into_iter().collect()
    }

    fn reachable(
        &self,
        start: usize,
        is_near: impl Fn(usize) -> bool,
        next: impl Fn(&Self, usize) -> Vec<usize>,
    ) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut stack = vec![start];
        while let Some(group) = stack.pop() {
            for next in next(self, group) {
                if next != start && is_near(next) && seen.insert(next) {
                    stack.push(next);
                }
            }
        }
        seen
    }

    fn after(&self, group: usize) -> Vec<usize> {
        let written = self.members[group].iter().flat_map(|&n| &self.wiring().writes[n]);
        let readers = written.flat_map(|name| self.wiring().readers(name));
        readers.map(|&node| self.group[node]).filter(|&g| g != group).collect()
    }

    fn before(&self, group: usize) -> Vec<usize> {
        let nodes = self.members[group].iter();
        let writers = nodes.flat_map(|&n| self.wiring().predecessors(n));
        let computed = writers.filter(|&n| self.model.is_computed[n]);
        computed.map(|node| self.group[node]).filter(|&g| g != group).collect()
    }

    /// The groups in topological order; ties in the order in which the file completes them.
    fn sorted(self) -> Vec<Vec<usize>> {
        let mut groups: Vec<usize> = (0..self.members.len())
            .filter(|&g| self.model.is_computed[g] && !self.members[g].is_empty())
            .collect();
        groups.sort_by_key(|&g| self.members[g].last().copied());
        let rank: BTreeMap<usize, usize> =
            groups.iter().enumerate().map(|(rank, &group)| (group, rank)).collect();
        let before = |r: usize| self.before(groups[r]).iter().map(|g| rank[g]).collect();
        let order = wiring::order(groups.len(), before);
        order.into_iter().map(|r| self.members[groups[r]].clone()).collect()
    }
}

fn works_on_elements(op: &str) -> bool {
    ACTIVATIONS.contains(&op) || ARITHMETIC.contains(&op)
}
