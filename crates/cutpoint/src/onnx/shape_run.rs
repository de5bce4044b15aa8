//! Learns the shapes of tensors and the results of static nodes from one run on synthetic inputs.
//!
//! The nodes run in stages, each a model of its own, so that a large model needs the memory of its
//! largest stage and not that of all its tensors together: devices are small.

use super::parts::{self, named};
use super::proto::{GraphProto, ModelProto};
use super::protobuf::encode;
use super::read::OnnxModel;
use super::roles::{Role, Roles};
use super::shapes;
use super::wiring::Wiring;
use crate::engine::{Engine, EngineOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, Tensor, TensorSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::Range;

/// The seed of the synthetic inputs.
const SEED: u64 = 0;

/// How many nodes a stage has, unless there would be too many stages.
const STAGE_NODES: usize = 4;

/// The most stages of a model.
const STAGES_MAX: usize = 64;

/// The findings of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Learnt {
    /// Of every tensor that matters.
    pub(super) shapes: BTreeMap<String, Vec<usize>>,
    /// The tensors that static nodes wrote.
    pub(super) statics: BTreeMap<String, Tensor>,
}

/// Runs a model with every tensor that matters as an output.
///
/// # Errors
/// [`ErrorKind::Engine`] if the engine cannot run it.
pub(super) fn run(
    model: &OnnxModel,
    roles: &Roles,
    types: &BTreeMap<String, ElementType>,
    engine: &dyn Engine,
) -> Result<Learnt> {
    let nodes = STAGE_NODES.max(model.graph.node.len().div_ceil(STAGES_MAX));
    run_in_stages(model, roles, types, engine, nodes)
}

fn run_in_stages(
    model: &OnnxModel,
    roles: &Roles,
    types: &BTreeMap<String, ElementType>,
    engine: &dyn Engine,
    stage_nodes: usize,
) -> Result<Learnt> {
    let wiring = Wiring::new(&model.graph.node);
    let run = ShapeRun { model, roles, types, wiring };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut live: BTreeMap<String, Tensor> = model.synthetic_inputs(SEED).into_iter().collect();
    let mut learnt = Learnt::default();
    for stage in run.stages(stage_nodes) {
        let wanted = run.wanted(&stage);
        if wanted.is_empty() {
            continue;
        }
        let (onnx, inputs) = run.part(&stage, &wanted, &live)?;
        let mut session = engine.load_unoptimized(&onnx, EngineOptions { threads })?;
        drop(onnx);
        let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|&n| (n, &live[n])).collect();
        let mut values: BTreeMap<String, Tensor> = session.run(&inputs)?.into_iter().collect();
        drop(session);
        for name in wanted {
            let value = values.remove(name).ok_or_else(|| {
                let message = format!("{} did not return tensor {name:?}", engine.name());
                Error::new(ErrorKind::Engine, message)
            })?;
            learnt.shapes.insert(name.to_owned(), value.shape().to_vec());
            if roles.statics.contains_key(name) {
                learnt.statics.insert(name.to_owned(), value.clone());
            }
            live.insert(name.to_owned(), value);
        }
        live.retain(|name, _| run.is_read_from(name, stage.end));
    }
    Ok(learnt)
}

struct ShapeRun<'m> {
    model: &'m OnnxModel,
    roles: &'m Roles,
    types: &'m BTreeMap<String, ElementType>,
    wiring: Wiring,
}

