//! Tensors into ONNX Runtime's values and back.

use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, Tensor};
use bytemuck::Pod;
use bytes::Bytes;
use half::f16;
use ort::session::SessionInputValue;
use ort::value::{DynValue, TensorElementType, TensorRef};
use std::borrow::Cow;

/// A tensor's elements in their own type; borrowed where they lie aligned in memory.
pub(super) enum Aligned<'t> {
    F32(Cow<'t, [f32]>),
    F16(Cow<'t, [f16]>),
    F64(Cow<'t, [f64]>),
    I8(Cow<'t, [i8]>),
    I16(Cow<'t, [i16]>),
    I32(Cow<'t, [i32]>),
    I64(Cow<'t, [i64]>),
    U8(Cow<'t, [u8]>),
    U16(Cow<'t, [u16]>),
    U32(Cow<'t, [u32]>),
    U64(Cow<'t, [u64]>),
    Bool(Vec<bool>),
}

impl<'t> Aligned<'t> {
    pub(super) fn new(tensor: &'t Tensor) -> Aligned<'t> {
        let bytes: &'t [u8] = tensor.bytes();
        match tensor.element_type() {
            ElementType::F32 => Aligned::F32(cast(bytes)),
            ElementType::F16 => Aligned::F16(cast(bytes)),
            ElementType::F64 => Aligned::F64(cast(bytes)),
            ElementType::I8 => Aligned::I8(cast(bytes)),
            ElementType::I16 => Aligned::I16(cast(bytes)),
            ElementType::I32 => Aligned::I32(cast(bytes)),
            ElementType::I64 => Aligned::I64(cast(bytes)),
            ElementType::U8 => Aligned::U8(cast(bytes)),
            ElementType::U16 => Aligned::U16(cast(bytes)),
            ElementType::U32 => Aligned::U32(cast(bytes)),
            ElementType::U64 => Aligned::U64(cast(bytes)),
            ElementType::Bool => Aligned::Bool(bytes.iter().map(|&b| b != 0).collect()),
        }
    }

    pub(super) fn view<'a>(
        &'a self,
        shape: &'a [usize],
    ) -> Result<SessionInputValue<'a>, ort::Error> {
        Ok(match self {
            Aligned::F32(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::F16(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::F64(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::I8(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::I16(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::I32(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::I64(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::U8(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::U16(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::U32(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::U64(v) => TensorRef::from_array_view((shape, v.as_ref()))?.into(),
            Aligned::Bool(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        })
    }
}

/// The bytes of a tensor may start anywhere in a message, so they are copied where not aligned.
fn cast<T: Pod>(bytes: &[u8]) -> Cow<'_, [T]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(values) => Cow::Borrowed(values),
        Err(_) => Cow::Owned(bytemuck::pod_collect_to_vec(bytes)),
    }
}

/// One of ONNX Runtime's values as a tensor.
///
/// # Errors
/// [`ErrorKind::Engine`] if the value is no tensor, or of an element type that is not supported.
pub(super) fn to_tensor(value: &DynValue) -> Result<Tensor> {
    let unsupported = || {
        let message = format!("ONNX Runtime gave {:?}, which is not supported", value.dtype());
        Error::new(ErrorKind::Engine, message)
    };
    let (Some(onnx_type), Some(dims)) = (value.dtype().tensor_type(), value.dtype().tensor_shape())
    else {
        return Err(unsupported());
    };
    let element_type = element_type(onnx_type).ok_or_else(unsupported)?;
    let dims = dims.iter().map(|&dim| usize::try_from(dim).map_err(|_| unsupported()));
    let shape = dims.collect::<Result<Vec<usize>>>()?;
    // An empty tensor may have no address, of which no slice can be made.
    let bytes = if shape.contains(&0) { Ok(Bytes::new()) } else { copy(value, element_type) };
    let bytes = bytes.map_err(|e| unsupported().because(e))?;
    Tensor::new(element_type, shape, bytes)
}

fn copy(value: &DynValue, element_type: ElementType) -> Result<Bytes, ort::Error> {
    fn of<T: Pod + ort::value::PrimitiveTensorElementType>(v: &DynValue) -> ort::Result<Bytes> {
        let (_, values) = v.try_extract_tensor::<T>()?;
        Ok(Bytes::copy_from_slice(bytemuck::cast_slice(values)))
    }
    match element_type {
        ElementType::F32 => of::<f32>(value),
        ElementType::F16 => of::<f16>(value),
        ElementType::F64 => of::<f64>(value),
        ElementType::I8 => of::<i8>(value),
        ElementType::I16 => of::<i16>(value),
        ElementType::I32 => of::<i32>(value),
        ElementType::I64 => of::<i64>(value),
        ElementType::U8 => of::<u8>(value),
        ElementType::U16 => of::<u16>(value),
        ElementType::U32 => of::<u32>(value),
        ElementType::U64 => of::<u64>(value),
        ElementType::Bool => {
            let (_, values) = value.try_extract_tensor::<bool>()?;
            Ok(values.iter().map(|&v| u8::from(v)).collect())
        }
    }
}

fn element_type(onnx_type: TensorElementType) -> Option<ElementType> {
    Some(match onnx_type {
        TensorElementType::Float32 => ElementType::F32,
        TensorElementType::Float16 => ElementType::F16,
        TensorElementType::Float64 => ElementType::F64,
        TensorElementType::Int8 => ElementType::I8,
        TensorElementType::Int16 => ElementType::I16,
        TensorElementType::Int32 => ElementType::I32,
        TensorElementType::Int64 => ElementType::I64,
        TensorElementType::Uint8 => ElementType::U8,
        TensorElementType::Uint16 => ElementType::U16,
        TensorElementType::Uint32 => ElementType::U32,
        TensorElementType::Uint64 => ElementType::U64,
        TensorElementType::Bool => ElementType::Bool,
        _ => return None,
    })
}
