//! Fixed shapes for the inputs of a model, and declarations of tensors with them.

use super::proto::tensor_shape_proto::{Dimension, dimension::Value as DimensionValue};
use super::proto::type_proto::{Tensor as TensorType, Value as TypeValue};
use super::proto::{GraphProto, TensorShapeProto, TypeProto, ValueInfoProto};
use super::tensor_type::tensor_type;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{INPUT_BYTES_MAX, MODEL_RANK_MAX};
use crate::tensor::{ElementType, TensorSpec, shape_text};
use std::collections::{BTreeMap, BTreeSet};

/// The size of each symbolic dimension that follows from the shapes given.
fn symbols(graph: &GraphProto, given: &BTreeMap<String, Vec<usize>>) -> BTreeMap<String, usize> {
    let mut symbols = BTreeMap::new();
    for input in &graph.input {
        let (Some(given), Some(dims)) = (given.get(input.name()), dimensions(input)) else {
            continue;
        };
        for (dim, &size) in dims.iter().zip(given) {
            if let Some(DimensionValue::DimParam(symbol)) = &dim.value {
                symbols.entry(symbol.clone()).or_insert(size);
            }
        }
    }
    symbols
}

fn dimensions(value: &ValueInfoProto) -> Option<&[Dimension]> {
    Some(&tensor_type(value)?.shape.as_ref()?.dim)
}

/// Gives every input a fixed shape, and returns them. What the file says about the shapes of other
/// tensors is dropped if an input's shape is not the one in the file.
///
/// # Errors
/// [`ErrorKind::Input`] if a shape is needed, does not fit, or is for no input;
/// [`ErrorKind::Model`] if an input is not a dense tensor of a known element type.
pub(super) fn fix_inputs(
    graph: &mut GraphProto,
    shapes: &BTreeMap<String, Vec<usize>>,
) -> Result<Vec<(String, TensorSpec)>> {
    let names: BTreeSet<&str> = graph.input.iter().map(ValueInfoProto::name).collect();
    if let Some(name) = shapes.keys().find(|name| !names.contains(name.as_str())) {
        let message = format!("a shape is given for {name:?}, which is not an input of the model");
        let known: Vec<&str> = names.into_iter().collect();
        let hint = format!("its inputs are {}", known.join(", "));
        return Err(Error::new(ErrorKind::Input, message).hint(hint));
    }
    let symbols = symbols(graph, shapes);
    let mut inputs = Vec::with_capacity(graph.input.len());
    let mut is_changed = false;
    for input in &mut graph.input {
        let name = input.name().to_owned();
        let given = shapes.get(&name).map(Vec::as_slice);
        let spec = fixed(input, given, &symbols).map_err(|e| e.at(format!("input {name:?}")))?;
        let declared = dimensions(input).map(|dims| dims.iter().map(fixed_size).collect());
        is_changed |= declared != Some(spec.shape.iter().copied().map(Some).collect::<Vec<_>>());
        *input = declare(input, &spec);
        inputs.push((name, spec));
    }
    if is_changed {
        graph.value_info.iter_mut().for_each(forget_shape);
        graph.output.iter_mut().for_each(forget_shape);
    }
    Ok(inputs)
}

fn fixed_size(dim: &Dimension) -> Option<usize> {
    match dim.value {
        Some(DimensionValue::DimValue(size)) => usize::try_from(size).ok().filter(|&s| s > 0),
        _ => None,
    }
}

