//! What is constant once the input shapes are fixed, and the type and shape of everything else.
//!
//! A node is *constant* if all it reads is stored in the model. Constant nodes are no layers: they
//! are copied to every segment that needs their result. A node is *static* if its result follows
//! from constants and from the shapes of tensors. Static nodes are computed here, and their results
//! stored as constants, so no shape arithmetic crosses a cut. All other nodes are *computed*.
//!
//! Shapes and static results are taken from one run on synthetic inputs, by `trial`. A shape that depends on
//! the values of a tensor is *unstable*: the run says nothing about it, so an unstable tensor never
//! crosses a cut.

use super::layers::LayerGraph;
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use super::types;
use super::wiring::{self, Wiring, bodies};
use super::{Model, TensorSpec, trial};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// A model whose tensors all have a known type and shape, and whose nodes are grouped into layers.
#[derive(Clone, Debug)]
pub struct LayeredModel {
    pub(super) model: Model,
    /// Of the constant and computed nodes of `model`.
    pub(super) wiring: Wiring,
    /// By node: whether it is computed.
    pub(super) is_computed: Vec<bool>,
    /// Of inputs and of what computed nodes write.
    pub(super) tensors: BTreeMap<String, TensorSpec>,
    pub(super) unstable: BTreeSet<String>,
    pub(super) layers: LayerGraph,
}

impl Model {
    /// Runs the model once on synthetic inputs, with one thread for each core, to learn the shape
    /// of every tensor, and groups its nodes into layers.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`] if the engine cannot run the model.
    pub fn into_layers(mut self, engine: &dyn Engine) -> Result<LayeredModel> {
        remove_unused(&mut self.graph);
        let roles = roles(&self.graph, &self.header);
        let types = types::element_types(&self.graph, &self.header.functions);
        let learnt = trial::run(&self, &roles, &types, engine).map_err(|e| e.at(&self.place))?;
        let mut tensors: BTreeMap<String, TensorSpec> = self.inputs.iter().cloned().collect();
        for (name, shape) in learnt.shapes {
            if let (Some(&element_type), None) = (types.get(&name), roles.statics.get(&name)) {
                tensors.insert(name, TensorSpec { element_type, shape });
            }
        }
        fold(&mut self.graph, &roles, &types, &learnt.statics).map_err(|e| e.at(&self.place))?;
        let is_computed =
            roles.of_node.iter().filter(|&&r| r != Role::Static).map(|&r| r == Role::Computed);
        let wiring = Wiring::new(&self.graph.node);
        let mut layered = LayeredModel {
            model: self,
            wiring,
            is_computed: is_computed.collect(),
            tensors,
            unstable: roles.unstable,
            layers: LayerGraph::default(),
        };
        layered.layers = LayerGraph::of(&layered);
        Ok(layered)
    }
}

impl LayeredModel {
    /// The layers.
    pub fn layers(&self) -> &LayerGraph {
        &self.layers
    }

