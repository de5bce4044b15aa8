//! What does a job start from? Tensors, and pictures that become tensors only where that is needed.
//!
//! A picture stays the file that it came as. The device decodes it if a layer of its own reads it;
//! where the file itself crosses the link, the server decodes it, by the same functions.

mod image_options;
mod job_inputs;
mod jpeg;
mod npy;
mod picture;
mod preparation;
mod supply;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use image_options::ImageOptions;
pub(crate) use image_options::read_image;
pub use job_inputs::{Input, Inputs, tensors};
pub use npy::{read_npy, rehearse_npy, write_npy};
pub use picture::Picture;
pub use preparation::{ImageLayout, PICTURE_BYTES_FREE, PICTURE_FACTOR_MAX, Preparation, SIDE_MAX};
pub use supply::{OnDemand, Supply};
