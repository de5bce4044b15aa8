//! Values made up from a seed.

use super::{ElementType, Tensor};
use rand::Rng;

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
