//! Which nodes are constant, static or computed, and which tensors have no stable shape.

use super::proto::{FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use super::wiring::{self, bodies};
use std::collections::{BTreeMap, BTreeSet};

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
    pub(super) unstable: BTreeSet<String>,
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
        let function = wiring::called(&header.functions, node);
        let is_fixed = |name: &&str| !computed.contains(*name);
        let is_measured = matches!(node.op_type(), "Shape" | "Size")
            && read.iter().all(|name| !roles.unstable.contains(*name));
        let must_stay = is_random(node)
            || function.is_some()
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
            && (function.map_or(UNSTABLE.contains(&node.op_type()), |f| hides_shapes(f, header))
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

/// Whether a function may have outputs of unstable shape.
fn hides_shapes(function: &FunctionProto, header: &ModelProto) -> bool {
    function.node.iter().any(|inner| {
        UNSTABLE.contains(&inner.op_type())
            || !shape_giving(inner.op_type()).is_empty()
            || header.functions.iter().any(|f| f.name() == inner.op_type())
    })
}
