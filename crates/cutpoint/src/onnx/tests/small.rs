//! Small models, and running them.

use crate::engine::rten::Rten;
use crate::engine::{Engine, EngineOptions};
use crate::onnx::proto::attribute_proto::AttributeType;
use crate::onnx::proto::tensor_shape_proto::{Dimension, dimension::Value as DimensionValue};
use crate::onnx::proto::type_proto::{Tensor as TensorType, Value as TypeValue};
use crate::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
};
use crate::onnx::{LayeredModel, OnnxModel, ReadOptions, Segment};
use crate::tensor::{ElementType, Tensor, relative_difference};
use prost::Message;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// How far a split result may be from the unsplit one, relative to the largest value.
pub(crate) const LIMIT: f64 = 1e-5;

pub(crate) fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op_type.to_owned()),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: outputs.iter().map(|&name| name.to_owned()).collect(),
        ..NodeProto::default()
    }
}

pub(crate) fn with_ints(mut node: NodeProto, name: &str, values: &[i64]) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Ints.into()),
        ints: values.to_vec(),
        ..AttributeProto::default()
    });
    node
}

pub(crate) fn with_int(mut node: NodeProto, name: &str, value: i64) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int.into()),
        i: Some(value),
        ..AttributeProto::default()
    });
    node
}

pub(crate) fn with_tensor(mut node: NodeProto, name: &str, tensor: TensorProto) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Tensor.into()),
        t: Some(tensor),
        ..AttributeProto::default()
    });
    node
}

pub(crate) fn with_graph(mut node: NodeProto, name: &str, graph: GraphProto) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Graph.into()),
        g: Some(graph),
        ..AttributeProto::default()
    });
    node
}

pub(crate) fn value(name: &str, element_type: ElementType, dims: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        value: Some(match size {
            -1 => DimensionValue::DimParam("N".to_owned()),
            size => DimensionValue::DimValue(size),
        }),
        ..Dimension::default()
    };
    let tensor = TensorType {
        elem_type: Some(element_type.onnx_number()),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            value: Some(TypeValue::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

pub(crate) fn f32s(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(1),
        dims: dims.to_vec(),
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A constant with values between -0.5 and 0.5.
pub(crate) fn weight(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|i| (i * 37 % 101) as f32 / 101.0 - 0.5).collect();
    f32s(name, dims, &values)
}

pub(crate) fn i64s(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(7),
        dims: vec![values.len() as i64],
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A model whose input is `x`, of 32-bit floating point.
pub(crate) fn model(
    dims: &[i64],
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    outputs: &[&str],
) -> ModelProto {
    let output =
        |&name: &&str| ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() };
    let graph = GraphProto {
        name: Some("small".to_owned()),
        input: vec![value("x", ElementType::F32, dims)],
        output: outputs.iter().map(output).collect(),
        node,
        initializer,
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(17) };
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![opset],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

pub(crate) fn read(model: &ModelProto) -> crate::error::Result<OnnxModel> {
    OnnxModel::from_bytes(model.encode_to_vec().into(), "small.onnx", &ReadOptions::default())
}

pub(crate) fn layered(model: &ModelProto) -> LayeredModel {
    read(model).unwrap().into_layers(&Rten::new()).unwrap()
}

/// The operators of each layer.
pub(crate) fn operators(layered: &LayeredModel) -> Vec<String> {
    let operators = |nodes: &[crate::onnx::LayerNode]| {
        nodes.iter().map(|node| node.op_type.clone()).collect::<Vec<_>>().join(" ")
    };
    layered.layers().layers.iter().map(|layer| operators(&layer.nodes)).collect()
}

pub(crate) type Values = BTreeMap<String, Tensor>;

/// Runs a model on what it reads of `known`.
pub(crate) fn run(onnx: &[u8], inputs: &[String], known: &Values) -> Values {
    let options = EngineOptions { threads: NonZeroUsize::new(2).unwrap() };
    let mut session = Rten::new().load(onnx, options).unwrap();
    let inputs: Vec<(&str, &Tensor)> =
        inputs.iter().map(|name| (name.as_str(), &known[name])).collect();
    session.run(&inputs).unwrap().into_iter().collect()
}

/// The inputs and outputs of the unsplit model.
pub(crate) struct Unsplit {
    pub(crate) inputs: Values,
    pub(crate) outputs: Values,
}

pub(crate) fn unsplit(model: &OnnxModel) -> Unsplit {
    let inputs: Values = model.synthetic_inputs(5).into_iter().collect();
    let names: Vec<String> = model.inputs().iter().map(|(name, _)| name.clone()).collect();
    let outputs = run(&model.to_onnx().unwrap(), &names, &inputs);
    Unsplit { inputs, outputs }
}

/// Checks that segments, run in order, give what the unsplit model gives.
pub(crate) fn check_same(unsplit: &Unsplit, segments: &[&Segment]) {
    let mut known = unsplit.inputs.clone();
    for segment in segments {
        known.extend(run(&segment.onnx, &segment.inputs, &known));
    }
    for (name, expected) in &unsplit.outputs {
        let found = &known[name];
        assert_eq!(found.element_type(), expected.element_type(), "{name}");
        match relative_difference(found, expected) {
            Some(difference) => assert!(difference <= LIMIT, "{name}: {difference:e}"),
            None => assert_eq!(found, expected, "{name}"),
        }
    }
}

/// Checks the cut after each number of layers that is chosen, by its frontier and by its layers;
/// returns how many.
pub(crate) fn check_boundaries(layered: &LayeredModel, is_chosen: impl Fn(usize) -> bool) -> usize {
    let whole = unsplit(layered.model());
    let count = layered.layers().layers.len();
    let boundaries = layered.boundaries();
    let chosen: Vec<_> = boundaries.iter().filter(|b| is_chosen(b.device_layers)).collect();
    for boundary in &chosen {
        let cut = layered.cut_at(&boundary.frontier).unwrap();
        assert_eq!(cut.frontier, boundary.frontier);
        let (prefix, suffix) = (layered.prefix(&cut).unwrap(), layered.suffix(&cut).unwrap());
        assert_eq!(suffix.inputs, boundary.frontier);
        check_same(&whole, &[&prefix, &suffix]);
    }
    if let Some(boundary) = chosen.get(chosen.len() / 2) {
        let before: Vec<usize> = (0..boundary.device_layers).collect();
        let after: Vec<usize> = (boundary.device_layers..count).collect();
        let segments = [layered.segment(&before).unwrap(), layered.segment(&after).unwrap()];
        check_same(&whole, &[&segments[0], &segments[1]]);
    }
    chosen.len()
}
