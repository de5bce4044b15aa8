//! Forms in which a tensor can cross the link besides its own bytes: fewer bits for each number,
//! and compression after that.
//!
//! | name | what crosses the link | exact |
//! |---|---|---|
//! | `f16` | each 32-bit number as the nearest 16-bit one | no |
//! | `u8` | each 32-bit number as one of 256 evenly spaced values between the tensor's least and greatest | no |
//! | `u8-channel` | the same between the least and greatest of each channel, which is axis 1 | no |
//! | `zstd` | the elements as they are, compressed | yes |
//! | `f16+zstd`, `u8+zstd`, `u8-channel+zstd` | the numbers of the first part, compressed | no |
//!
//! A tensor that an encoding cannot hold is refused, and its owner sends it raw: `f16` and `u8` are
//! for 32-bit numbers that are finite, `f16` for such up to 65504, and `u8-channel` needs at
//! least three axes. What arrives is trusted in nothing: whatever the bytes are, decoding
//! allocates no more than the limits in [`crate::wire::limits`], and ends in a tensor of just the
//! type and shape that were announced, or in an error.

mod decode;
mod encode;
mod header;
mod quantise;
#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use encode::Encoder;
pub use header::Encoded;

use crate::tensor::{ElementType, Tensor};
use bytes::Bytes;
use std::fmt;

/// The effort of compression. Higher levels of zstd take longer and gain next to nothing on
/// tensors; docs/results.md has the measurement.
pub const ZSTD_LEVEL: i32 = 1;

/// How the numbers of a tensor are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Precision {
    /// As they are.
    Full,
    /// In 16 bits each.
    Half,
    /// In 8 bits each, between the least and the greatest of the tensor.
    Byte,
    /// In 8 bits each, between the least and the greatest of each channel.
    ChannelByte,
}

/// A form in which a tensor can cross the link, other than raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Encoding {
    precision: Precision,
    is_compressed: bool,
}

impl Encoding {
    /// The elements as they are, compressed.
    pub const ZSTD: Encoding = Encoding { precision: Precision::Full, is_compressed: true };
    /// 16-bit numbers.
    pub const F16: Encoding = Encoding { precision: Precision::Half, is_compressed: false };
    /// 16-bit numbers, compressed.
    pub const F16_ZSTD: Encoding = Encoding { precision: Precision::Half, is_compressed: true };
    /// 8-bit numbers, scaled over the tensor.
    pub const U8: Encoding = Encoding { precision: Precision::Byte, is_compressed: false };
    /// 8-bit numbers, scaled over the tensor, compressed.
    pub const U8_ZSTD: Encoding = Encoding { precision: Precision::Byte, is_compressed: true };
    /// 8-bit numbers, scaled over each channel.
    pub const U8_CHANNEL: Encoding =
        Encoding { precision: Precision::ChannelByte, is_compressed: false };
    /// 8-bit numbers, scaled over each channel, compressed.
    pub const U8_CHANNEL_ZSTD: Encoding =
        Encoding { precision: Precision::ChannelByte, is_compressed: true };

    /// All encodings, the exact one first.
    pub const ALL: [Encoding; 7] = [
        Encoding::ZSTD,
        Encoding::F16,
        Encoding::F16_ZSTD,
        Encoding::U8,
        Encoding::U8_ZSTD,
        Encoding::U8_CHANNEL,
        Encoding::U8_CHANNEL_ZSTD,
    ];

    /// The name in workloads, in plans and on the wire.
    pub fn name(self) -> &'static str {
        match (self.precision, self.is_compressed) {
            (Precision::Full, _) => "zstd",
            (Precision::Half, false) => "f16",
            (Precision::Half, true) => "f16+zstd",
            (Precision::Byte, false) => "u8",
            (Precision::Byte, true) => "u8+zstd",
            (Precision::ChannelByte, false) => "u8-channel",
            (Precision::ChannelByte, true) => "u8-channel+zstd",
        }
    }

    /// The encoding with this name.
    pub fn from_name(name: &str) -> Option<Encoding> {
        Encoding::ALL.into_iter().find(|e| e.name() == name)
    }

    /// All names, for messages.
    pub(crate) fn names() -> String {
        Encoding::ALL.map(Encoding::name).join(", ")
    }

    /// Whether every tensor comes back bit for bit.
    pub fn is_exact(self) -> bool {
        self.precision == Precision::Full
    }

    /// Whether it ends in compression.
    pub fn is_compressed(self) -> bool {
        self.is_compressed
    }

    /// The lossy encoding that gives the same numbers and does not compress; an exact one is left
    /// as it is.
    pub fn without_compression(self) -> Encoding {
        Encoding { is_compressed: self.is_exact(), ..self }
    }

    /// Whether tensors of this element type can be brought into it.
    pub fn takes(self, element_type: ElementType) -> bool {
        self.is_exact() || element_type == ElementType::F32
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A tensor in the form in which it crosses the link.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// As it is.
    Raw(Tensor),
    /// In an encoding.
    Encoded(Encoded),
}

impl Form {
    /// The bytes that cross the link.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Form::Raw(tensor) => tensor.bytes(),
            Form::Encoded(encoded) => encoded.bytes(),
        }
    }

    /// The element type of the tensor itself.
    pub fn element_type(&self) -> ElementType {
        match self {
            Form::Raw(tensor) => tensor.element_type(),
            Form::Encoded(encoded) => encoded.element_type(),
        }
    }

    /// The shape of the tensor itself.
    pub fn shape(&self) -> &[usize] {
        match self {
            Form::Raw(tensor) => tensor.shape(),
            Form::Encoded(encoded) => encoded.shape(),
        }
    }

    /// How many bytes the tensor itself has.
    pub fn raw_bytes(&self) -> usize {
        match self {
            Form::Raw(tensor) => tensor.bytes().len(),
            Form::Encoded(encoded) => encoded.raw_bytes(),
        }
    }

    /// Its encoding; `None` if it is raw.
    pub fn encoding(&self) -> Option<Encoding> {
        match self {
            Form::Raw(_) => None,
            Form::Encoded(encoded) => Some(encoded.encoding()),
        }
    }
}

impl From<Tensor> for Form {
    fn from(tensor: Tensor) -> Form {
        Form::Raw(tensor)
    }
}
