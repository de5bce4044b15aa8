//! Tensors in requests and replies: raw bytes, typed contents, or an encoding, checked before
//! anything is allocated for them.

use super::messages::inference::model_infer_request::InferInputTensor;
use super::messages::inference::model_infer_response::InferOutputTensor;
use super::messages::inference::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use super::parameters::{Parameters, find_text, names, text};
use crate::encoding::{Encoded, Encoding, Form};
use crate::error::{Error, Result};
use crate::limits::{NAME_BYTES_MAX, RANK_MAX, TENSOR_BYTES_MAX, TENSORS_MAX};
use crate::tensor::{ElementType, Tensor};
use bytes::Bytes;
use std::collections::HashMap;

/// How the elements of a message's tensors travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentsForm {
    /// As bytes beside the tensors' descriptions.
    Raw,
    /// As numbers inside the tensors' descriptions.
    Typed,
}

/// The tensors of a request, and how their elements travelled. Raw bytes are shared, not copied;
/// what is in an encoding is left in it.
///
/// # Errors
/// [`crate::error::ErrorKind::Input`] if a name, shape, element type, encoding or number of bytes breaks the
/// protocol or a limit.
pub(crate) fn input_tensors(
    request: ModelInferRequest,
) -> Result<(Vec<(String, Form)>, ContentsForm)> {
    let raw = request.raw_input_contents;
    let contents = form_of(request.inputs.len(), raw.len())?;
    let encoding = |t: &InferInputTensor| {
        encoding_of(&t.parameters).map_err(|e| e.at(format!("tensor `{}`", t.name.escape_debug())))
    };
    let encodings = request.inputs.iter().map(encoding).collect::<Result<Vec<_>>>()?;
    let described = request.inputs.into_iter().map(|t| (t.name, t.datatype, t.shape, t.contents));
    let tensors = tensors(described, raw, contents)?.into_iter().zip(encodings);
    let form = |((name, tensor), encoding): ((String, Tensor), Option<Encoding>)| {
        let form = match encoding {
            None => Form::Raw(tensor),
            Some(encoding) => {
                let encoded = encoded(encoding, &tensor, contents);
                Form::Encoded(encoded.map_err(|e| e.at(format!("tensor `{name}`")))?)
            }
        };
        Ok((name, form))
    };
    Ok((tensors.map(form).collect::<Result<_>>()?, contents))
}

/// The encoding that a tensor's parameters name.
fn encoding_of(parameters: &Parameters) -> Result<Option<Encoding>> {
    let Some(name) = find_text(parameters, names::ENCODING).map_err(Error::input)? else {
        return Ok(None);
    };
    let unknown = || {
        let (known, name) = (Encoding::names(), name.escape_debug());
        Error::input(format!("unknown encoding `{name}`, expected one of {known}"))
    };
    Encoding::from_name(name).map(Some).ok_or_else(unknown)
}

/// What is in an encoding travels as a line of bytes.
fn encoded(encoding: Encoding, tensor: &Tensor, contents: ContentsForm) -> Result<Encoded> {
    let is_line = tensor.element_type() == ElementType::U8 && tensor.shape().len() == 1;
    if !is_line || contents != ContentsForm::Raw {
        let message = "what is in an encoding travels as raw UINT8 of one dimension";
        return Err(Error::input(message));
    }
    Encoded::read(encoding, tensor.bytes().clone())
}

/// The tensors of a reply, in its order, whichever form they came in.
///
/// # Errors
/// As [`input_tensors`].
pub(crate) fn output_tensors(reply: ModelInferResponse) -> Result<Vec<(String, Tensor)>> {
    let raw = reply.raw_output_contents;
    let form = form_of(reply.outputs.len(), raw.len())?;
    let described = reply.outputs.into_iter().map(|t| (t.name, t.datatype, t.shape, t.contents));
    tensors(described, raw, form)
}

/// A request's description of a tensor, and the bytes that go beside it.
pub(crate) fn raw_input(name: &str, form: &Form) -> (InferInputTensor, Bytes) {
    let mut description = InferInputTensor { name: name.to_owned(), ..Default::default() };
    match form {
        Form::Raw(tensor) => {
            description.datatype = tensor.element_type().protocol_name().to_owned();
            description.shape = wire_shape(tensor);
        }
        Form::Encoded(encoded) => {
            description.datatype = ElementType::U8.protocol_name().to_owned();
            description.shape = vec![i64::try_from(encoded.bytes().len()).unwrap_or(i64::MAX)];
            let encoding = text(encoded.encoding().name());
            description.parameters.insert(names::ENCODING.to_owned(), encoding);
        }
    }
    (description, form.bytes().clone())
}

