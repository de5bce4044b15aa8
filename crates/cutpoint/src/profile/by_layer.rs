//! Which layer does the time of a node that an engine ran belong to?
//!
//! Engines run an optimised graph: nodes are fused, renamed and added. Before a model is profiled,
//! every node is named after the last tensor that it writes; ONNX Runtime then names what it ran
//! after a node or a tensor of the model, with marks of its own around that name. What is still
//! no name of the model (a change of memory layout) is counted to the node that ran before it, or
//! after it if it prepares an input.

use crate::engine::{BODY_PREFIX, NodeTimes};
use crate::error::{Error, ErrorKind, Result};
use crate::onnx::LayerGraph;
use crate::onnx::proto::{GraphProto, ModelProto};
use prost::Message;
use std::collections::HashMap;
use std::time::Duration;

/// A model with every node named after the last tensor that it writes, and every node in the body
/// of a control-flow operator with a name that starts with [`BODY_PREFIX`].
///
/// # Errors
/// [`ErrorKind::Model`] if the bytes are not an ONNX model.
pub(super) fn name_nodes(onnx: &[u8]) -> Result<Vec<u8>> {
    let mut model = ModelProto::decode(onnx)
        .map_err(|e| Error::new(ErrorKind::Model, "not an ONNX model").because(e))?;
    if let Some(graph) = &mut model.graph {
        let mut count = 0;
        for node in &mut graph.node {
            node.name = node.output.iter().rfind(|name| !name.is_empty()).cloned();
            for attribute in &mut node.attribute {
                for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    name_body(body, &mut count);
                }
            }
        }
    }
    Ok(model.encode_to_vec())
}

fn name_body(body: &mut GraphProto, count: &mut usize) {
    for node in &mut body.node {
        node.name = Some(format!("{BODY_PREFIX}{count}"));
        *count += 1;
        for attribute in &mut node.attribute {
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                name_body(inner, count);
            }
        }
    }
}

/// Adds up the times of nodes by layer and repeat, in milliseconds. Nothing is lost: the sum over
/// the layers is the sum over the nodes.
///
/// # Errors
/// [`ErrorKind::Engine`] if not one node can be matched with a layer.
pub(super) fn by_layer(
    nodes: &[NodeTimes],
    graph: &LayerGraph,
    repeats: usize,
) -> Result<Vec<Vec<f64>>> {
    let names = Names::new(graph);
    let owners = owners(&nodes.iter().map(|node| names.find(node)).collect::<Vec<_>>(), nodes);
    let mut layers = vec![vec![Duration::ZERO; repeats]; graph.layers.len()];
    for (node, owner) in nodes.iter().zip(owners) {
        let owner = owner.ok_or_else(|| {
            let message = "no node that the engine timed belongs to a layer of the model";
            Error::new(ErrorKind::Engine, message)
        })?;
        for (sum, time) in layers[owner].iter_mut().zip(&node.times) {
            *sum += *time;
        }
    }
    let ms = |times: Vec<Duration>| times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
    Ok(layers.into_iter().map(ms).collect())
}

/// Gives every node without a layer that of a neighbour in the order of running.
fn owners(found: &[Option<usize>], nodes: &[NodeTimes]) -> Vec<Option<usize>> {
    let before = |at: usize| found[..at].iter().rev().find_map(|owner| *owner);
    let after = |at: usize| found[at..].iter().find_map(|owner| *owner);
    let owner = |(at, owner): (usize, &Option<usize>)| {
        let is_preparation = nodes[at].operator == "ReorderInput";
        let neighbour = || match is_preparation {
            true => after(at).or_else(|| before(at)),
            false => before(at).or_else(|| after(at)),
        };
        owner.or_else(neighbour)
    };
    found.iter().enumerate().map(owner).collect()
}

/// The tensors that the nodes of each layer write.
struct Names<'g> {
    layers: HashMap<&'g str, usize>,
}

impl<'g> Names<'g> {
    fn new(graph: &'g LayerGraph) -> Names<'g> {
        let mut layers = HashMap::new();
        for (index, layer) in graph.layers.iter().enumerate() {
            for output in layer.nodes.iter().flat_map(|node| &node.outputs) {
                layers.insert(output.as_str(), index);
            }
        }
        layers.remove("");
        Names { layers }
    }

    fn find(&self, node: &NodeTimes) -> Option<usize> {
        let by_tensor = || node.tensors.iter().rev().find_map(|t| self.layers.get(t.as_str()));
        let by_name = || self.find_name(&node.node);
        by_tensor().copied().or_else(by_name)
    }

    fn find_name(&self, name: &str) -> Option<usize> {
        let mut rest = name;
        loop {
            if let Some(&layer) = self.layers.get(rest) {
                return Some(layer);
            }
            match strip_mark(rest) {
                Some(shorter) => rest = shorter,
                None => break,
            }
        }
        // The longest name of the model that the name starts with, as a whole word.
        let unmarked = name.strip_prefix("fused ").unwrap_or(name);
        let is_start = |key: &str| {
            let tail = unmarked.strip_prefix(key);
            tail.is_some_and(|tail| !tail.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        let starts = self.layers.iter().filter(|(key, _)| is_start(key));
        starts.max_by_key(|(key, _)| key.len()).map(|(_, &layer)| layer)
    }
}

/// Takes one of ONNX Runtime's marks off a name.
fn strip_mark(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_prefix("fused ").or_else(|| name.strip_suffix("_nchwc")) {
        return Some(rest);
    }
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_numbered = digits.len() < name.len();
    let number = digits.strip_suffix("_token_").or_else(|| digits.strip_suffix('_'));
    number.filter(|_| is_numbered)
}
