//! The constants of a model once its input shapes are fixed, and the type and shape of everything else.
//!
//! A node is *constant* if all it reads is stored in the model. Constant nodes are not layers: they
//! are copied to every segment that needs their result. A node is *static* if its result follows
//! from constants and from the shapes of tensors. Static nodes are computed here, and their results
//! stored as constants, so no shape arithmetic crosses a cut. All other nodes are *computed*.
//!
//! Shapes and static results are taken from one run on synthetic inputs, by `shape_run`. A shape that depends on
//! the values of a tensor is *unstable*: the run says nothing about it, so an unstable tensor never
//! crosses a cut.

use super::proto::{GraphProto, TensorProto};
use super::read::OnnxModel;
use super::roles::{Role, Roles, roles};
use super::wiring::{self, Wiring};
use super::{external, parts, shape_run, types};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, Tensor, TensorSpec};
use std::collections::{BTreeMap, BTreeSet};

/// A model whose tensors all have a known type and shape.
#[derive(Clone, Debug)]
pub(super) struct ResolvedModel {
    pub(super) model: OnnxModel,
    /// Of the constant and computed nodes of `model`.
    pub(super) wiring: Wiring,
    /// By node: whether it is computed.
    pub(super) is_computed: Vec<bool>,
    /// Of inputs and of what computed nodes write.
    pub(super) tensors: BTreeMap<String, TensorSpec>,
    pub(super) unstable: BTreeSet<String>,
}

/// The constants that some nodes need: those stored, and the nodes that make the others.
#[derive(Debug, Default)]
pub(super) struct Constants {
    pub(super) stored: BTreeSet<String>,
    pub(super) nodes: BTreeSet<usize>,
}

impl Constants {
    /// The size of all that is stored in them.
    pub(super) fn bytes(&self, graph: &GraphProto) -> u64 {
        let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        let stored = graph.initializer.iter().chain(sparse);
        let stored = stored.filter(|tensor| self.stored.contains(tensor.name()));
        let attributes = self.nodes.iter().flat_map(|&n| &graph.node[n].attribute);
        let size = |tensor: &TensorProto| external::stored_bytes(tensor).unwrap_or(0);
        stored.map(size).sum::<u64>()
            + attributes.filter_map(|a| a.t.as_ref()).map(size).sum::<u64>()
    }
}

impl ResolvedModel {
    /// Runs the model once on synthetic inputs, with one thread for each core, to learn the shape
    /// of every tensor, and folds what follows from shapes alone.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`] if the engine cannot run the model.
    pub(super) fn of(mut model: OnnxModel, engine: &dyn Engine) -> Result<ResolvedModel> {
        remove_unused(&mut model.graph);
        let roles = roles(&model.graph, &model.header);
        let types = types::element_types(&model.graph, &model.header.functions);
        let learnt =
            shape_run::run(&model, &roles, &types, engine).map_err(|e| e.at(&model.place))?;
        let mut tensors: BTreeMap<String, TensorSpec> = model.inputs.iter().cloned().collect();
        for (name, shape) in learnt.shapes {
            if let (Some(&element_type), None) = (types.get(&name), roles.statics.get(&name)) {
                tensors.insert(name, TensorSpec { element_type, shape });
            }
        }
        fold(&mut model.graph, &roles, &types, &learnt.statics).map_err(|e| e.at(&model.place))?;
        let is_computed =
            roles.of_node.iter().filter(|&&r| r != Role::Static).map(|&r| r == Role::Computed);
        let (is_computed, wiring) = (is_computed.collect(), Wiring::new(&model.graph.node));
        Ok(ResolvedModel { model, wiring, is_computed, tensors, unstable: roles.unstable })
    }

