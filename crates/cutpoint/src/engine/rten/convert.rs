//! Tensors into rten's values and back.

use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, Tensor};
use bytemuck::Pod;
use half::f16;
use rten::{DataType, Value, ValueOrView, ValueType, ValueView};
use rten_tensor::prelude::*;
use std::borrow::Cow;

/// A tensor's elements in a type that rten computes with; borrowed where nothing changes.
pub(super) enum Converted<'t> {
    F32(Cow<'t, [f32]>),
    I32(Cow<'t, [i32]>),
    I8(&'t [i8]),
    U8(&'t [u8]),
}

impl<'t> Converted<'t> {
    /// # Errors
    /// [`ErrorKind::Engine`] if an integer does not fit 32 bits.
    pub(super) fn new(tensor: &'t Tensor) -> Result<Converted<'t>> {
        let bytes: &'t [u8] = tensor.bytes();
        Ok(match tensor.element_type() {
            ElementType::F32 => Converted::F32(tensor.elements()),
            ElementType::F16 => {
                Converted::F32(tensor.elements::<f16>().iter().map(|v| v.to_f32()).collect())
            }
            ElementType::F64 => {
                Converted::F32(tensor.elements::<f64>().iter().map(|&v| v as f32).collect())
            }
            ElementType::I8 => Converted::I8(bytemuck::cast_slice(bytes)),
            ElementType::U8 => Converted::U8(bytes),
            ElementType::I32 => Converted::I32(tensor.elements()),
            ElementType::Bool => Converted::I32(bytes.iter().map(|&b| i32::from(b != 0)).collect()),
            ElementType::I16 => narrow::<i16>(tensor)?,
            ElementType::I64 => narrow::<i64>(tensor)?,
            ElementType::U16 => narrow::<u16>(tensor)?,
            ElementType::U32 => narrow::<u32>(tensor)?,
            ElementType::U64 => narrow::<u64>(tensor)?,
        })
    }

    pub(super) fn view(&self, shape: &[usize]) -> Result<ValueOrView<'_>> {
        let wrong = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Input, e.to_string());
        let view = match self {
            Converted::F32(v) => ValueView::from_shape(shape, v).map_err(|e| wrong(&e))?,
            Converted::I32(v) => ValueView::from_shape(shape, v).map_err(|e| wrong(&e))?,
            Converted::I8(v) => ValueView::from_shape(shape, v).map_err(|e| wrong(&e))?,
            Converted::U8(v) => ValueView::from_shape(shape, v).map_err(|e| wrong(&e))?,
        };
        Ok(view.into())
    }
}

fn narrow<T: Pod + std::fmt::Display + TryInto<i32>>(tensor: &Tensor) -> Result<Converted<'_>> {
    let fit = |&value: &T| {
        value.try_into().map_err(|_| {
            let message = format!("value {value} does not fit the 32 bits that rten computes with");
            Error::new(ErrorKind::Engine, message)
        })
    };
    Ok(Converted::I32(tensor.elements::<T>().iter().map(fit).collect::<Result<_>>()?))
}

/// One of rten's values as a tensor of the declared element type, or of rten's own.
///
/// # Errors
/// [`ErrorKind::Engine`] if the value is not a tensor, or does not fit the declared element type.
pub(super) fn to_tensor(value: Value, declared: Option<ElementType>) -> Result<Tensor> {
    let own = match value.dtype() {
        ValueType::Tensor(DataType::Float) => ElementType::F32,
        ValueType::Tensor(DataType::Int32) => ElementType::I32,
        ValueType::Tensor(DataType::Int8) => ElementType::I8,
        ValueType::Tensor(DataType::UInt8) => ElementType::U8,
        other => {
            return Err(Error::new(
                ErrorKind::Engine,
                format!("rten returned a {other}, expected a tensor"),
            ));
        }
    };
    let declared = declared.unwrap_or(own);
    let shape = value.shape().to_vec();
    let bytes = match value {
        Value::FloatTensor(t) => from_floats(t.into_data(), declared),
        Value::Int32Tensor(t) => from_integers(t.into_data(), declared)?,
        Value::Int8Tensor(t) if declared == ElementType::I8 => Some(to_bytes(t.into_data())),
        Value::UInt8Tensor(t) if declared == ElementType::U8 => Some(t.into_data()),
        _ => None,
    };
    let bytes = bytes.ok_or_else(|| {
        let (own, declared) = (own.protocol_name(), declared.protocol_name());
        let message = format!("the model declares {declared}, rten computed {own}");
        Error::new(ErrorKind::Engine, message)
    })?;
    Tensor::new(declared, shape, bytes.into())
}

fn from_floats(values: Vec<f32>, declared: ElementType) -> Option<Vec<u8>> {
    match declared {
        ElementType::F32 => Some(to_bytes(values)),
        ElementType::F16 => Some(to_bytes(values.into_iter().map(f16::from_f32).collect())),
        ElementType::F64 => Some(to_bytes(values.into_iter().map(f64::from).collect())),
        _ => None,
    }
}

fn from_integers(values: Vec<i32>, declared: ElementType) -> Result<Option<Vec<u8>>> {
    Ok(Some(match declared {
        ElementType::I32 => to_bytes(values),
        ElementType::I64 => to_bytes(values.into_iter().map(i64::from).collect()),
        ElementType::Bool => values.into_iter().map(|v| u8::from(v != 0)).collect(),
        ElementType::I16 => to_bytes(fit::<i16>(&values)?),
        ElementType::U16 => to_bytes(fit::<u16>(&values)?),
        ElementType::U32 => to_bytes(fit::<u32>(&values)?),
        ElementType::U64 => to_bytes(fit::<u64>(&values)?),
        _ => return Ok(None),
    }))
}

fn fit<T: TryFrom<i32>>(values: &[i32]) -> Result<Vec<T>> {
    let fit = |&value: &i32| {
        T::try_from(value).map_err(|_| {
            let message = format!("rten computed {value}, outside the declared element type");
            Error::new(ErrorKind::Engine, message)
        })
    };
    values.iter().map(fit).collect()
}

fn to_bytes<T: Pod>(values: Vec<T>) -> Vec<u8> {
    // In place where the allocation's alignment allows, which is for bytes alone; a copy otherwise.
    bytemuck::try_cast_vec(values)
        .unwrap_or_else(|(_, values)| bytemuck::cast_slice(&values).to_vec())
}