/// A reply's description of a tensor, and the bytes that go beside it.
pub(crate) fn raw_output(name: &str, tensor: &Tensor) -> (InferOutputTensor, Bytes) {
    let description = InferOutputTensor {
        name: name.to_owned(),
        datatype: tensor.element_type().protocol_name().to_owned(),
        shape: wire_shape(tensor),
        parameters: HashMap::new(),
        contents: None,
    };
    (description, tensor.bytes().clone())
}

/// A reply's description of a tensor with its elements inside; `None` for 16-bit floating point,
/// which only travels raw.
pub(crate) fn typed_output(name: &str, tensor: &Tensor) -> Option<InferOutputTensor> {
    let contents = typed_contents(tensor)?;
    let (mut description, _) = raw_output(name, tensor);
    description.contents = Some(contents);
    Some(description)
}

fn wire_shape(tensor: &Tensor) -> Vec<i64> {
    tensor.shape().iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect()
}

fn form_of(tensors: usize, raw: usize) -> Result<ContentsForm> {
    if tensors > TENSORS_MAX {
        return Err(Error::input(format!(
            "{tensors} tensors in one message, at most {TENSORS_MAX}"
        )));
    }
    match raw {
        0 => Ok(ContentsForm::Typed),
        _ if raw == tensors => Ok(ContentsForm::Raw),
        _ => Err(Error::input(format!(
            "{raw} raw contents for {tensors} tensors: there must be one for each, or none"
        ))),
    }
}

type Described = (String, String, Vec<i64>, Option<InferTensorContents>);

fn tensors(
    described: impl Iterator<Item = Described>,
    raw: Vec<Bytes>,
    form: ContentsForm,
) -> Result<Vec<(String, Tensor)>> {
    let mut raw = raw.into_iter();
    let mut tensors: Vec<(String, Tensor)> = Vec::new();
    for (name, datatype, shape, contents) in described {
        check_name(&name)?;
        if tensors.iter().any(|(other, _)| *other == name) {
            return Err(Error::input(format!("tensor `{name}` is given twice")));
        }
        let place = |error: Error| error.at(format!("tensor `{name}`"));
        let (element_type, shape, size) = checked_layout(&datatype, &shape).map_err(place)?;
        let bytes = match form {
            ContentsForm::Raw
                if contents.as_ref().is_some_and(|c| *c != InferTensorContents::default()) =>
            {
                return Err(place(Error::input("has both raw and typed contents")));
            }
            ContentsForm::Raw => raw.next().unwrap_or_default(),
            ContentsForm::Typed => {
                let contents = contents.unwrap_or_default();
                packed(element_type, size / element_type.size(), contents).map_err(place)?
            }
        };
        let tensor = Tensor::new(element_type, shape, bytes).map_err(place)?;
        tensors.push((name, tensor));
    }
    Ok(tensors)
}

/// Refuses a name that is empty or too long.
pub(crate) fn check_name(name: &str) -> Result<()> {
    match name.len() {
        0 => Err(Error::input("a name is empty")),
        1..=NAME_BYTES_MAX => Ok(()),
        size => Err(Error::input(format!("a name has {size} bytes, at most {NAME_BYTES_MAX}"))),
    }
}

/// The element type, the shape and the size in bytes, each within its limit.
fn checked_layout(datatype: &str, shape: &[i64]) -> Result<(ElementType, Vec<usize>, usize)> {
    let element_type = ElementType::from_protocol_name(datatype).ok_or_else(|| {
        let known = ElementType::all().map(ElementType::protocol_name).collect::<Vec<_>>();
        let known = known.join(", ");
        Error::input(format!("datatype `{}` is none of {known}", datatype.escape_default()))
    })?;
    if shape.len() > RANK_MAX {
        return Err(Error::input(format!("{} dimensions, at most {RANK_MAX}", shape.len())));
    }
    let too_large = || {
        Error::input(format!(
            "a {datatype} tensor of shape {shape:?} has more than {TENSOR_BYTES_MAX} bytes"
        ))
    };
    let mut dims = Vec::with_capacity(shape.len());
    let mut size = element_type.size();
    for &dim in shape {
        let negative = || Error::input(format!("shape {shape:?} has a negative dimension"));
        let dim = usize::try_from(dim).map_err(|_| negative())?;
        size = size.checked_mul(dim).ok_or_else(too_large)?;
        dims.push(dim);
    }
    if size > TENSOR_BYTES_MAX || dims.iter().any(|&dim| dim > TENSOR_BYTES_MAX) {
        return Err(too_large());
    }
    Ok((element_type, dims, size))
}

