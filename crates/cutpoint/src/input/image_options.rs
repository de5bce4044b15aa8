//! JPEG and PNG files as input tensors: decoded, resized, scaled to 0..1 and normalised.

use super::picture::Picture;
use super::preparation::{ImageLayout, Preparation};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::FILE_BYTES_MAX;
use crate::tensor::ElementType;
use std::fs::File;
use std::io::Read;
use std::path::Path;

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

impl Default for ImageOptions {
    /// Pixels from 0 to 1, in the layout that the model's input suggests.
    fn default() -> ImageOptions {
        ImageOptions { layout: None, mean: [0.0; 3], std: [1.0; 3] }
    }
}

/// Reads a picture as an input of `shape`. It is not decoded yet.
///
/// # Errors
/// [`ErrorKind::File`] if the file cannot be read; [`ErrorKind::Input`] if it is not a picture, is
/// truncated or too large, or if the input is none that a picture fits.
pub(crate) fn read_image(
    path: &Path,
    shape: &[usize],
    element_type: ElementType,
    options: &ImageOptions,
) -> Result<Picture> {
    let place = path.display();
    let ImageOptions { layout, mean, std } = options;
    let preparation = Preparation::new(element_type, shape, *layout, *mean, *std);
    let preparation = preparation.map_err(|error| error.at(&place))?;
    let failed =
        |e: std::io::Error| Error::new(ErrorKind::File, format!("cannot be read: {e}")).at(&place);
    let mut file = Vec::new();
    let opened = File::open(path).map_err(failed)?;
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut file).map_err(failed)?;
    if file.len() as u64 > FILE_BYTES_MAX {
        let message = format!("more than {FILE_BYTES_MAX} bytes, too large for a picture");
        return Err(Error::new(ErrorKind::Input, message).at(&place));
    }
    Picture::new(file.into(), preparation, place.to_string())
}

#[cfg(test)]
#[cfg(feature = "images")]
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
        assert_eq!(nchw.tensor().unwrap().to_f32().unwrap(), [1.0, 0.0, 0.0, 1.0, 1.0, -1.0]);
        let last = ImageOptions { layout: Some(ImageLayout::Nhwc), ..options() };
        let nhwc = read_image(&path, &[1, 1, 2, 3], ElementType::U8, &last).unwrap();
        assert_eq!(nhwc.tensor().unwrap().bytes().as_ref(), [255, 0, 255, 0, 255, 0]);
    }

    #[test]
    fn files_that_are_not_images_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jpg");
        std::fs::write(&path, b"\xff\xd8\xff\xe0 not really").unwrap();
        let error = read_image(&path, &[1, 3, 4, 4], ElementType::F32, &options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains("p.jpg"), "{error}");
        let error = read_image(&path, &[1, 100], ElementType::F32, &options()).unwrap_err();
        assert!(error.to_string().contains("does not take images"));
    }
}
