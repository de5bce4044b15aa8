//! Cutting a model: segments, which are models of their own, and the sets of tensors between them.

use super::layered_model::LayeredModel;
use super::parts::{self, named};
use super::proto::{GraphProto, ModelProto, NodeProto, StringStringEntryProto, ValueInfoProto};
use super::protobuf::encode;
use super::tensor_type::tensor_type;
use super::{shapes, wiring};
use crate::encoding::Encoding;
use crate::error::{Error, ErrorKind, Result};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A part of a model, as a model of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The tensors it reads: inputs of the whole model, and tensors that other parts write.
    pub inputs: Vec<String>,
    /// The tensors it writes for other parts, and the outputs of the whole model that it makes.
    pub outputs: Vec<String>,
    /// The bytes of an ONNX file.
    pub onnx: Vec<u8>,
}

/// A segment that may still be changed.
pub(super) struct Draft {
    pub(super) graph: GraphProto,
    /// Which part of the model it is, as its file tells.
    part: &'static str,
}

/// A cut between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCut {
    /// By node: whether it is computed before the cut.
    pub(super) is_before: Vec<bool>,
    /// The tensors that cross the cut, inputs of the model first, then in the order they are made.
    pub frontier: Vec<String>,
}

/// A cut after some layers of a model, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// How many layers are before it.
    pub device_layers: usize,
    /// The tensors that cross it, inputs of the model first, then in the order they are made.
    pub frontier: Vec<String>,
}

impl LayeredModel {
    /// A model of some of the layers, by their positions in the order of
    /// [`LayerGraph`](super::LayerGraph). Any convex set will do: a prefix, a suffix, or what lies
    /// between two cuts.
    ///
    /// # Errors
    /// [`ErrorKind::Cut`] if the set is empty or names no layer, or if something outside it reads
    /// from it and is read by it; [`ErrorKind::Model`] if the segment is too large for a file.
    pub fn segment(&self, layers: &[usize]) -> Result<Segment> {
        let mut is_in = vec![false; self.resolved.is_computed.len()];
        let all = &self.layers.layers;
        for &index in layers {
            let layer = all.get(index).ok_or_else(|| {
                Error::new(ErrorKind::Cut, format!("no layer {index}, there are {}", all.len()))
            })?;
            layer.nodes.iter().for_each(|node| is_in[node.index] = true);
        }
        self.check_convex(&is_in)?;
        self.finished(self.draft(&is_in, "segment", &BTreeSet::new()), &BTreeMap::new())
    }

    /// The whole model as one segment.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if it is too large for a file.
    pub fn whole(&self) -> Result<Segment> {
        self.whole_with_outputs(&BTreeSet::new())
    }

    /// The whole model as one segment, with more of its tensors as outputs.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if it is too large for a file.
    pub fn whole_with_outputs(&self, tensors: &BTreeSet<&str>) -> Result<Segment> {
        self.finished(self.draft(&self.resolved.is_computed, "whole", tensors), &BTreeMap::new())
    }

    /// The nodes up to a cut.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the segment is too large for a file.
    pub fn prefix(&self, cut: &NodeCut) -> Result<Segment> {
        self.encoded_prefix(cut, &BTreeMap::new())
    }

    /// The nodes behind a cut.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the segment is too large for a file.
    pub fn suffix(&self, cut: &NodeCut) -> Result<Segment> {
        self.encoded_suffix(cut, &BTreeMap::new())
    }

    /// The cut that only `tensors` cross: before it the smallest set of nodes that makes them.
    ///
    /// # Errors
    /// [`ErrorKind::Cut`] if there is none, naming the tensors that are missing or too many, or if
    /// one side of the cut would be empty.
    pub fn cut_at<S: AsRef<str>>(&self, tensors: &[S]) -> Result<NodeCut> {
        let named: BTreeSet<&str> = tensors.iter().map(AsRef::as_ref).collect();
        named.iter().try_for_each(|name| self.check_can_cross(name))?;
        let mut is_before = vec![false; self.resolved.is_computed.len()];
        for name in &named {
            self.add_with_ancestors(
                self.resolved.wiring.producer.get(*name).copied(),
                &mut is_before,
            );
        }
        let first = self.frontier(&is_before);
        let mut frontier = first.clone();
        while let Some(extra) = frontier.iter().find(|name| !named.contains(name.as_str())) {
            for &reader in self.resolved.wiring.readers(extra) {
                self.add_with_ancestors(Some(reader), &mut is_before);
            }
            frontier = self.frontier(&is_before);
        }
        if frontier.len() < named.len() {
            return Err(no_cut(&named, &first, &frontier));
        }
        if !is_before.contains(&true) {
            let message = "only inputs of the model are named: nothing is before the cut";
            return Err(Error::new(ErrorKind::Cut, message));
        }
        Ok(NodeCut { is_before, frontier })
    }

