//! The encodings: their names, and which tensors each takes.

use crate::tensor::ElementType;
use std::fmt;

/// The effort of compression. Higher levels of zstd take longer and gain next to nothing on
/// tensors; docs/log has the measurement.
pub const ZSTD_LEVEL: i32 = 1;

/// How the numbers of a tensor are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Precision {
    /// As they are.
    Full,
    /// In 16 bits each.
    Half,
    /// In 8 bits each, between the least and the greatest of the tensor.
    Byte,
    /// In 8 bits each, between the least and the greatest of each channel.
    ChannelByte,
    /// As the pixels that they are made of.
    Pixels,
    /// As the file that the pixels are made of.
    File,
}

/// A form in which a tensor can cross the link, other than raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Encoding {
    pub(super) precision: Precision,
    pub(super) is_compressed: bool,
}

impl Encoding {
    const fn of(precision: Precision, is_compressed: bool) -> Encoding {
        Encoding { precision, is_compressed }
    }

    /// The elements as they are, compressed.
    pub const ZSTD: Encoding = Encoding::of(Precision::Full, true);
    /// 16-bit numbers.
    pub const F16: Encoding = Encoding::of(Precision::Half, false);
    /// 16-bit numbers, compressed.
    pub const F16_ZSTD: Encoding = Encoding::of(Precision::Half, true);
    /// 8-bit numbers, scaled over the tensor.
    pub const U8: Encoding = Encoding::of(Precision::Byte, false);
    /// 8-bit numbers, scaled over the tensor, compressed.
    pub const U8_ZSTD: Encoding = Encoding::of(Precision::Byte, true);
    /// 8-bit numbers, scaled over each channel.
    pub const U8_CHANNEL: Encoding = Encoding::of(Precision::ChannelByte, false);
    /// 8-bit numbers, scaled over each channel, compressed.
    pub const U8_CHANNEL_ZSTD: Encoding = Encoding::of(Precision::ChannelByte, true);

    /// The pixels of a picture in the model's size.
    pub const PIXELS: Encoding = Encoding::of(Precision::Pixels, false);
    /// The pixels of a picture in the model's size, compressed.
    pub const PIXELS_ZSTD: Encoding = Encoding::of(Precision::Pixels, true);
    /// A picture's file as it came.
    pub const FILE: Encoding = Encoding::of(Precision::File, false);

    /// All encodings of inputs that are pictures.
    pub const PICTURES: [Encoding; 3] = [Encoding::PIXELS, Encoding::PIXELS_ZSTD, Encoding::FILE];

    /// All encodings of tensors, whatever they are made of, the exact one first.
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
            (Precision::Pixels, false) => "pixels",
            (Precision::Pixels, true) => "pixels+zstd",
            (Precision::File, _) => "file",
        }
    }

    /// The encoding with this name.
    pub fn from_name(name: &str) -> Option<Encoding> {
        Encoding::every().find(|e| e.name() == name)
    }

    /// All names, for messages.
    pub(crate) fn names() -> String {
        Encoding::every().map(Encoding::name).collect::<Vec<_>>().join(", ")
    }

    /// Those of tensors, then those of pictures.
    pub fn every() -> impl Iterator<Item = Encoding> {
        Encoding::ALL.into_iter().chain(Encoding::PICTURES)
    }

    /// Whether only pictures can be brought into it.
    pub fn is_of_pictures(self) -> bool {
        matches!(self.precision, Precision::Pixels | Precision::File)
    }

    /// Whether every tensor comes back bit for bit.
    pub fn is_exact(self) -> bool {
        matches!(self.precision, Precision::Full | Precision::Pixels | Precision::File)
    }

    /// Whether it ends in compression.
    pub fn is_compressed(self) -> bool {
        self.is_compressed
    }

    /// The lossy encoding that gives the same numbers and does not compress; an exact one is left
    /// as it is.
    pub fn without_compression(self) -> Encoding {
        if self.is_exact() { self } else { Encoding { is_compressed: false, ..self } }
    }

    /// The element types of the tensors in it, for messages.
    pub(super) fn types(self) -> &'static str {
        match self.precision {
            Precision::Full => "every type",
            Precision::Half | Precision::Byte | Precision::ChannelByte => "FP32",
            Precision::Pixels | Precision::File => "FP32 and UINT8",
        }
    }

    /// Whether there are tensors of this element type in it.
    pub fn takes(self, element_type: ElementType) -> bool {
        match self.precision {
            Precision::Full => true,
            Precision::Half | Precision::Byte | Precision::ChannelByte => {
                element_type == ElementType::F32
            }
            Precision::Pixels | Precision::File => {
                matches!(element_type, ElementType::F32 | ElementType::U8)
            }
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
