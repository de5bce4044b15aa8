//! Encoded tensors for servers that know nothing of encodings: as tensors of the protocol's own types,
//! which a suffix takes that begins with the steps that restore ([`crate::onnx`] writes such).

use super::header::Encoded;
use super::kind::{Encoding, Precision};
use crate::error::Result;
use crate::tensor::{ElementType, Tensor};

impl Encoding {
    /// Those that a suffix in ONNX can restore by itself.
    pub const PLAIN: [Encoding; 3] = [Encoding::F16, Encoding::U8, Encoding::U8_CHANNEL];

    /// Whether a suffix in ONNX can restore tensors in it.
    pub fn is_plain(self) -> bool {
        Encoding::PLAIN.contains(&self)
    }

    /// The shape of the ranges of 8-bit numbers beside a tensor of this shape: 1 on every axis along
    /// which all indices share one range.
    pub(crate) fn range_shape(self, shape: &[usize]) -> Vec<usize> {
        let is_kept = |axis| axis == 1 && self.precision == Precision::ChannelByte;
        let size = |(axis, &size): (usize, &usize)| if is_kept(axis) { size } else { 1 };
        shape.iter().enumerate().map(size).collect()
    }
}

impl Encoded {
    /// The tensors that cross the cut in place of the one of this name: `NAME.f16`; or `NAME.u8`,
    /// `NAME.least` and `NAME.step`. `None` if its encoding is not plain.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if its numbers are not as many as its shape asks for.
    pub fn plain(&self, name: &str) -> Result<Option<Vec<(String, Tensor)>>> {
        if !self.encoding().is_plain() {
            return Ok(None);
        }
        let body = self.bytes().slice_ref(self.body());
        let tensor = |end: &str, element_type, shape: &[usize], bytes| {
            let tensor = Tensor::new(element_type, shape.to_vec(), bytes)?;
            Ok::<_, crate::error::Error>((format!("{name}.{end}"), tensor))
        };
        let shape = self.shape();
        if self.encoding().precision == Precision::Half {
            return Ok(Some(vec![tensor("f16", ElementType::F16, shape, body)?]));
        }
        let sizes = self.encoding().range_shape(shape);
        let (mut least, mut step) = (Vec::new(), Vec::new());
        for range in &self.header.ranges {
            least.extend(range.least.to_le_bytes());
            step.extend(range.step.to_le_bytes());
        }
        Ok(Some(vec![
            tensor("u8", ElementType::U8, shape, body)?,
            tensor("least", ElementType::F32, &sizes, least.into())?,
            tensor("step", ElementType::F32, &sizes, step.into())?,
        ]))
    }
}
