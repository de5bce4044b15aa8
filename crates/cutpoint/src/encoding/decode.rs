//! From an encoded tensor back to a tensor.

use super::header::Encoded;
use super::kind::Precision;
use super::quantise::restore;
use crate::error::{Error, Result};
use crate::input::Preparation;
use crate::tensor::Tensor;
use half::slice::HalfFloatSliceExt;
use zstd::bulk::Decompressor;

/// Brings encoded tensors back; keeps what can be used again from one to the next.
#[derive(Default)]
pub struct Decoder {
    decompressor: Decompressor<'static>,
    numbers: Vec<u8>,
}

impl Decoder {
    /// The tensor, of the type and shape that its header tells.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if what is compressed is damaged, or is not as long as
    /// it says.
    pub fn decode(&mut self, encoded: &Encoded) -> Result<Tensor> {
        let place = |error: Error| error.at(format!("encoding {}", encoded.encoding()));
        if let Some(preparation) = &encoded.header.preparation {
            return self.picture(encoded, preparation).map_err(place);
        }
        let bytes = self.bytes(encoded).map_err(place)?;
        Tensor::new(encoded.element_type(), encoded.shape().to_vec(), bytes.into())
    }

    fn picture(&mut self, encoded: &Encoded, preparation: &Preparation) -> Result<Tensor> {
        let encoding = encoded.encoding();
        if encoding.precision == Precision::File {
            let most = preparation.decoded_bytes_max();
            return preparation.tensor(&preparation.decode(encoded.body(), most)?);
        }
        if !encoding.is_compressed {
            return preparation.tensor(encoded.body());
        }
        decompress(&mut self.decompressor, encoded, &mut self.numbers)?;
        preparation.tensor(&self.numbers)
    }

    fn bytes(&mut self, encoded: &Encoded) -> Result<Vec<u8>> {
        let encoding = encoded.encoding();
        if encoding.precision == Precision::Full {
            let mut bytes = Vec::new();
            decompress(&mut self.decompressor, encoded, &mut bytes)?;
            return Ok(bytes);
        }
        let numbers = if encoding.is_compressed {
            decompress(&mut self.decompressor, encoded, &mut self.numbers)?;
            self.numbers.as_slice()
        } else {
            encoded.body()
        };
        let mut bytes = vec![0; encoded.raw_bytes()];
        let (values, _) = bytes.as_chunks_mut::<4>();
        match encoding.precision {
            Precision::Full | Precision::Pixels | Precision::File => {}
            Precision::Half => widen(numbers, values),
            Precision::Byte => {
                encoded.header.ranges.iter().for_each(|&range| restore(numbers, range, values));
            }
            Precision::ChannelByte => {
                let ranges = &encoded.header.ranges;
                let plane = encoded.shape()[2..].iter().product::<usize>().max(1);
                let planes = numbers.chunks_exact(plane).zip(values.chunks_exact_mut(plane));
                for (index, (numbers, values)) in planes.enumerate() {
                    restore(numbers, ranges[index % ranges.len()], values);
                }
            }
        }
        Ok(bytes)
    }
}

/// Fills `numbers` with just as many bytes as the header asks for.
fn decompress(
    decompressor: &mut Decompressor<'static>,
    encoded: &Encoded,
    numbers: &mut Vec<u8>,
) -> Result<()> {
    let expected = encoded.plain_bytes();
    numbers.clear();
    // There is no room for more: what decodes to more than it says is refused.
    numbers.resize(expected, 0);
    let written = decompressor.decompress_to_buffer(encoded.body(), numbers.as_mut_slice());
    let written = written.map_err(|error| {
        Error::input(format!("the compressed numbers are damaged: {error}")).because(error)
    })?;
    if written == expected {
        return Ok(());
    }
    Err(Error::input(format!("the compressed numbers have {written} bytes, expected {expected}")))
}

/// 16-bit numbers as 32-bit ones.
fn widen(numbers: &[u8], values: &mut [[u8; 4]]) {
    const BLOCK: usize = 1024;
    let mut halves = [half::f16::ZERO; BLOCK];
    let mut wide = [0.0f32; BLOCK];
    let (numbers, _) = numbers.as_chunks::<2>();
    for (numbers, values) in numbers.chunks(BLOCK).zip(values.chunks_mut(BLOCK)) {
        let (halves, wide) = (&mut halves[..numbers.len()], &mut wide[..numbers.len()]);
        for (half, &bytes) in halves.iter_mut().zip(numbers) {
            *half = half::f16::from_le_bytes(bytes);
        }
        halves.convert_to_f32_slice(wide);
        for (value, &number) in values.iter_mut().zip(wide.iter()) {
            *value = number.to_le_bytes();
        }
    }
}