    /// Every cut along the topological order with layers on both sides that
    /// [`LayeredModel::cut_at`] makes from its frontier.
    pub fn boundaries(&self) -> Vec<Boundary> {
        let layers = &self.layers.layers;
        let mut is_before = vec![false; self.resolved.is_computed.len()];
        let mut boundaries = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            layer.nodes.iter().for_each(|node| is_before[node.index] = true);
            let frontier = self.frontier(&is_before);
            // Only inputs cross where the layers so far end in outputs of the model.
            if frontier.iter().any(|name| self.resolved.wiring.producer.contains_key(name)) {
                boundaries.push(Boundary { device_layers: index + 1, frontier });
            }
        }
        boundaries
    }

    fn check_can_cross(&self, name: &str) -> Result<()> {
        let message = if self.resolved.wiring.producer.contains_key(name)
            && !self.resolved.flows(name)
            || self.resolved.model.graph.initializer.iter().any(|t| t.name() == name)
        {
            format!("tensor {name:?} is constant: every segment that needs it has it")
        } else if !self.resolved.flows(name) {
            format!("the model has no tensor {name:?}")
        } else if !self.resolved.can_cross(name) {
            format!("tensor {name:?} cannot cross a cut: its type or shape is known only in a run")
        } else {
            return Ok(());
        };
        let hint = "cutpoint inspect lists the tensors of each cut";
        Err(Error::new(ErrorKind::Cut, message).at(&self.resolved.model.place).hint(hint))
    }

    fn add_with_ancestors(&self, node: Option<usize>, set: &mut [bool]) {
        let mut stack: Vec<usize> = node.into_iter().collect();
        while let Some(node) = stack.pop() {
            if self.resolved.is_computed[node] && !set[node] {
                set[node] = true;
                stack.extend(self.resolved.wiring.predecessors(node));
            }
        }
    }

    /// The tensors that are there before a cut and read behind it, inputs of the model first.
    fn frontier(&self, is_before: &[bool]) -> Vec<String> {
        let is_read = |name: &&String| {
            let mut readers = self.resolved.wiring.readers(name).iter();
            readers.any(|&r| self.resolved.is_computed[r] && !is_before[r])
        };
        let inputs = self.resolved.model.inputs.iter().map(|(name, _)| name);
        let made = (0..is_before.len()).filter(|&n| is_before[n]);
        let made = made.flat_map(|n| &self.resolved.wiring.writes[n]);
        inputs.chain(made).filter(is_read).cloned().collect()
    }

    fn check_convex(&self, is_in: &[bool]) -> Result<()> {
        if !is_in.contains(&true) {
            return Err(Error::new(ErrorKind::Cut, "a segment of no layers"));
        }
        // Nodes outside the set that depend on it.
        let mut is_behind = vec![false; is_in.len()];
        for node in 0..is_in.len() {
            let depends = self.resolved.wiring.predecessors(node).any(|p| is_behind[p]);
            if is_in[node] && depends {
                let message = "a segment reads what depends on its own output".to_owned();
                let place = wiring::place(&self.resolved.model.graph.node[node]);
                return Err(Error::new(ErrorKind::Cut, message).at(place));
            }
            let reads = self.resolved.wiring.predecessors(node).any(|p| is_in[p]);
            is_behind[node] = !is_in[node] && (depends || reads);
        }
        Ok(())
    }

    /// A part, with more of the tensors that it makes as outputs.
    pub(super) fn draft(&self, is_in: &[bool], part: &'static str, more: &BTreeSet<&str>) -> Draft {
        let nodes: Vec<usize> = (0..is_in.len()).filter(|&n| is_in[n]).collect();
        let reads: BTreeSet<String> = self.resolved.reads_of(&nodes).into_iter().collect();
        let all = self.resolved.model.inputs.iter().map(|(name, _)| name);
        let all = all.chain(self.resolved.wiring.writes.iter().flatten());
        let inputs: Vec<String> = all.filter(|name| reads.contains(*name)).cloned().collect();
        let writes = self.resolved.writes_of(&nodes, more).into_iter();
        let (last, mut outputs): (Vec<String>, Vec<String>) =
            writes.partition(|name| self.resolved.is_output(name));
        let last = self.resolved.model.outputs().filter(|&name| last.iter().any(|o| o == name));
        outputs.extend(last.map(str::to_owned));
        Draft { graph: self.graph_of(&nodes, &inputs, &outputs), part }
    }

    fn graph_of(&self, nodes: &[usize], inputs: &[String], outputs: &[String]) -> GraphProto {
        let whole = &self.resolved.model.graph;
        let constants = self.resolved.constants_of(nodes);
        let mut kept: Vec<usize> = nodes.iter().chain(&constants.nodes).copied().collect();
        kept.sort_unstable();
        let node: Vec<NodeProto> = kept.iter().map(|&n| whole.node[n].clone()).collect();
        let known: BTreeMap<&str, &ValueInfoProto> = (whole.value_info.iter())
            .chain(&whole.input)
            .chain(&whole.output)
            .map(|value| (value.name(), value))
            .collect();
        let declare = |name: &String| {
            let empty = named(name);
            let known = known.get(name.as_str()).copied();
            match self.resolved.tensors.get(name) {
                Some(spec) if !self.resolved.unstable.contains(name) => {
                    shapes::declare(known.unwrap_or(&empty), spec)
                }
                Some(spec) => {
                    let has_shape =
                        |v: &&ValueInfoProto| tensor_type(v).is_some_and(|t| t.shape.is_some());
                    known.filter(has_shape).cloned().unwrap_or_else(|| {
                        shapes::declare_open(&empty, spec.element_type, Some(spec.shape.len()))
                    })
                }
                None => known.cloned().unwrap_or(empty),
            }
        };
        let inner: BTreeSet<&str> =
            node.iter().flat_map(wiring::writes).chain(inputs.iter().map(String::as_str)).collect();
        let is_port = |name: &str| inputs.iter().chain(outputs).any(|port| port == name);
        let declared = whole.value_info.iter().map(|value| value.name().to_owned());
        let declared = declared.filter(|name| inner.contains(name.as_str()) && !is_port(name));
        let is_stored = |name: &str| constants.stored.contains(name);
        let (initializer, sparse_initializer) = parts::stored_in(whole, is_stored);
        let annotation = whole.quantization_annotation.iter();
        GraphProto {
            name: whole.name.clone(),
            doc_string: whole.doc_string.clone(),
            metadata_props: whole.metadata_props.clone(),
            input: inputs.iter().map(declare).collect(),
            output: outputs.iter().map(declare).collect(),
            value_info: declared.map(|name| declare(&name)).collect(),
            initializer,
            sparse_initializer,
            quantization_annotation: annotation
                .filter(|a| inner.contains(a.tensor_name()) || is_stored(a.tensor_name()))
                .cloned()
                .collect(),
            node,
        }
    }

    /// The file of a segment, which tells what it is a part of and which tensors are in encodings.
    pub(super) fn finished(
        &self,
        draft: Draft,
        encodings: &BTreeMap<String, Encoding>,
    ) -> Result<Segment> {
        let names = |values: &[ValueInfoProto]| -> Vec<String> {
            values.iter().map(|value| value.name().to_owned()).collect()
        };
        let (inputs, outputs) = (names(&draft.graph.input), names(&draft.graph.output));
        let mut entries = vec![
            ("cutpoint.source_sha256", self.resolved.model.sha256.clone()),
            ("cutpoint.part", draft.part.to_owned()),
            ("cutpoint.reads", json!(inputs).to_string()),
            ("cutpoint.writes", json!(outputs).to_string()),
        ];
        if !encodings.is_empty() {
            let told: BTreeMap<&String, &str> =
                encodings.iter().map(|(name, encoding)| (name, encoding.name())).collect();
            entries.push(("cutpoint.encodings", json!(told).to_string()));
        }
        let mut model =
            ModelProto { graph: Some(draft.graph), ..self.resolved.model.header.clone() };
        model.training_info.clear();
        model.metadata_props.retain(|entry| !entry.key().starts_with("cutpoint."));
        model.metadata_props.extend(entries.into_iter().map(|(key, value)| {
            StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) }
        }));
        let onnx = encode(model).map_err(|e| e.at(&self.resolved.model.place))?;
        Ok(Segment { inputs, outputs, onnx })
    }
}

