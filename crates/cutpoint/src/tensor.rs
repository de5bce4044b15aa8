//! Tensors as they cross borders: element type, shape, and row-major little-endian bytes.

use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use rand::Rng;

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

impl ElementType {
    /// All element types.
    pub const ALL: [ElementType; 12] = [
        ElementType::F32,
        ElementType::F16,
        ElementType::F64,
        ElementType::I8,
        ElementType::I16,
        ElementType::I32,
        ElementType::I64,
        ElementType::U8,
        ElementType::U16,
        ElementType::U32,
        ElementType::U64,
        ElementType::Bool,
    ];

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            ElementType::I8 | ElementType::U8 | ElementType::Bool => 1,
            ElementType::F16 | ElementType::I16 | ElementType::U16 => 2,
            ElementType::F32 | ElementType::I32 | ElementType::U32 => 4,
            ElementType::F64 | ElementType::I64 | ElementType::U64 => 8,
        }
    }

    /// The name in the Open Inference Protocol, for example `FP32`.
    pub fn protocol_name(self) -> &'static str {
        match self {
            ElementType::F32 => "FP32",
            ElementType::F16 => "FP16",
            ElementType::F64 => "FP64",
            ElementType::I8 => "INT8",
            ElementType::I16 => "INT16",
            ElementType::I32 => "INT32",
            ElementType::I64 => "INT64",
            ElementType::U8 => "UINT8",
            ElementType::U16 => "UINT16",
            ElementType::U32 => "UINT32",
            ElementType::U64 => "UINT64",
            ElementType::Bool => "BOOL",
        }
    }

    /// The element type with this name in the Open Inference Protocol.
    pub fn from_protocol_name(name: &str) -> Option<ElementType> {
        ElementType::ALL.into_iter().find(|t| t.protocol_name() == name)
    }

    /// The number in ONNX's `TensorProto.DataType`.
    pub fn onnx_number(self) -> i32 {
        match self {
            ElementType::F32 => 1,
            ElementType::U8 => 2,
            ElementType::I8 => 3,
            ElementType::U16 => 4,
            ElementType::I16 => 5,
            ElementType::I32 => 6,
            ElementType::I64 => 7,
            ElementType::Bool => 9,
            ElementType::F16 => 10,
            ElementType::F64 => 11,
            ElementType::U32 => 12,
            ElementType::U64 => 13,
        }
    }

    /// The element type with this number in ONNX's `TensorProto.DataType`.
    pub fn from_onnx_number(number: i32) -> Option<ElementType> {
        ElementType::ALL.into_iter().find(|t| t.onnx_number() == number)
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