    /// The model, shape arithmetic folded.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Element type and shape of a tensor that jobs make, if they are the same for all inputs.
    pub fn fixed_spec(&self, tensor: &str) -> Option<&TensorSpec> {
        self.tensors.get(tensor).filter(|_| self.can_cross(tensor))
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Constant,
    Static,
    Computed,
}

pub(super) struct Roles {
    pub(super) of_node: Vec<Role>,
    /// What static nodes write, and by which node.
    pub(super) statics: BTreeMap<String, usize>,
    unstable: BTreeSet<String>,
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

const RANDOM: [&str; 6] = [
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
];

/// Operators whose output shape depends on the values of their input, or that hide what they do.
const UNSTABLE: [&str; 10] = [
    "NonZero",
    "NonMaxSuppression",
    "Compress",
    "Unique",
    "If",
    "Loop",
    "Scan",
    "StringSplit",
    "SequenceMap",
    "ImageDecoder",
];

/// The inputs of an operator whose values decide the shape of its output.
fn shape_giving(op_type: &str) -> std::ops::Range<usize> {
    match op_type {
        "Reshape" | "Expand" | "Tile" | "Upsample" | "TopK" | "OneHot" | "Unsqueeze"
        | "Squeeze" | "Split" | "CenterCropPad" | "ReduceSum" | "ReduceMean" | "ReduceMax"
        | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2" | "ReduceLogSum"
        | "ReduceLogSumExp" | "ReduceSumSquare" => 1..2,
        "Slice" | "Resize" | "Pad" | "DFT" | "STFT" | "MelWeightMatrix" => 1..usize::MAX,
        "Range" | "ConstantOfShape" | "MaxUnpool" | "Col2Im" | "AffineGrid" => 0..usize::MAX,
        _ => 0..0,
    }
}

pub(super) fn roles(graph: &GraphProto, header: &ModelProto) -> Roles {
    let inputs: BTreeSet<&str> = graph.input.iter().map(ValueInfoProto::name).collect();
    let outputs: BTreeSet<&str> = graph.output.iter().map(ValueInfoProto::name).collect();
    let mut computed: BTreeSet<String> = inputs.iter().map(|&name| name.to_owned()).collect();
    let mut roles =
        Roles { of_node: Vec::new(), statics: BTreeMap::new(), unstable: BTreeSet::new() };
    for (index, node) in graph.node.iter().enumerate() {
        let read = wiring::reads(node);
        let is_function = header
            .functions
            .iter()
            .any(|f| f.name() == node.op_type() && f.domain() == node.domain());
        let is_fixed = |name: &&str| !computed.contains(*name);
        let is_measured = matches!(node.op_type(), "Shape" | "Size")
            && read.iter().all(|name| !roles.unstable.contains(*name));
        let must_stay = is_random(node)
            || is_function
            || wiring::writes(node).any(|name| outputs.contains(name));
        let role = if must_stay {
            Role::Computed
        } else if read.iter().all(is_fixed) {
            let is_static = read.iter().any(|name| roles.statics.contains_key(*name));
            if is_static { Role::Static } else { Role::Constant }
        } else if is_measured {
            Role::Static
        } else {
            Role::Computed
        };
        let decides = shape_giving(node.op_type());
        let is_unstable = role == Role::Computed
            && (is_function && hides_shapes(node, header)
                || !is_function && UNSTABLE.contains(&node.op_type())
                || read.iter().any(|name| roles.unstable.contains(*name))
                || (node.input.iter().enumerate())
                    .any(|(i, name)| decides.contains(&i) && computed.contains(name)));
        for name in wiring::writes(node).map(str::to_owned) {
            if is_unstable {
                roles.unstable.insert(name.clone());
            }
            match role {
                Role::Constant => {}
                Role::Static => drop(roles.statics.insert(name, index)),
                Role::Computed => drop(computed.insert(name)),
            }
        }
        roles.of_node.push(role);
    }
    roles
}

fn is_random(node: &NodeProto) -> bool {
    RANDOM.contains(&node.op_type()) || bodies(node).any(|body| body.node.iter().any(is_random))
}

/// Whether the function that a node calls may have outputs of unstable shape.
fn hides_shapes(node: &NodeProto, header: &ModelProto) -> bool {
    let called =
        header.functions.iter().find(|f| f.name() == node.op_type() && f.domain() == node.domain());
    called.is_some_and(|function| {
        function.node.iter().any(|inner| {
            UNSTABLE.contains(&inner.op_type()) || !shape_giving(inner.op_type()).is_empty()
        }) || function
            .node
            .iter()
            .any(|inner| header.functions.iter().any(|f| f.name() == inner.op_type()))
    })
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
        graph.initializer.push(stored(name, &converted(value, element_type)?));
    }
    let mut role = roles.of_node.iter();
    graph.node.retain(|_| role.next() != Some(&Role::Static));
    graph.value_info.retain(|value| !roles.statics.contains_key(value.name()));
    Ok(())
}

fn stored(name: &str, value: &Tensor) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(value.element_type().onnx_number()),
        dims: value.shape().iter().map(|&dim| dim as i64).collect(),
        raw_data: Some(value.bytes().clone()),
        ..TensorProto::default()
    }
}

/// A value in the type that the model gives it: engines may compute whole numbers and truth values
/// as 32-bit numbers.
fn converted(value: &Tensor, to: ElementType) -> Result<Tensor> {
    use ElementType::{Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    let from = value.element_type();
    if from == to {
        return Ok(value.clone());
    }
    let bytes = value.bytes();
    let whole: Option<Vec<i64>> = match from {
        I32 => Some(
            bytemuck::pod_collect_to_vec::<u8, i32>(bytes).into_iter().map(i64::from).collect(),
        ),
        I64 => Some(bytemuck::pod_collect_to_vec(bytes)),
        U8 | Bool => Some(bytes.iter().copied().map(i64::from).collect()),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = match (whole, to) {
        (Some(whole), I64 | U64) => Some(whole.iter().flat_map(|v| v.to_le_bytes()).collect()),
        (Some(whole), Bool) => Some(whole.iter().map(|&v| u8::from(v != 0)).collect()),
        (Some(whole), I8 | I16 | I32 | U8 | U16 | U32) => {
            Some(whole.iter().flat_map(|v| v.to_le_bytes().into_iter().take(to.size())).collect())
        }
        (None, F64 | F16) => value.to_f32().map(|values| match to {
            F64 => values.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect(),
            _ => values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
        }),
        (None, F32) if from == F16 => Some(
            bytemuck::pod_collect_to_vec::<u8, half::f16>(bytes)
                .iter()
                .flat_map(|v| v.to_f32().to_le_bytes())
                .collect(),
        ),
        _ => None,
    };
    let bytes = bytes.ok_or_else(|| {
        let (from, to) = (from.protocol_name(), to.protocol_name());
        Error::new(ErrorKind::Engine, format!("the engine computed {from} instead of {to}"))
    })?;
    Tensor::new(to, value.shape().to_vec(), bytes.into())
}