/// Why some tensors are not a cut. `first` is what crosses if nothing but their ancestors is before
/// it; `grown` if the readers of everything else that crosses are as well.
fn no_cut(named: &BTreeSet<&str>, first: &[String], grown: &[String]) -> Error {
    let list = |names: Vec<&str>| names.join(", ");
    let crosses = |frontier: &[String], name: &str| frontier.iter().any(|f| f == name);
    let (kept, extra): (Vec<&str>, Vec<&str>) =
        named.iter().copied().partition(|name| crosses(first, name));
    let is_enough = kept.iter().all(|name| crosses(grown, name));
    let missing: Vec<&str> = first
        .iter()
        .map(String::as_str)
        .filter(|name| !named.contains(name) && !is_enough)
        .collect();
    let named = list(named.iter().copied().collect());
    let (mut why, mut hint) = (Vec::new(), Vec::new());
    if !missing.is_empty() {
        why.push(format!("{} would cross it as well", list(missing.clone())));
        hint.push(format!("name {} too", list(missing)));
    }
    if !extra.is_empty() {
        why.push(format!("nothing behind it reads {}", list(extra.clone())));
        hint.push(format!("leave {} out", list(extra)));
    }
    Error::new(ErrorKind::Cut, format!("{named} is not a cut: {}", why.join("; ")))
        .hint(hint.join("; "))
}
