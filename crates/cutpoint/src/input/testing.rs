//! Files that tests read.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ImageEncoder, Rgb, RgbImage};

fn photo(width: u32, height: u32) -> RgbImage {
    let pixel = |x: u32, y: u32| Rgb([(x * 7 + y) as u8, (y * 5) as u8, (x * y / 3) as u8]);
    RgbImage::from_fn(width, height, pixel)
}

/// A JPEG file of this size.
pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 90).encode_image(&photo(width, height)).unwrap();
    file
}

/// A PNG file of this size.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let (mut file, photo) = (Vec::new(), photo(width, height));
    let encoder = PngEncoder::new(&mut file);
    encoder.write_image(photo.as_raw(), width, height, image::ExtendedColorType::Rgb8).unwrap();
    file
}

/// The JPEG file with other dimensions in its start of frame.
pub(crate) fn resized_jpeg(mut file: Vec<u8>, [width, height]: [u16; 2]) -> Vec<u8> {
    // Behind the marker: length and precision, then height and width.
    let frame = file.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    file[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    file[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    file
}
