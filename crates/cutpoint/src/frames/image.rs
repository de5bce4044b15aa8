//! JPEG and PNG files as input tensors: decoded, resized, scaled to 0..1 and normalised.

use super::FILE_BYTES_MAX;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, Tensor};
use image::imageops::FilterType;
use image::{ImageReader, Limits};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The most pixels an image may have on a side.
const SIDE_MAX: u32 = 32_768;

/// The order of the axes of an image tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ImageLayout {
    /// `[1, channels, height, width]`.
    #[default]
    Nchw,
    /// `[1, height, width, channels]`.
    Nhwc,
}

/// How a picture becomes a tensor: each channel, red, green and blue, first scaled to 0..1, then
/// `(value - mean) / std`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageOptions {
    /// The order of the axes; `None` to see it from the input's shape.
    pub layout: Option<ImageLayout>,
    /// Subtracted, by channel.
    pub mean: [f32; 3],
    /// Divided by, by channel.
    pub std: [f32; 3],
}

/// Reads a picture as an input of `shape`.
///
/// # Errors
/// [`ErrorKind::File`] if the file cannot be read; [`ErrorKind::Input`] if it is no picture, is
/// damaged or too large, or if the input is none that a picture fits.
pub(super) fn read_image(
    path: &Path,
    shape: &[usize],
    element_type: ElementType,
    options: &ImageOptions,
) -> Result<Tensor> {
    let refuse = |message: String| Error::new(ErrorKind::Input, message).at(path.display());
    let (layout, channels, height, width) = axes(shape, options.layout)
        .filter(|_| matches!(element_type, ElementType::F32 | ElementType::U8))
        .ok_or_else(|| {
            let message = format!(
                "an input of shape {shape:?} and type {} takes no picture",
                element_type.protocol_name()
            );
            refuse(message).hint("give a .npy file of this shape and type instead")
        })?;
    let file = File::open(path).map_err(|e| {
        Error::new(ErrorKind::File, format!("cannot be opened: {e}")).at(path.display())
    })?;
    let mut reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|e| refuse(format!("cannot be read: {e}")))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(FILE_BYTES_MAX);
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| refuse(format!("not a usable JPEG or PNG: {e}")))?;
    let side = |s: usize| u32::try_from(s).ok().filter(|&s| s > 0 && s <= SIDE_MAX);
    let (Some(w), Some(h)) = (side(width), side(height)) else {
        return Err(refuse(format!("{width} x {height} is no size for a picture")));
    };
    let picture = picture.resize_exact(w, h, FilterType::Triangle);
    let pixels: Vec<u8> =
        if channels == 1 { picture.to_luma8().into_raw() } else { picture.to_rgb8().into_raw() };
    tensor(&pixels, channels, layout, shape, element_type, options)
}

/// Lays `[height, width, channels]` pixels out as asked.
fn tensor(
    pixels: &[u8],
    channels: usize,
    layout: ImageLayout,
    shape: &[usize],
    element_type: ElementType,
    options: &ImageOptions,
) -> Result<Tensor> {
    let area = pixels.len() / channels;
    let source = |position: usize| match layout {
        ImageLayout::Nhwc => (position, position % channels),
        ImageLayout::Nchw => ((position % area) * channels + position / area, position / area),
    };
    if element_type == ElementType::U8 {
        let bytes: Vec<u8> = (0..pixels.len()).map(|p| pixels[source(p).0]).collect();
        return Tensor::new(ElementType::U8, shape.to_vec(), bytes.into());
    }
    let values: Vec<f32> = (0..pixels.len())
        .map(|p| {
            let (from, channel) = source(p);
            (f32::from(pixels[from]) / 255.0 - options.mean[channel]) / options.std[channel]
        })
        .collect();
    Tensor::from_f32(shape.to_vec(), &values)
}

/// Layout, channels, height and width of an input that a picture fits.
fn axes(
    shape: &[usize],
    layout: Option<ImageLayout>,
) -> Option<(ImageLayout, usize, usize, usize)> {
    let &[1, a, b, c] = shape else { return None };
    let is_channels = |n: usize| n == 1 || n == 3;
    match layout {
        Some(ImageLayout::Nchw) | None if is_channels(a) => Some((ImageLayout::Nchw, a, b, c)),
        Some(ImageLayout::Nhwc) | None if is_channels(c) => Some((ImageLayout::Nhwc, c, a, b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn options() -> ImageOptions {
        ImageOptions { layout: None, mean: [0.0, 0.0, 0.5], std: [1.0, 1.0, 0.5] }
    }

    #[test]
    fn channels_are_laid_out_and_normalised() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.png");
        let mut picture = RgbImage::new(2, 1);
        picture.put_pixel(0, 0, Rgb([255, 0, 255]));
        picture.put_pixel(1, 0, Rgb([0, 255, 0]));
        picture.save(&path).unwrap();
        let nchw = read_image(&path, &[1, 3, 1, 2], ElementType::F32, &options()).unwrap();
        // Red 1 0, green 0 1, blue (1 - 0.5) / 0.5 = 1 and (0 - 0.5) / 0.5 = -1.
        assert_eq!(nchw.to_f32().unwrap(), [1.0, 0.0, 0.0, 1.0, 1.0, -1.0]);
        let last = ImageOptions { layout: Some(ImageLayout::Nhwc), ..options() };
        let nhwc = read_image(&path, &[1, 1, 2, 3], ElementType::U8, &last).unwrap();
        assert_eq!(nhwc.bytes().as_ref(), [255, 0, 255, 0, 255, 0]);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jpg");
        std::fs::write(&path, b"\xff\xd8\xff\xe0 not really").unwrap();
        let error = read_image(&path, &[1, 3, 4, 4], ElementType::F32, &options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        let error = read_image(&path, &[1, 100], ElementType::F32, &options()).unwrap_err();
        assert!(error.to_string().contains("takes no picture"));
    }
}