impl ShapeRun<'_> {
    /// The nodes in stages. What cannot be passed from one to the next, because it is not a tensor of
    /// a known type, keeps its writer and its readers in one stage.
    fn stages(&self, stage_nodes: usize) -> Vec<Range<usize>> {
        let count = self.model.graph.node.len();
        let mut is_border = vec![true; count + 1];
        for (name, &writer) in &self.wiring.producer {
            let is_passed = self.types.contains_key(name);
            if !is_passed && self.roles.of_node[writer] != Role::Constant {
                let last = self.wiring.readers(name).last().copied().unwrap_or(writer);
                is_border[writer + 1..=last].fill(false);
            }
        }
        let mut stages: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for (end, &is_border) in is_border.iter().enumerate().skip(1) {
            if end == count || end - start >= stage_nodes && is_border {
                stages.push(start..end);
                start = end;
            }
        }
        stages
    }

    fn is_read_from(&self, tensor: &str, node: usize) -> bool {
        self.wiring.readers(tensor).last().is_some_and(|&reader| reader >= node)
    }

    /// The tensors written in a stage that matter.
    fn wanted(&self, stage: &Range<usize>) -> Vec<&str> {
        let outputs: BTreeSet<&str> = self.model.outputs().collect();
        let written = stage.clone().filter(|&node| self.roles.of_node[node] != Role::Constant);
        let written = written.flat_map(|node| &self.wiring.writes[node]).map(String::as_str);
        let matters = |name: &&str| {
            let is_read = !self.wiring.readers(name).is_empty() || outputs.contains(name);
            is_read && self.types.contains_key(*name)
        };
        written.filter(matters).collect()
    }

    /// A stage as a model, and the names of its inputs; constant nodes before it that it needs are
    /// in it.
    fn part<'l>(
        &self,
        stage: &Range<usize>,
        wanted: &[&str],
        live: &'l BTreeMap<String, Tensor>,
    ) -> Result<(Vec<u8>, Vec<&'l str>)> {
        let mut nodes: BTreeSet<usize> = stage.clone().collect();
        let mut unseen: Vec<usize> = stage.clone().collect();
        while let Some(node) = unseen.pop() {
            for before in self.wiring.predecessors(node) {
                if self.roles.of_node[before] == Role::Constant && nodes.insert(before) {
                    unseen.push(before);
                }
            }
        }
        let read: BTreeSet<&str> =
            nodes.iter().flat_map(|&n| &self.wiring.reads[n]).map(String::as_str).collect();
        let is_inside =
            |name: &str| self.wiring.producer.get(name).is_some_and(|node| nodes.contains(node));
        let inputs: Vec<(&str, &Tensor)> = live
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .filter(|(name, _)| read.contains(name) && !is_inside(name))
            .collect();
        let spec = |value: &Tensor| TensorSpec {
            element_type: value.element_type(),
            shape: value.shape().to_vec(),
        };
        let whole = &self.model.graph;
        let (initializer, sparse_initializer) = parts::stored_in(whole, |name| read.contains(name));
        let graph = GraphProto {
            name: whole.name.clone(),
            node: nodes.iter().map(|&node| whole.node[node].clone()).collect(),
            input: inputs.iter().map(|(n, v)| shapes::declare(&named(n), &spec(v))).collect(),
            output: wanted
                .iter()
                .map(|name| shapes::declare_open(&named(name), self.types[*name], None))
                .collect(),
            initializer,
            sparse_initializer,
            ..GraphProto::default()
        };
        let model = ModelProto { graph: Some(graph), ..self.model.header.clone() };
        let onnx = encode(model)?;
        Ok((onnx, inputs.into_iter().map(|(name, _)| name).collect()))
    }
}

#[cfg(test)]
#[cfg(feature = "rten")]
mod tests {
    use super::super::roles::roles;
    use super::super::tests::small::*;
    use super::super::types;
    use super::*;
    use crate::engine::rten::Rten;

    /// Shape arithmetic, constants that two stages read, a branch that captures both, and a tensor
    /// that is read much later.
    fn everything() -> OnnxModel {
        let branch = |op: &str, reads: &[&str], name: &str| GraphProto {
            name: Some(name.to_owned()),
            node: vec![node(op, reads, &[name])],
            output: vec![value(name, ElementType::F32, &[2, 4])],
            ..GraphProto::default()
        };
        let choice = node("If", &["flag"], &["c"]);
        let choice = with_graph(choice, "then_branch", branch("Add", &["b", "k"], "t"));
        let choice = with_graph(choice, "else_branch", branch("Mul", &["b", "x"], "e"));
        let nodes = vec![
            node("Neg", &["w"], &["k"]),
            node("Abs", &["x"], &["a"]),
            node("Shape", &["a"], &["s"]),
            node("Add", &["a", "k"], &["b"]),
            choice,
            node("Reshape", &["c", "s"], &["d"]),
            node("Add", &["d", "k"], &["f"]),
            node("Add", &["f", "a"], &["y"]),
        ];
        let mut everything = model(&[2, 4], nodes, vec![weight("w", &[2, 4])], &["y"]);
        let flag = value("flag", ElementType::Bool, &[1]);
        everything.graph.as_mut().unwrap().input.push(flag);
        read(&everything).unwrap()
    }

    #[test]
    fn stages_of_any_length_learn_the_same() {
        let model = everything();
        let roles = roles(&model.graph, &model.header);
        let types = types::element_types(&model.graph, &model.header.functions);
        let learn = |nodes| run_in_stages(&model, &roles, &types, &Rten::new(), nodes).unwrap();
        let whole = learn(model.graph.node.len());
        assert_eq!(whole.shapes["y"], [2, 4]);
        assert!(whole.statics.contains_key("s"), "{whole:?}");
        for nodes in 1..model.graph.node.len() {
            assert_eq!(learn(nodes), whole, "stages of {nodes} nodes");
        }
    }

    #[test]
    fn tensors_of_unknown_type_stay_within_a_segment() {
        let model = everything();
        let roles = roles(&model.graph, &model.header);
        let mut types = types::element_types(&model.graph, &model.header.functions);
        assert!(types.remove("b").is_some());
        let wiring = Wiring::new(&model.graph.node);
        let staged = ShapeRun { model: &model, roles: &roles, types: &types, wiring };
        // `b` goes from the node at position 3 to the branch at 4.
        assert_eq!(staged.stages(1), [0..1, 1..2, 2..3, 3..5, 5..6, 6..7, 7..8]);
    }
}