fn fixed(
    input: &ValueInfoProto,
    given: Option<&[usize]>,
    symbols: &BTreeMap<String, usize>,
) -> Result<TensorSpec> {
    let declared = tensor_type(input)
        .ok_or_else(|| Error::new(ErrorKind::Model, "only dense tensors can be inputs"))?;
    let element_type = ElementType::from_onnx_number(declared.elem_type()).ok_or_else(|| {
        let message = format!("ONNX's element type {} is not supported", declared.elem_type());
        Error::new(ErrorKind::Model, message)
    })?;
    let dims = declared.shape.as_ref().map(|s| s.dim.as_slice());
    let shape = match (given, dims) {
        (Some(given), Some(dims)) if given.len() != dims.len() => {
            let message =
                format!("shape {} given, expected {}", shape_text(given), described(dims));
            return Err(Error::new(ErrorKind::Input, message));
        }
        (Some(given), _) => given.to_vec(),
        (None, None) => {
            return Err(Error::new(ErrorKind::Input, "the file declares no shape")
                .hint(format!("give one, for example --shape {}=1x3x224x224", input.name())));
        }
        (None, Some(dims)) => resolved(dims, symbols).ok_or_else(|| {
            let message = format!("the file leaves dimensions open: {}", described(dims));
            let size = |(axis, dim): (usize, &Dimension)| {
                fixed_size(dim).unwrap_or(if axis == 0 { 1 } else { 224 })
            };
            let example: Vec<usize> = dims.iter().enumerate().map(size).collect();
            let (name, example) = (input.name(), shape_text(&example));
            let hint = format!("give them, for example --shape {name}={example}");
            Error::new(ErrorKind::Input, message).hint(hint)
        })?,
    };
    let size = element_type.size() as u64;
    let bytes = shape.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(dim as u64));
    let (limit, shown) = (INPUT_BYTES_MAX, shape_text(&shape));
    if shape.len() > MODEL_RANK_MAX || bytes.is_none_or(|bytes| bytes > limit || bytes == 0) {
        let message = format!("shape {shown} is empty or has more than {limit} bytes");
        return Err(Error::new(ErrorKind::Input, message));
    }
    Ok(TensorSpec { element_type, shape })
}

/// The sizes, where only the first dimension is open or the symbols are known.
fn resolved(dims: &[Dimension], symbols: &BTreeMap<String, usize>) -> Option<Vec<usize>> {
    let size = |(axis, dim): (usize, &Dimension)| match (&dim.value, fixed_size(dim)) {
        (_, Some(size)) => Some(size),
        (Some(DimensionValue::DimParam(symbol)), _) if symbols.contains_key(symbol) => {
            symbols.get(symbol).copied()
        }
        _ => (axis == 0).then_some(1),
    };
    dims.iter().enumerate().map(size).collect()
}

fn described(dims: &[Dimension]) -> String {
    let dims = dims.iter().map(|dim| match (&dim.value, fixed_size(dim)) {
        (_, Some(size)) => size.to_string(),
        (Some(DimensionValue::DimParam(symbol)), _) if !symbol.is_empty() => symbol.clone(),
        _ => "?".to_owned(),
    });
    dims.collect::<Vec<_>>().join("x")
}

fn forget_shape(value: &mut ValueInfoProto) {
    if let Some(TypeProto { value: Some(TypeValue::TensorType(tensor)), .. }) = &mut value.r#type {
        tensor.shape = None;
    }
}

/// A declaration with element type and shape; what else `value` says is kept.
pub(crate) fn declare(value: &ValueInfoProto, spec: &TensorSpec) -> ValueInfoProto {
    let size = |&size: &usize| Dimension {
        denotation: None,
        value: Some(DimensionValue::DimValue(size as i64)),
    };
    let dim = spec.shape.iter().map(size).collect();
    declared(value, spec.element_type, Some(TensorShapeProto { dim }))
}

/// A declaration with an element type and a rank, or without a shape.
pub(super) fn declare_open(
    value: &ValueInfoProto,
    element_type: ElementType,
    rank: Option<usize>,
) -> ValueInfoProto {
    let open = |rank| TensorShapeProto { dim: vec![Dimension::default(); rank] };
    declared(value, element_type, rank.map(open))
}

fn declared(
    value: &ValueInfoProto,
    element_type: ElementType,
    shape: Option<TensorShapeProto>,
) -> ValueInfoProto {
    let tensor = TensorType { elem_type: Some(element_type.onnx_number()), shape };
    let r#type = TypeProto { denotation: None, value: Some(TypeValue::TensorType(tensor)) };
    ValueInfoProto { r#type: Some(r#type), ..value.clone() }
}
