//! Element types of all tensors, by the rules of the operators.
//!
//! Engines cannot be asked: some widen or narrow types inside. What the file declares comes first.
//! A tensor that is not a dense tensor of a type in [`ElementType`] (a sequence, a string, a bfloat16)
//! has no type here, and so has everything computed from it; such tensors never cross a cut.

use super::proto::type_proto::Value as TypeValue;
use super::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto, ValueInfoProto};
use super::tensor_type::tensor_type;
use super::wiring::called;
use crate::tensor::ElementType::{self, Bool, F32, I32, I64, U8};
use std::collections::BTreeMap;

type Types = BTreeMap<String, Option<ElementType>>;

/// The element type of every tensor of a graph; a tensor without one is not in the map.
pub(super) fn element_types(
    graph: &GraphProto,
    functions: &[FunctionProto],
) -> BTreeMap<String, ElementType> {
    let scope = Scope { functions, depth: 0 };
    let types = scope.graph(graph, &Types::new());
    types.into_iter().filter_map(|(name, found)| Some((name, found?))).collect()
}

/// Functions may call functions; recursion is not allowed in ONNX, but files may hold it.
const CALL_DEPTH_MAX: usize = 16;

struct Scope<'a> {
    functions: &'a [FunctionProto],
    depth: usize,
}

impl Scope<'_> {
    fn graph(&self, graph: &GraphProto, outer: &Types) -> Types {
        let mut types = outer.clone();
        types.extend(graph.input.iter().filter_map(declared));
        let stored = |name: &str, number| (name.to_owned(), ElementType::from_onnx_number(number));
        types.extend(graph.initializer.iter().map(|t| stored(t.name(), t.data_type())));
        let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        types.extend(sparse.map(|t| stored(t.name(), t.data_type())));
        let known: Types =
            graph.value_info.iter().chain(&graph.output).filter_map(declared).collect();
        self.nodes(&graph.node, &known, types)
    }

    fn nodes(&self, nodes: &[NodeProto], declared: &Types, mut types: Types) -> Types {
        for node in nodes {
            let inferred = self.outputs(node, &types);
            for (name, found) in node.output.iter().zip(inferred) {
                let found = declared.get(name).copied().unwrap_or(found);
                types.insert(name.clone(), found);
            }
        }
        types
    }

    /// The types of the outputs of a node.
    fn outputs(&self, node: &NodeProto, types: &Types) -> Vec<Option<ElementType>> {
        let count = node.output.len();
        let input = |index: usize| -> Option<ElementType> {
            node.input.get(index).and_then(|name| types.get(name).copied().flatten())
        };
        let same = |found: Option<ElementType>| vec![found; count];
        let first_then = |rest: ElementType| {
            (0..count).map(|i| if i == 0 { input(0) } else { Some(rest) }).collect()
        };
        if let Some(function) = self.function(node) {
            return self.call(function, node, types);
        }
        match node.op_type() {
            "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" | "NonMaxSuppression" => {
                same(Some(I64))
            }
            "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or"
            | "Not" | "Xor" | "IsNaN" | "IsInf" => same(Some(Bool)),
            "TopK" | "MaxPool" | "Unique" => first_then(I64),
            "Dropout" => first_then(Bool),
            "Cast" => same(number(node, "to")),
            "CastLike" | "Where" => same(input(1)),
            "OneHot" => same(input(2)),
            "Constant" => same(constant(node)),
            "ConstantOfShape" => same(match attribute(node, "value") {
                Some(value) => stored_type(value),
                None => Some(F32),
            }),
            "EyeLike" | "Bernoulli" | "RandomNormalLike" | "RandomUniformLike" => {
                same(typed(node, "dtype").unwrap_or_else(|| input(0)))
            }
            "RandomNormal" | "RandomUniform" | "HannWindow" | "HammingWindow"
            | "BlackmanWindow" => {
                let key =
                    if node.op_type().ends_with("Window") { "output_datatype" } else { "dtype" };
                same(typed(node, key).unwrap_or(Some(F32)))
            }
            "Multinomial" => same(typed(node, "dtype").unwrap_or(Some(I32))),
            "QuantizeLinear" => same(
                input(2)
                    .map(Some)
                    .unwrap_or_else(|| typed(node, "output_dtype").unwrap_or(Some(U8))),
            ),
            "DequantizeLinear" => same(input(1)),
            "DynamicQuantizeLinear" => vec![Some(U8), Some(F32), Some(U8)],
            "QLinearConv" | "QLinearMatMul" => same(input(7)),
            "QLinearAdd" | "QLinearMul" => same(input(0)),
            "ConvInteger" | "MatMulInteger" => same(Some(I32)),
            "If" => self.body(node, "then_branch", types, &[]),
            "Loop" => self.looped(node, types),
            "Scan" => self.scanned(node, types),
            "SplitToSequence" | "SequenceConstruct" | "SequenceEmpty" | "SequenceInsert"
            | "SequenceErase" | "SequenceMap" | "SequenceAt" | "ConcatFromSequence"
            | "Optional" | "OptionalGetElement" => same(None),
            "SequenceLength" => same(Some(I64)),
            "OptionalHasElement" => same(Some(Bool)),
            _ => same((0..node.input.len()).find(|&i| !node.input[i].is_empty()).and_then(input)),
        }
    }

    fn function(&self, node: &NodeProto) -> Option<&FunctionProto> {
        called(self.functions, node).filter(|_| self.depth < CALL_DEPTH_MAX)
    }

    fn call(
        &self,
        function: &FunctionProto,
        node: &NodeProto,
        types: &Types,
    ) -> Vec<Option<ElementType>> {
        let argument = |name: &String| types.get(name).copied().flatten();
        let inner = function.input.iter().cloned().zip(node.input.iter().map(argument)).collect();
        let known = function.value_info.iter().filter_map(declared).collect();
        let scope = Scope { functions: self.functions, depth: self.depth + 1 };
        let found = scope.nodes(&function.node, &known, inner);
        function.output.iter().map(|name| found.get(name).copied().flatten()).collect()
    }

    /// The types of what a body returns; `inputs` are those of its own inputs, where known.
    fn body(
        &self,
        node: &NodeProto,
        key: &str,
        types: &Types,
        inputs: &[Option<ElementType>],
    ) -> Vec<Option<ElementType>> {
        let Some(body) = attribute(node, key).and_then(|a| a.g.as_ref()) else {
            return vec![None; node.output.len()];
        };
        let mut scope = types.clone();
        for (input, &found) in body.input.iter().zip(inputs) {
            scope.insert(input.name().to_owned(), found);
        }
        let found = self.graph(body, &scope);
        body.output.iter().map(|o| found.get(o.name()).copied().flatten()).collect()
    }

    fn looped(&self, node: &NodeProto, types: &Types) -> Vec<Option<ElementType>> {
        let carried = node.input.iter().skip(2).map(|n| types.get(n).copied().flatten());
        let inputs: Vec<_> = [Some(I64), Some(Bool)].into_iter().chain(carried).collect();
        self.body(node, "body", types, &inputs).into_iter().skip(1).collect()
    }

    fn scanned(&self, node: &NodeProto, types: &Types) -> Vec<Option<ElementType>> {
        let inputs: Vec<_> = node.input.iter().map(|n| types.get(n).copied().flatten()).collect();
        self.body(node, "body", types, &inputs)
    }
}

