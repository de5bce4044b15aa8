//! Tensors as they cross borders: element type, shape, and row-major little-endian bytes.

use crate::error::{Error, ErrorKind, Result};
use bytemuck::Pod;
use bytes::Bytes;
use rand::Rng;
use std::borrow::Cow;

/// The type of a tensor's elements, by ONNX's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// 64-bit floating point.
    F64,
    /// 8-bit signed integer.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// True or false, one byte each.
    Bool,
}

/// What the formats around Cutpoint call an element type.
struct Names {
    element_type: ElementType,
    size: usize,
    protocol: &'static str,
    onnx: i32,
    numpy: &'static str,
}

const fn names(
    element_type: ElementType,
    size: usize,
    protocol: &'static str,
    onnx: i32,
    numpy: &'static str,
) -> Names {
    Names { element_type, size, protocol, onnx, numpy }
}

/// In the order in which [`ElementType`] declares them.
const NAMES: [Names; 12] = [
    names(ElementType::F32, 4, "FP32", 1, "<f4"),
    names(ElementType::F16, 2, "FP16", 10, "<f2"),
    names(ElementType::F64, 8, "FP64", 11, "<f8"),
    names(ElementType::I8, 1, "INT8", 3, "|i1"),
    names(ElementType::I16, 2, "INT16", 5, "<i2"),
    names(ElementType::I32, 4, "INT32", 6, "<i4"),
    names(ElementType::I64, 8, "INT64", 7, "<i8"),
    names(ElementType::U8, 1, "UINT8", 2, "|u1"),
    names(ElementType::U16, 2, "UINT16", 4, "<u2"),
    names(ElementType::U32, 4, "UINT32", 12, "<u4"),
    names(ElementType::U64, 8, "UINT64", 13, "<u8"),
    names(ElementType::Bool, 1, "BOOL", 9, "|b1"),
];

impl ElementType {
    /// All element types.
    pub fn all() -> impl Iterator<Item = ElementType> {
        NAMES.iter().map(|names| names.element_type)
    }

    fn names(self) -> &'static Names {
        &NAMES[self as usize]
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        self.names().size
    }

    /// The name in the Open Inference Protocol, for example `FP32`.
    pub fn protocol_name(self) -> &'static str {
        self.names().protocol
    }

    /// The element type with this name in the Open Inference Protocol.
    pub fn from_protocol_name(name: &str) -> Option<ElementType> {
        ElementType::all().find(|t| t.protocol_name() == name)
    }

    /// The number in ONNX's `TensorProto.DataType`.
    pub fn onnx_number(self) -> i32 {
        self.names().onnx
    }

    /// The element type with this number in ONNX's `TensorProto.DataType`.
    pub fn from_onnx_number(number: i32) -> Option<ElementType> {
        ElementType::all().find(|t| t.onnx_number() == number)
    }

    /// Numpy's name for little-endian values.
    pub(crate) fn numpy_name(self) -> &'static str {
        self.names().numpy
    }
}

/// A dense tensor. Cloning is cheap: the bytes are shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    element_type: ElementType,
    shape: Vec<usize>,
    bytes: Bytes,
}

impl Tensor {
    /// A tensor from row-major little-endian bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the number of bytes is not what shape and element type ask for.
    pub fn new(element_type: ElementType, shape: Vec<usize>, bytes: Bytes) -> Result<Tensor> {
        let expected = shape
            .iter()
            .try_fold(element_type.size(), |size, &dim| size.checked_mul(dim))
            .ok_or_else(|| Error::new(ErrorKind::Input, format!("shape {shape:?} is too large")))?;
        if bytes.len() != expected {
            let found = bytes.len();
            let message = format!(
                "a {} tensor of shape {shape:?} has {expected} bytes, found {found}",
                element_type.protocol_name()
            );
            return Err(Error::new(ErrorKind::Input, message));
        }
        Ok(Tensor { element_type, shape, bytes })
    }

    /// A tensor of 32-bit floating point numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the number of values does not fit the shape.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Result<Tensor> {
        // Little-endian machines only; every supported target is one.
        Tensor::new(ElementType::F32, shape, Bytes::copy_from_slice(bytemuck::cast_slice(values)))
    }

    /// The type of its elements.
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// Its dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements, row-major, little-endian.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SHA-256 of its bytes, in lower-case hexadecimal digits.
    pub fn sha256(&self) -> String {
        crate::digest::sha256(&self.bytes)
    }

    /// How many elements it has.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.element_type.size()
    }

    /// Its elements as values of a type; copied only if they lie askew in memory, as the bytes of a
    /// tensor may start anywhere in a message.
    pub(crate) fn elements<T: Pod>(&self) -> Cow<'_, [T]> {
        match bytemuck::try_cast_slice(&self.bytes) {
            Ok(values) => Cow::Borrowed(values),
            Err(_) => Cow::Owned(bytemuck::pod_collect_to_vec(&self.bytes)),
        }
    }

    /// Its values, if they are 32-bit floating point.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        (self.element_type == ElementType::F32).then(|| bytemuck::pod_collect_to_vec(&self.bytes))
    }
}

/// The largest absolute difference between two 32-bit floating point tensors, divided by the
/// largest absolute value of `expected` (by 1 where that is 0); `None` unless both are of that
/// type and of one shape. A value that is NaN on one side alone counts as infinitely far.
pub fn relative_difference(found: &Tensor, expected: &Tensor) -> Option<f64> {
    if found.shape != expected.shape {
        return None;
    }
    let (found, expected) = (found.to_f32()?, expected.to_f32()?);
    let scale = expected.iter().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
    let difference =
        found.iter().zip(&expected).fold(0.0f64, |m, (&a, &b)| match (a.is_nan(), b.is_nan()) {
            (true, true) => m,
            (false, false) if a.to_bits() == b.to_bits() => m,
            (false, false) => m.max((f64::from(a) - f64::from(b)).abs()),
            _ => f64::INFINITY,
        });
    Some(difference / if scale > 0.0 { scale } else { 1.0 })
}

/// The element type and shape of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The type of its elements.
    pub element_type: ElementType,
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// The size in bytes.
    pub fn bytes(&self) -> u64 {
        self.shape.iter().fold(self.element_type.size() as u64, |size, &d| size * d as u64)
    }
}

/// A shape as the command line writes it.
pub fn shape_text(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// A tensor of made-up values: floating point numbers spread evenly over 0 to 1, whole numbers and
/// truth values 0 or 1.
pub(crate) fn synthetic(
    element_type: ElementType,
    shape: &[usize],
    random: &mut impl Rng,
) -> Tensor {
    let count: usize = shape.iter().product();
    let mut bytes = Vec::with_capacity(count * element_type.size());
    for _ in 0..count {
        let bits = random.next_u32();
        let unit = (bits >> 8) as f32 / (1u32 << 24) as f32;
        match element_type {
            ElementType::F32 => bytes.extend(unit.to_le_bytes()),
            ElementType::F64 => bytes.extend(f64::from(unit).to_le_bytes()),
            ElementType::F16 => bytes.extend(half::f16::from_f32(unit).to_le_bytes()),
            whole => {
                bytes.push(u8::from(bits >> 31 == 1));
                bytes.resize(bytes.len() + whole.size() - 1, 0);
            }
        }
    }
    Tensor::new(element_type, shape.to_vec(), bytes.into())
        .expect("as many bytes were made as the shape asks for")
}