    /// Whether a tensor may cross a cut: its type and shape are known, whatever the inputs are.
    pub(super) fn can_cross(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor) && !self.unstable.contains(tensor)
    }

    /// Whether a tensor is an input of the model or written by a computed node.
    pub(super) fn flows(&self, tensor: &str) -> bool {
        match self.wiring.producer.get(tensor) {
            Some(&node) => self.is_computed[node],
            None => self.model.inputs.iter().any(|(name, _)| name == tensor),
        }
    }

    /// What some nodes read of the model's inputs and of other computed nodes, each once.
    pub(super) fn reads_of(&self, nodes: &[usize]) -> Vec<String> {
        let is_written_here = |name: &str| {
            self.wiring.producer.get(name).is_some_and(|p| nodes.binary_search(p).is_ok())
        };
        let mut seen = BTreeSet::new();
        let reads = nodes.iter().flat_map(|&n| &self.wiring.reads[n]);
        reads
            .filter(|name| self.flows(name) && !is_written_here(name) && seen.insert(name.as_str()))
            .cloned()
            .collect()
    }

    /// What some nodes write that others read, that is an output of the model, or is in `more`.
    pub(super) fn writes_of(&self, nodes: &[usize], more: &BTreeSet<&str>) -> Vec<String> {
        let leaves = |name: &&String| {
            self.is_output(name)
                || more.contains(name.as_str())
                || self.wiring.readers(name).iter().any(|r| nodes.binary_search(r).is_err())
        };
        nodes.iter().flat_map(|&n| &self.wiring.writes[n]).filter(leaves).cloned().collect()
    }

    pub(super) fn is_output(&self, tensor: &str) -> bool {
        self.model.outputs().any(|output| output == tensor)
    }

    /// The constants that nodes need.
    pub(super) fn constants_of(&self, nodes: &[usize]) -> Constants {
        let mut constants = Constants::default();
        let mut stack: Vec<usize> = nodes.to_vec();
        while let Some(node) = stack.pop() {
            for name in &self.wiring.reads[node] {
                match self.wiring.producer.get(name) {
                    Some(&maker) if self.is_computed[maker] => {}
                    Some(&maker) => {
                        if constants.nodes.insert(maker) {
                            stack.push(maker);
                        }
                    }
                    None => drop(constants.stored.insert(name.clone())),
                }
            }
        }
        constants
    }
}

/// Takes out nodes whose results nobody reads.
fn remove_unused(graph: &mut GraphProto) {
    let mut needed: BTreeSet<String> = graph.output.iter().map(|o| o.name().to_owned()).collect();
    let mut is_kept = vec![false; graph.node.len()];
    for (index, node) in graph.node.iter().enumerate().rev() {
        if wiring::writes(node).any(|name| needed.contains(name)) {
            is_kept[index] = true;
            needed.extend(wiring::reads(node).into_iter().map(str::to_owned));
        }
    }
    let mut kept = is_kept.into_iter();
    graph.node.retain(|_| kept.next().unwrap_or(true));
}

/// Replaces the static nodes by the results that the others read.
fn fold(
    graph: &mut GraphProto,
    roles: &Roles,
    types: &BTreeMap<String, ElementType>,
    values: &BTreeMap<String, Tensor>,
) -> Result<()> {
    let mut is_read = BTreeSet::new();
    for (node, &role) in graph.node.iter().zip(&roles.of_node) {
        if role != Role::Static {
            is_read.extend(wiring::reads(node).into_iter().map(str::to_owned));
        }
    }
    for name in roles.statics.keys().filter(|name| is_read.contains(*name)) {
        let (Some(value), Some(&element_type)) = (values.get(name), types.get(name)) else {
            let message = format!("tensor {name:?} depends on shapes, and has no supported type");
            return Err(Error::new(ErrorKind::Model, message));
        };
        if value.element_type() != element_type {
            let (found, expected) =
                (value.element_type().protocol_name(), element_type.protocol_name());
            let message = format!("the engine computed {found} instead of {expected}");
            return Err(Error::new(ErrorKind::Engine, message).at(name));
        }
        let bytes = value.bytes().clone();
        graph.initializer.push(parts::stored(name, element_type, value.shape(), bytes));
    }
    let mut role = roles.of_node.iter();
    graph.node.retain(|_| role.next() != Some(&Role::Static));
    graph.value_info.retain(|value| !roles.statics.contains_key(value.name()));
    Ok(())
}
