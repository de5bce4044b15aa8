//! The parts that graphs are built of, as protobuf messages: nodes, attributes, stored tensors.

use super::proto::attribute_proto::AttributeType;
use super::proto::{
    AttributeProto, GraphProto, NodeProto, SparseTensorProto, TensorProto, ValueInfoProto,
};
use crate::tensor::ElementType;
use bytes::Bytes;

pub(crate) fn node(
    name: &str,
    op_type: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        name: Some(name.to_owned()),
        op_type: Some(op_type.to_owned()),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..NodeProto::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(kind.into()),
        ..AttributeProto::default()
    }
}

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

pub(crate) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.into()), ..attribute(name, AttributeType::String) }
}

/// A tensor that is stored in the graph, from row-major little-endian bytes.
pub(crate) fn stored(
    name: &str,
    element_type: ElementType,
    shape: &[usize],
    bytes: Bytes,
) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(element_type.onnx_number()),
        dims: shape.iter().map(|&dim| dim as i64).collect(),
        raw_data: Some(bytes),
        ..TensorProto::default()
    }
}

/// A declaration of a tensor of which no more is said than its name.
pub(crate) fn named(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() }
}

/// The constants of a graph whose names are chosen.
pub(super) fn stored_in(
    graph: &GraphProto,
    is_chosen: impl Fn(&str) -> bool,
) -> (Vec<TensorProto>, Vec<SparseTensorProto>) {
    let dense = graph.initializer.iter().filter(|tensor| is_chosen(tensor.name()));
    let sparse = graph.sparse_initializer.iter();
    let sparse = sparse.filter(|s| s.values.as_ref().is_some_and(|v| is_chosen(v.name())));
    (dense.cloned().collect(), sparse.cloned().collect())
}
