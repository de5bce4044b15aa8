//! JPEG and PNG files: what can be known of one without decoding it, and its pixels.

use super::jpeg;
use crate::error::{Error, Result};
use crate::limits::SIDE_MAX;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Checks a file that is to have `height` rows; returns how many bytes its pixels would have,
/// before or in the midst of being resized, whichever is more.
pub(super) fn check(file: &[u8], height: u32, decoded_bytes_max: u64) -> Result<u64> {
    decoder(file, height, decoded_bytes_max).map(|(_, needed)| needed)
}

/// The pixels in this width and height.
pub(super) fn decode(
    file: &[u8],
    (width, height): (u32, u32),
    channels: usize,
    decoded_bytes_max: u64,
) -> Result<Vec<u8>> {
    // What decodes is not ours, and what it decodes may come from anyone.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        let (decoder, _) = decoder(file, height, decoded_bytes_max)?;
        let picture = DynamicImage::from_decoder(decoder).map_err(|e| unusable(&e))?;
        let picture = picture.resize_exact(width, height, FilterType::Triangle);
        Ok(match channels {
            1 => picture.into_luma8().into_raw(),
            _ => picture.into_rgb8().into_raw(),
        })
    }));
    decoded.unwrap_or_else(|_| Err(Error::input("the decoder gave up on this file")))
}

fn decoder(
    file: &[u8],
    height_wanted: u32,
    decoded_bytes_max: u64,
) -> Result<(impl ImageDecoder + '_, u64)> {
    let reader = ImageReader::new(Cursor::new(file));
    let mut reader = reader.with_guessed_format().map_err(|e| unusable(&e))?;
    match reader.format() {
        Some(ImageFormat::Jpeg) if !jpeg::is_complete(file) => {
            return Err(Error::input("the JPEG file is truncated"));
        }
        Some(ImageFormat::Jpeg | ImageFormat::Png) => {}
        _ => return Err(Error::input("neither a JPEG nor a PNG file")),
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(decoded_bytes_max);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| unusable(&e))?;
    // In between there are the model's rows in the picture's width, four numbers a pixel.
    let (width, height) = decoder.dimensions();
    let resized = u64::from(width) * u64::from(height_wanted) * 16;
    let needed = decoder.total_bytes().max(resized);
    if width > SIDE_MAX || height > SIDE_MAX || needed > decoded_bytes_max {
        return Err(Error::input(format!(
            "a picture of {width} x {height} is too large here: {needed} bytes, \
             at most {decoded_bytes_max}"
        )));
    }
    Ok((decoder, needed))
}

fn unusable(error: &dyn std::fmt::Display) -> Error {
    Error::input(format!("not a usable JPEG or PNG: {error}"))
}
