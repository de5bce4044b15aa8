//! From a tensor to an encoded one.

use super::header::{Encoded, Header, channels};
use super::kind::{Encoding, Precision, ZSTD_LEVEL};
use super::quantise::{Extent, Range, quantise};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Picture};
use crate::limits::TENSOR_BYTES_MAX;
use crate::tensor::Tensor;
use half::slice::HalfFloatSliceExt;
use std::io::Cursor;
use zstd::bulk::Compressor;

/// The greatest 16-bit floating point number.
const F16_MAX: f32 = 65504.0;

/// Brings tensors into encodings; keeps what can be used again from one to the next.
pub struct Encoder {
    compressor: Compressor<'static>,
    numbers: Vec<u8>,
    halves: Vec<half::f16>,
}

impl Encoder {
    /// One that compresses with the usual effort.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if zstd cannot be set up.
    pub fn new() -> Result<Encoder> {
        Encoder::with_level(ZSTD_LEVEL)
    }

    /// One that compresses with this effort, a level of zstd.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if zstd cannot be set up.
    pub fn with_level(level: i32) -> Result<Encoder> {
        let compressor = Compressor::new(level).map_err(|error| {
            Error::new(ErrorKind::Usage, "zstd cannot be set up").because(error)
        })?;
        Ok(Encoder { compressor, numbers: Vec::new(), halves: Vec::new() })
    }

    /// Brings a tensor into an encoding.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the encoding cannot hold the tensor: a lossy one takes 32-bit
    /// floating point numbers that are finite.
    pub fn encode(&mut self, encoding: Encoding, tensor: &Tensor) -> Result<Encoded> {
        let encoded = self.checked(encoding, tensor);
        encoded.map_err(|error| error.at(format!("encoding {encoding}")))
    }

    /// Brings an input into an encoding: a picture into any, other tensors into those of tensors.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the encoding cannot hold it, or if the input cannot be read.
    pub fn encode_input(&mut self, encoding: Encoding, input: &Input) -> Result<Encoded> {
        match input {
            Input::Picture(picture) if encoding.is_of_pictures() => {
                let encoded = self.picture(encoding, picture);
                encoded.map_err(|error| error.at(format!("encoding {encoding}")))
            }
            _ => self.encode(encoding, input.tensor()?),
        }
    }

    fn picture(&mut self, encoding: Encoding, picture: &Picture) -> Result<Encoded> {
        let preparation = picture.preparation();
        let body = match encoding.precision {
            Precision::File => {
                let (needed, most) = (picture.decoded_bytes(), preparation.decoded_bytes_max());
                if needed > most {
                    let message = format!("{needed} bytes to decode, a server allows {most}");
                    return Err(Error::input(message));
                }
                picture.file()
            }
            _ => picture.pixels()?,
        };
        if body.len() > TENSOR_BYTES_MAX {
            return Err(Error::input(format!("{} bytes, at most {TENSOR_BYTES_MAX}", body.len())));
        }
        let header = Header {
            element_type: preparation.element_type(),
            shape: preparation.shape().to_vec(),
            ranges: Vec::new(),
            preparation: Some(preparation.clone()),
        };
        joined(&mut self.compressor, encoding, header, body)
    }

    fn checked(&mut self, encoding: Encoding, tensor: &Tensor) -> Result<Encoded> {
        let (element_type, shape) = (tensor.element_type(), tensor.shape());
        if !encoding.takes(element_type) {
            let name = element_type.protocol_name();
            return Err(Error::input(format!("is for {}, found {name}", encoding.types())));
        }
        if encoding.is_of_pictures() {
            return Err(Error::input("is for pictures, found a tensor"));
        }
        let size = tensor.bytes().len();
        if size > TENSOR_BYTES_MAX {
            return Err(Error::input(format!("{size} bytes, at most {TENSOR_BYTES_MAX}")));
        }
        self.numbers.clear();
        let ranges = match encoding.precision {
            Precision::Full | Precision::Pixels | Precision::File => Vec::new(),
            Precision::Half => {
                self.halve(&tensor.elements())?;
                Vec::new()
            }
            Precision::Byte => vec![self.reduce(&tensor.elements())?],
            Precision::ChannelByte => self.reduce_channels(&tensor.elements(), shape)?,
        };
        let numbers: &[u8] = match encoding.precision {
            Precision::Full | Precision::Pixels | Precision::File => tensor.bytes(),
            Precision::Half => bytemuck::cast_slice(&self.halves),
            Precision::Byte | Precision::ChannelByte => &self.numbers,
        };
        let header = Header { element_type, shape: shape.to_vec(), ranges, preparation: None };
        joined(&mut self.compressor, encoding, header, numbers)
    }

    fn halve(&mut self, values: &[f32]) -> Result<()> {
        let mut extent = Extent::new();
        extent.add(values);
        let (least, greatest) = extent.ends()?;
        if least < -F16_MAX || greatest > F16_MAX {
            let outside = if greatest > F16_MAX { greatest } else { least };
            return Err(Error::input(format!("{outside} is beyond 16-bit numbers")));
        }
        self.halves.clear();
        self.halves.resize(values.len(), half::f16::ZERO);
        self.halves.convert_from_f32_slice(values);
        Ok(())
    }

    fn reduce(&mut self, values: &[f32]) -> Result<Range> {
        let mut extent = Extent::new();
        extent.add(values);
        let range = extent.range()?;
        quantise(values, range, &mut self.numbers);
        Ok(range)
    }

    fn reduce_channels(&mut self, values: &[f32], shape: &[usize]) -> Result<Vec<Range>> {
        let channels = channels(shape)
            .ok_or_else(|| Error::input(format!("needs at least 3 dimensions, found {shape:?}")))?;
        let plane: usize = shape[2..].iter().product();
        if values.is_empty() {
            return Err(Error::input("has no numbers"));
        }
        let mut extents = vec![Extent::new(); channels];
        for (index, values) in values.chunks_exact(plane).enumerate() {
            extents[index % channels].add(values);
        }
        let ranges = extents.iter().map(Extent::range).collect::<Result<Vec<Range>>>()?;
        for (index, values) in values.chunks_exact(plane).enumerate() {
            quantise(values, ranges[index % channels], &mut self.numbers);
        }
        Ok(ranges)
    }
}

/// A header with numbers behind it, compressed if the encoding says so.
fn joined(
    compressor: &mut Compressor<'static>,
    encoding: Encoding,
    header: Header,
    numbers: &[u8],
) -> Result<Encoded> {
    let mut bytes = header.write()?;
    let header_bytes = bytes.len();
    if encoding.is_compressed {
        bytes.reserve_exact(zstd::zstd_safe::compress_bound(numbers.len()));
        let mut cursor = Cursor::new(bytes);
        cursor.set_position(header_bytes as u64);
        let done = compressor.compress_to_buffer(numbers, &mut cursor);
        done.map_err(|error| Error::input("cannot be compressed").because(error))?;
        bytes = cursor.into_inner();
        // What is left over would wait for the uplink together with the rest.
        bytes.shrink_to_fit();
    } else {
        bytes.reserve_exact(numbers.len());
        bytes.extend_from_slice(numbers);
    }
    Ok(Encoded::written(encoding, header, bytes, header_bytes))
}
