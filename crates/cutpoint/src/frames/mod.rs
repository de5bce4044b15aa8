//! What goes into jobs and what comes out of them: images, `.npy` files, synthetic frames; outputs
//! as `.npy` files or JSON lines.

mod image;
mod npy;
mod source;

pub use crate::input::ImageLayout;
pub use image::ImageOptions;
pub use npy::{read_npy, rehearse_npy, write_npy};
pub use source::{Frame, FrameOptions, parse_frames};

/// The most bytes one input file may have, and the most an image may take when it is decoded.
pub const FILE_BYTES_MAX: u64 = 512 << 20;