/// Typed contents as row-major little-endian bytes.
fn packed(element_type: ElementType, count: usize, contents: InferTensorContents) -> Result<Bytes> {
    let filled = [
        !contents.bool_contents.is_empty(),
        !contents.int_contents.is_empty(),
        !contents.int64_contents.is_empty(),
        !contents.uint_contents.is_empty(),
        !contents.uint64_contents.is_empty(),
        !contents.fp32_contents.is_empty(),
        !contents.fp64_contents.is_empty(),
        !contents.bytes_contents.is_empty(),
    ];
    if filled.into_iter().filter(|&f| f).count() > 1 {
        return Err(Error::input("has contents of more than one type"));
    }
    let c = contents;
    match element_type {
        ElementType::Bool => {
            check_count(c.bool_contents.len(), count)?;
            Ok(c.bool_contents.iter().map(|&b| u8::from(b)).collect())
        }
        ElementType::I8 => narrowed(&c.int_contents, count, i8::to_le_bytes),
        ElementType::I16 => narrowed(&c.int_contents, count, i16::to_le_bytes),
        ElementType::I32 => narrowed(&c.int_contents, count, i32::to_le_bytes),
        ElementType::I64 => narrowed(&c.int64_contents, count, i64::to_le_bytes),
        ElementType::U8 => narrowed(&c.uint_contents, count, u8::to_le_bytes),
        ElementType::U16 => narrowed(&c.uint_contents, count, u16::to_le_bytes),
        ElementType::U32 => narrowed(&c.uint_contents, count, u32::to_le_bytes),
        ElementType::U64 => narrowed(&c.uint64_contents, count, u64::to_le_bytes),
        ElementType::F32 => narrowed(&c.fp32_contents, count, f32::to_le_bytes),
        ElementType::F64 => narrowed(&c.fp64_contents, count, f64::to_le_bytes),
        ElementType::F16 => Err(Error::input("FP16 travels only as raw contents")),
    }
}

fn check_count(found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::input(format!(
        "has {found} elements of its type where its shape asks for {expected}"
    )))
}

/// Wide values as the bytes of a narrower type.
fn narrowed<W, T, const N: usize>(
    wide: &[W],
    count: usize,
    to_bytes: fn(T) -> [u8; N],
) -> Result<Bytes>
where
    W: Copy + TryInto<T> + std::fmt::Display,
{
    check_count(wide.len(), count)?;
    let mut bytes = Vec::with_capacity(wide.len() * N);
    for &value in wide {
        let narrow = value
            .try_into()
            .map_err(|_| Error::input(format!("element {value} does not fit in {} bits", 8 * N)))?;
        bytes.extend_from_slice(&to_bytes(narrow));
    }
    Ok(bytes.into())
}

fn typed_contents(tensor: &Tensor) -> Option<InferTensorContents> {
    let b = tensor.bytes();
    let mut c = InferTensorContents::default();
    match tensor.element_type() {
        ElementType::Bool => c.bool_contents = b.iter().map(|&v| v != 0).collect(),
        ElementType::I8 => c.int_contents = unpacked(b, |v| i8::from_le_bytes(v).into()),
        ElementType::I16 => c.int_contents = unpacked(b, |v| i16::from_le_bytes(v).into()),
        ElementType::I32 => c.int_contents = unpacked(b, i32::from_le_bytes),
        ElementType::I64 => c.int64_contents = unpacked(b, i64::from_le_bytes),
        ElementType::U8 => c.uint_contents = unpacked(b, |v| u8::from_le_bytes(v).into()),
        ElementType::U16 => c.uint_contents = unpacked(b, |v| u16::from_le_bytes(v).into()),
        ElementType::U32 => c.uint_contents = unpacked(b, u32::from_le_bytes),
        ElementType::U64 => c.uint64_contents = unpacked(b, u64::from_le_bytes),
        ElementType::F32 => c.fp32_contents = unpacked(b, f32::from_le_bytes),
        ElementType::F64 => c.fp64_contents = unpacked(b, f64::from_le_bytes),
        ElementType::F16 => return None,
    }
    Some(c)
}

fn unpacked<T, const N: usize>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (elements, _) = bytes.as_chunks::<N>();
    elements.iter().map(|&element| from(element)).collect()
}

#[cfg(test)]
mod tests;
