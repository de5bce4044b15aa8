//! The bytes of an encoded tensor: a header that says what it is, then the numbers.
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | the version of this layout, 1 |
//! | 1 | the element type, as ONNX numbers them |
//! | 1 | how many dimensions |
//! | 4 each | the dimensions, outermost first |
//! | 8, or 8 for each channel | only for 8-bit numbers: what 0 stands for and the step from one number to the next, as 32-bit floating point |
//! | 1, 1, 12, 12 | only for pictures: how they are resized, the order of the tensor's axes, then what is subtracted from each channel and what it is divided by, as 32-bit floating point |
//! | the rest | the numbers, row-major, or the file; in a zstd frame that tells its content's size, if compressed |
//!
//! Everything is little-endian. The encoding itself is told beside it, by name.

use super::kind::{Encoding, Precision};
use super::quantise::Range;
use crate::error::{Error, Result};
use crate::input::{ImageLayout, Preparation};
use crate::limits::{RANK_MAX, TENSOR_BYTES_MAX};
use crate::tensor::ElementType;
use bytes::Bytes;

/// The version of the layout.
const VERSION: u8 = 1;

/// The bytes of one range: what 0 stands for, and the step.
const RANGE_BYTES: usize = 8;

/// Pictures are resized by linear interpolation over the area that a pixel stands for.
const TRIANGLE: u8 = 0;

/// The orders of axes by their numbers.
const LAYOUTS: [ImageLayout; 2] = [ImageLayout::Nchw, ImageLayout::Nhwc];

/// The header before the numbers of an encoded tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    pub(super) element_type: ElementType,
    pub(super) shape: Vec<usize>,
    /// One, or one for each channel, for 8-bit numbers; else none.
    pub(super) ranges: Vec<Range>,
    /// What a picture becomes; none for tensors.
    pub(super) preparation: Option<Preparation>,
}

/// A tensor in an encoding. Cloning is cheap: the bytes are shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    encoding: Encoding,
    pub(super) header: Header,
    bytes: Bytes,
    header_bytes: usize,
}

impl Encoded {
    /// Reads the header of what has arrived, and checks all that can be checked without decoding.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if the bytes break off, the header makes no sense, a limit on tensors
    /// is exceeded, or the numbers are too few or too many for the shape.
    pub fn read(encoding: Encoding, bytes: Bytes) -> Result<Encoded> {
        let place = |error: Error| error.at(format!("encoding {encoding}"));
        let mut reader = Reader { rest: &bytes };
        let header = reader.header(encoding).map_err(place)?;
        let header_bytes = bytes.len() - reader.rest.len();
        let encoded = Encoded { encoding, header, bytes, header_bytes };
        encoded.check_size().map_err(place)?;
        Ok(encoded)
    }

    /// Bytes of this program's own making, which begin with the header.
    pub(super) fn written(
        encoding: Encoding,
        header: Header,
        bytes: Vec<u8>,
        header_bytes: usize,
    ) -> Encoded {
        Encoded { encoding, header, bytes: bytes.into(), header_bytes }
    }

    /// The encoding.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The element type of the tensor itself.
    pub fn element_type(&self) -> ElementType {
        self.header.element_type
    }

    /// The shape of the tensor.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// How many bytes the tensor itself has.
    pub fn raw_bytes(&self) -> usize {
        self.count() * self.header.element_type.size()
    }

    /// The bytes that cross the link: header and numbers.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many elements the tensor has.
    pub(super) fn count(&self) -> usize {
        self.header.shape.iter().product()
    }

    /// The numbers behind the header, possibly compressed.
    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[self.header_bytes..]
    }

    /// How many bytes the numbers have when they are not compressed.
    pub(super) fn plain_bytes(&self) -> usize {
        match self.encoding.precision {
            Precision::Full => self.raw_bytes(),
            Precision::Half => self.count() * 2,
            Precision::Byte | Precision::ChannelByte | Precision::Pixels => self.count(),
            Precision::File => self.body().len(),
        }
    }

    fn check_size(&self) -> Result<()> {
        let expected = self.plain_bytes();
        let found = if self.encoding.is_compressed {
            let told = zstd::zstd_safe::get_frame_content_size(self.body());
            let told = told.ok().flatten().and_then(|size| usize::try_from(size).ok());
            told.ok_or_else(|| Error::input("no zstd frame that tells its content's size follows"))?
        } else {
            self.body().len()
        };
        if found == expected {
            return Ok(());
        }
        let shape = self.shape();
        Err(Error::input(format!(
            "has {found} bytes of numbers where shape {shape:?} asks for {expected}"
        )))
    }
}

