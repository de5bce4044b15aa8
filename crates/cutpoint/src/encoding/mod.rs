//! Forms in which a tensor can cross the link other than as its own bytes: fewer bits for each number,
//! and compression after that.
//!
//! | name | what crosses the link | exact |
//! |---|---|---|
//! | `f16` | each 32-bit number as the nearest 16-bit one | no |
//! | `u8` | each 32-bit number as one of 256 evenly spaced values between the tensor's least and greatest | no |
//! | `u8-channel` | the same between the least and greatest of each channel, which is axis 1 | no |
//! | `zstd` | the elements as they are, compressed | yes |
//! | `f16+zstd`, `u8+zstd`, `u8-channel+zstd` | the numbers of the first part, compressed | no |
//! | `pixels` | a picture in the model's size, before it is normalised | yes |
//! | `pixels+zstd` | the same, compressed | yes |
//! | `file` | a picture's JPEG or PNG file as it came | yes |
//!
//! A tensor that an encoding cannot hold is refused, and its owner sends it raw: `f16` and `u8` are
//! for 32-bit numbers that are finite, `f16` for such up to 65504, and `u8-channel` needs at
//! least three axes. The last three are for inputs that are pictures; the server makes the tensor
//! of them as the device would. What arrives is trusted in nothing: whatever the bytes are,
//! decoding allocates no more than the limits in `limits.rs` and in [`crate::input`],
//! and ends in a tensor of just the type and shape that were announced, or in an error.

mod decode;
mod encode;
mod form;
mod header;
mod kind;
#[cfg(test)]
#[cfg(feature = "images")]
mod picture_tests;
mod plain;
mod quantise;
#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use encode::Encoder;
pub use form::Form;
pub use header::Encoded;
pub use kind::{Encoding, ZSTD_LEVEL};