/// What a declaration says; `None` inside for what has no element type here.
fn declared(value: &ValueInfoProto) -> Option<(String, Option<ElementType>)> {
    let found = match value.r#type.as_ref()?.value.as_ref()? {
        TypeValue::TensorType(_) => match tensor_type(value)?.elem_type() {
            0 => return None,
            number => ElementType::from_onnx_number(number),
        },
        _ => None,
    };
    Some((value.name().to_owned(), found))
}

pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name() == name)
}

fn number(node: &NodeProto, name: &str) -> Option<ElementType> {
    typed(node, name).flatten()
}

fn typed(node: &NodeProto, name: &str) -> Option<Option<ElementType>> {
    let number = attribute(node, name)?.i();
    let known = i32::try_from(number).ok().filter(|&n| n != 0)?;
    Some(ElementType::from_onnx_number(known))
}

fn stored_type(attribute: &AttributeProto) -> Option<ElementType> {
    ElementType::from_onnx_number(attribute.t.as_ref()?.data_type())
}

fn constant(node: &NodeProto) -> Option<ElementType> {
    let value = node.attribute.first()?;
    match value.name() {
        "value" => stored_type(value),
        "sparse_value" => {
            let values = value.sparse_tensor.as_ref()?.values.as_ref()?;
            ElementType::from_onnx_number(values.data_type())
        }
        "value_float" | "value_floats" => Some(F32),
        "value_int" | "value_ints" => Some(I64),
        _ => None,
    }
}