/// How many channels a shape has: the size of axis 1; `None` if there is nothing behind that axis.
pub(super) fn channels(shape: &[usize]) -> Option<usize> {
    (shape.len() >= 3).then(|| shape[1])
}

impl Header {
    /// The bytes of the header.
    pub(super) fn write(&self) -> Result<Vec<u8>> {
        let shape = &self.shape;
        let too_large = || Error::input(format!("shape {shape:?} is too large for an encoding"));
        let rank = u8::try_from(shape.len()).map_err(|_| too_large())?;
        let number = u8::try_from(self.element_type.onnx_number()).map_err(|_| too_large())?;
        let mut bytes = vec![VERSION, number, rank];
        for &dim in shape {
            let dim = u32::try_from(dim).map_err(|_| too_large())?;
            bytes.extend(dim.to_le_bytes());
        }
        let mut numbers: Vec<f32> =
            self.ranges.iter().flat_map(|range| [range.least, range.step]).collect();
        if let Some(picture) = &self.preparation {
            bytes.extend([TRIANGLE, u8::from(picture.layout == ImageLayout::Nhwc)]);
            numbers.extend(picture.mean.into_iter().chain(picture.std));
        }
        bytes.extend(numbers.into_iter().flat_map(f32::to_le_bytes));
        Ok(bytes)
    }
}

/// A header that is being read.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn header(&mut self, encoding: Encoding) -> Result<Header> {
        let [version, number, rank] = self.take()?;
        if version != VERSION {
            return Err(Error::input(format!("layout version {version}, expected {VERSION}")));
        }
        let element_type = ElementType::from_onnx_number(number.into())
            .ok_or_else(|| Error::input(format!("unknown element type {number}")))?;
        if !encoding.takes(element_type) {
            let name = element_type.protocol_name();
            return Err(Error::input(format!("is for {}, found {name}", encoding.types())));
        }
        let rank = usize::from(rank);
        if rank > RANK_MAX {
            return Err(Error::input(format!("{rank} dimensions, at most {RANK_MAX}")));
        }
        let mut shape = Vec::with_capacity(rank);
        for _ in 0..rank {
            let dim = u32::from_le_bytes(self.take()?);
            let too_large = || Error::input(format!("a dimension of {dim} is too large"));
            shape.push(usize::try_from(dim).map_err(|_| too_large())?);
        }
        let size = shape.iter().try_fold(element_type.size(), |size, &dim| size.checked_mul(dim));
        let is_small = |dim: &usize| *dim <= TENSOR_BYTES_MAX;
        if size.is_none_or(|size| size > TENSOR_BYTES_MAX) || !shape.iter().all(is_small) {
            return Err(Error::input(format!(
                "shape {shape:?} has more than {TENSOR_BYTES_MAX} bytes"
            )));
        }
        let count = match encoding.precision {
            Precision::Full | Precision::Half | Precision::Pixels | Precision::File => 0,
            Precision::Byte => 1,
            Precision::ChannelByte => channels(&shape).ok_or_else(|| {
                Error::input(format!("needs at least 3 dimensions, found {shape:?}"))
            })?,
        };
        if count > self.rest.len() / RANGE_BYTES {
            return Err(broken_off());
        }
        let mut ranges = Vec::with_capacity(count);
        for _ in 0..count {
            let range = Range {
                least: f32::from_le_bytes(self.take()?),
                step: f32::from_le_bytes(self.take()?),
            };
            range.check()?;
            ranges.push(range);
        }
        let picture = encoding.is_of_pictures();
        let preparation = picture.then(|| self.preparation(element_type, &shape)).transpose()?;
        Ok(Header { element_type, shape, ranges, preparation })
    }

    fn preparation(&mut self, element_type: ElementType, shape: &[usize]) -> Result<Preparation> {
        let [resize, layout] = self.take()?;
        if resize != TRIANGLE {
            return Err(Error::input(format!("unknown resize method {resize}")));
        }
        let layout = LAYOUTS.get(usize::from(layout)).copied();
        let layout = layout.ok_or_else(|| Error::input("unknown order of an image's axes"))?;
        let mut three = || -> Result<[f32; 3]> {
            let mut numbers = [0.0; 3];
            for number in &mut numbers {
                *number = f32::from_le_bytes(self.take()?);
            }
            Ok(numbers)
        };
        let (mean, std) = (three()?, three()?);
        Preparation::new(element_type, shape, Some(layout), mean, std)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(broken_off)?;
        self.rest = rest;
        Ok(*taken)
    }
}

fn broken_off() -> Error {
    Error::input("it ends within its header")
}
