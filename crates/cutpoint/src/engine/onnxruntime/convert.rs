//! Tensors into ONNX Runtime's values and back.

use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, Tensor};
use bytemuck::{CheckedBitPattern, NoUninit};
use bytes::Bytes;
use half::f16;
use ort::session::SessionInputValue;
use ort::sys::ONNXTensorElementDataType;
use ort::value::{DynValue, PrimitiveTensorElementType, TensorRef};
use std::fmt::Debug;

/// A tensor whose elements lie aligned in memory, as ONNX Runtime needs them.
pub(super) struct Aligned<'t> {
    tensor: &'t Tensor,
    /// The elements, where those of the tensor lie askew or are truth values other than 0 and 1.
    copy: Option<Vec<u64>>,
}

impl<'t> Aligned<'t> {
    pub(super) fn new(tensor: &'t Tensor) -> Aligned<'t> {
        let bytes = tensor.bytes();
        let is_usable = match tensor.element_type() {
            ElementType::Bool => bytes.iter().all(|&b| b <= 1),
            element_type => bytes.as_ptr().addr().is_multiple_of(element_type.size()),
        };
        let copy = || {
            let is_bool = tensor.element_type() == ElementType::Bool;
            let normal = |&b: &u8| if is_bool { u8::from(b != 0) } else { b };
            bytemuck::pod_collect_to_vec(&bytes.iter().map(normal).collect::<Vec<u8>>())
        };
        Aligned { tensor, copy: (!is_usable).then(copy) }
    }

    pub(super) fn view(&self) -> Result<SessionInputValue<'_>, ort::Error> {
        fn of<'a, T>(shape: &'a [usize], bytes: &'a [u8]) -> ort::Result<SessionInputValue<'a>>
        where
            T: CheckedBitPattern + NoUninit + PrimitiveTensorElementType + Debug,
        {
            let values: &[T] = bytemuck::checked::cast_slice(bytes);
            Ok(TensorRef::from_array_view((shape, values))?.into())
        }
        let (shape, bytes) = (self.tensor.shape(), self.tensor.bytes().as_ref());
        let bytes = match &self.copy {
            Some(copy) => &bytemuck::cast_slice(copy)[..bytes.len()],
            None => bytes,
        };
        match self.tensor.element_type() {
            ElementType::F32 => of::<f32>(shape, bytes),
            ElementType::F16 => of::<f16>(shape, bytes),
            ElementType::F64 => of::<f64>(shape, bytes),
            ElementType::I8 => of::<i8>(shape, bytes),
            ElementType::I16 => of::<i16>(shape, bytes),
            ElementType::I32 => of::<i32>(shape, bytes),
            ElementType::I64 => of::<i64>(shape, bytes),
            ElementType::U8 => of::<u8>(shape, bytes),
            ElementType::U16 => of::<u16>(shape, bytes),
            ElementType::U32 => of::<u32>(shape, bytes),
            ElementType::U64 => of::<u64>(shape, bytes),
            ElementType::Bool => of::<bool>(shape, bytes),
        }
    }
}

/// One of ONNX Runtime's values as a tensor.
///
/// # Errors
/// [`ErrorKind::Engine`] if the value is not a tensor, or of an element type that is not supported.
pub(super) fn to_tensor(value: &DynValue) -> Result<Tensor> {
    let unsupported = || {
        let message = format!("ONNX Runtime gave {:?}, which is not supported", value.dtype());
        Error::new(ErrorKind::Engine, message)
    };
    let (Some(onnx_type), Some(dims)) = (value.dtype().tensor_type(), value.dtype().tensor_shape())
    else {
        return Err(unsupported());
    };
    // ONNX Runtime numbers element types as ONNX does.
    let number = ONNXTensorElementDataType::from(onnx_type) as i32;
    let element_type = ElementType::from_onnx_number(number).ok_or_else(unsupported)?;
    let dims = dims.iter().map(|&dim| usize::try_from(dim).map_err(|_| unsupported()));
    let shape = dims.collect::<Result<Vec<usize>>>()?;
    // An empty tensor may have no address, of which no slice can be made.
    let bytes = if shape.contains(&0) { Ok(Bytes::new()) } else { copy(value, element_type) };
    let bytes = bytes.map_err(|e| unsupported().because(e))?;
    Tensor::new(element_type, shape, bytes)
}

fn copy(value: &DynValue, element_type: ElementType) -> Result<Bytes, ort::Error> {
    fn of<T: NoUninit + PrimitiveTensorElementType>(v: &DynValue) -> ort::Result<Bytes> {
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
        ElementType::Bool => of::<bool>(value),
    }
}
