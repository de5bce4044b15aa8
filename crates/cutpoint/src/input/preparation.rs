//! From a JPEG or PNG file to pixels in the model's size, and from pixels to the tensor that the
//! model reads. Both sides of a link make the same bits from the same file.

use super::picture_file;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{SIDE_MAX, TENSOR_BYTES_MAX};
use crate::tensor::{ElementType, Tensor};
use std::str::FromStr;

/// The most bytes that a picture from the network may have when it is decoded, as a multiple of the
/// pixels that the model takes, at one byte for each channel.
pub const PICTURE_FACTOR_MAX: u64 = 256;

/// An image from the network may always take this many bytes when it is decoded.
pub const PICTURE_BYTES_FREE: u64 = 16 << 20;

/// The order of the axes of an image tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageLayout {
    /// `[1, channels, height, width]`.
    #[default]
    Nchw,
    /// `[1, height, width, channels]`.
    Nhwc,
}

impl FromStr for ImageLayout {
    type Err = Error;

    fn from_str(text: &str) -> Result<ImageLayout> {
        match text {
            "nchw" => Ok(ImageLayout::Nchw),
            "nhwc" => Ok(ImageLayout::Nhwc),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!("invalid image layout {text:?}: expected nchw or nhwc"),
            )),
        }
    }
}

/// What a picture becomes: resized to the shape of an input and laid out as it; if the input is of
/// floating point numbers, each channel is first scaled to 0..1, then `(value - mean) / std`.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    element_type: ElementType,
    shape: Vec<usize>,
    /// The order of the tensor's axes.
    pub(crate) layout: ImageLayout,
    /// Subtracted, by channel.
    pub(crate) mean: [f32; 3],
    /// Divided by, by channel.
    pub(crate) std: [f32; 3],
}

impl Preparation {
    /// For an input of this type and shape; `layout` may be left open where the shape tells it.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if a picture does not fit the input, or if `mean` and `std` do not make
    /// finite numbers.
    pub fn new(
        element_type: ElementType,
        shape: &[usize],
        layout: Option<ImageLayout>,
        mean: [f32; 3],
        std: [f32; 3],
    ) -> Result<Preparation> {
        let layout = layout_of(shape, layout)
            .filter(|_| matches!(element_type, ElementType::F32 | ElementType::U8))
            .ok_or_else(|| {
                let name = element_type.protocol_name();
                Error::input(format!(
                    "an input of shape {shape:?} and type {name} does not take images"
                ))
                .hint("give a .npy file of this shape and type instead")
            })?;
        if !mean.iter().all(|v| v.is_finite()) || !std.iter().all(|&v| v.is_finite() && v > 0.0) {
            return Err(Error::input(format!(
                "means {mean:?} and deviations {std:?} are not usable"
            )));
        }
        let preparation = Preparation { element_type, shape: shape.to_vec(), layout, mean, std };
        let (height, width) = (preparation.height(), preparation.width());
        let is_side = |side: usize| (1..=SIDE_MAX as usize).contains(&side);
        if !is_side(height) || !is_side(width) || preparation.pixel_bytes() > TENSOR_BYTES_MAX / 4 {
            return Err(Error::input(format!("invalid image size {width} x {height}")));
        }
        Ok(preparation)
    }

    /// The element type of the tensor.
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// The shape of the tensor.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// 1 or 3.
    pub fn channels(&self) -> usize {
        self.axis(1, 3)
    }

    fn height(&self) -> usize {
        self.axis(2, 1)
    }

    fn width(&self) -> usize {
        self.axis(3, 2)
    }

    fn axis(&self, nchw: usize, nhwc: usize) -> usize {
        self.shape[if self.layout == ImageLayout::Nchw { nchw } else { nhwc }]
    }

    /// How many bytes the pixels have in the model's size.
    pub fn pixel_bytes(&self) -> usize {
        self.shape.iter().product()
    }

    /// The most bytes that a picture from the network may have when it is decoded.
    pub fn decoded_bytes_max(&self) -> u64 {
        let most = (self.pixel_bytes() as u64).saturating_mul(PICTURE_FACTOR_MAX);
        most.max(PICTURE_BYTES_FREE).min(TENSOR_BYTES_MAX as u64)
    }

    /// Finds out what can be known of a file without decoding it; returns how many bytes its pixels
    /// would have, before or in the midst of being resized, whichever is more.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if it is no JPEG or PNG, is truncated, or its pixels would have more
    /// than `decoded_bytes_max` bytes.
    pub fn check_file(&self, file: &[u8], decoded_bytes_max: u64) -> Result<u64> {
        picture_file::check(file, self.height() as u32, decoded_bytes_max)
    }

    /// The pixels of a file in the model's size, `[height, width, channels]`.
    ///
    /// # Errors
    /// As [`Preparation::check_file`], and if the file is damaged.
    pub fn decode(&self, file: &[u8], decoded_bytes_max: u64) -> Result<Vec<u8>> {
        // Both are at most `SIDE_MAX`.
        let size = (self.width() as u32, self.height() as u32);
        picture_file::decode(file, size, self.channels(), decoded_bytes_max)
    }

    /// The tensor of pixels in the model's size.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if there are too few or too many of them.
    pub fn tensor(&self, pixels: &[u8]) -> Result<Tensor> {
        let expected = self.pixel_bytes();
        if pixels.len() != expected {
            return Err(Error::input(format!(
                "{} bytes of pixels, expected {expected}",
                pixels.len()
            )));
        }
        let channels = self.channels();
        if self.element_type == ElementType::U8 {
            let bytes = self.laid_out(pixels, |_, pixel| pixel);
            return Tensor::new(ElementType::U8, self.shape.clone(), bytes.into());
        }
        let value = |channel: usize, pixel: u8| {
            (f32::from(pixel) / 255.0 - self.mean[channel]) / self.std[channel]
        };
        let row = |channel| std::array::from_fn(|pixel| value(channel, pixel as u8));
        let values: Vec<[f32; 256]> = (0..channels).map(row).collect();
        let values = self.laid_out(pixels, |channel, pixel| values[channel][usize::from(pixel)]);
        Tensor::from_f32(self.shape.clone(), &values)
    }

    /// What each pixel becomes, in the order of the tensor.
    fn laid_out<T>(&self, pixels: &[u8], value: impl Fn(usize, u8) -> T) -> Vec<T> {
        let channels = self.channels();
        let mut values = Vec::with_capacity(pixels.len());
        match self.layout {
            ImageLayout::Nchw => (0..channels).for_each(|channel| {
                let plane = pixels.iter().skip(channel).step_by(channels);
                values.extend(plane.map(|&pixel| value(channel, pixel)));
            }),
            ImageLayout::Nhwc => pixels.chunks_exact(channels).for_each(|pixel| {
                values.extend(pixel.iter().enumerate().map(|(channel, &p)| value(channel, p)));
            }),
        }
        values
    }
}

/// The layout of an input that a picture fits.
fn layout_of(shape: &[usize], layout: Option<ImageLayout>) -> Option<ImageLayout> {
    let &[1, a, _, c] = shape else { return None };
    let is_channels = |n: usize| n == 1 || n == 3;
    match layout {
        Some(ImageLayout::Nchw) | None if is_channels(a) => Some(ImageLayout::Nchw),
        Some(ImageLayout::Nhwc) | None if is_channels(c) => Some(ImageLayout::Nhwc),
        _ => None,
    }
}
