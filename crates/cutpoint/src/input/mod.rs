//! Inputs of jobs: tensors, and pictures that become tensors only where that is needed.
//!
//! A picture stays the file that it came as. The device decodes it if a layer of its own reads it;
//! where the file itself crosses the link, the server decodes it, by the same functions.

mod image_options;
mod job_inputs;
#[cfg(feature = "images")]
mod jpeg;
mod npy;
mod picture;
#[cfg_attr(not(feature = "images"), path = "no_picture_file.rs")]
mod picture_file;
mod preparation;
mod supply;
#[cfg(test)]
#[cfg(feature = "images")]
pub(crate) mod testing;
#[cfg(test)]
#[cfg(feature = "images")]
mod tests;

pub use image_options::ImageOptions;
pub(crate) use image_options::read_image;
pub use job_inputs::{Input, Inputs, tensors};
pub use npy::{read_npy, rehearse_npy, write_npy};
pub use picture::Picture;
pub use preparation::{ImageLayout, PICTURE_BYTES_FREE, PICTURE_FACTOR_MAX, Preparation};
pub use supply::{OnDemand, Supply};
