//! A picture of a job: the file, and what it becomes, each made once and when asked for.

use super::preparation::Preparation;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// The most bytes that decoding a file of the device's own may take.
const DECODED_BYTES_MAX: u64 = crate::limits::FILE_BYTES_MAX;

/// A JPEG or PNG file that is an input of a job.
#[derive(Debug)]
pub struct Picture {
    place: String,
    file: Bytes,
    preparation: Preparation,
    decoded_bytes: u64,
    pixels: OnceLock<Result<Bytes>>,
    tensor: OnceLock<Result<Tensor>>,
}

impl Picture {
    /// A picture from the bytes of a file; `place` is its name in messages. Nothing is decoded.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if the file is no JPEG or PNG, is truncated, or
    /// declares a size beyond the limits.
    pub fn new(file: Bytes, preparation: Preparation, place: String) -> Result<Picture> {
        let checked = preparation.check_file(&file, DECODED_BYTES_MAX);
        let decoded_bytes = checked.map_err(|error| error.at(&place))?;
        let (pixels, tensor) = (OnceLock::new(), OnceLock::new());
        Ok(Picture { place, file, preparation, decoded_bytes, pixels, tensor })
    }

    /// This picture, if it is decoded; else another of the same file, so that this one stays as small
    /// as it is.
    pub(super) fn afresh(self: &Arc<Picture>) -> Arc<Picture> {
        if self.tensor.get().is_some() || self.pixels.get().is_some() {
            return self.clone();
        }
        Arc::new(Picture {
            place: self.place.clone(),
            file: self.file.clone(),
            preparation: self.preparation.clone(),
            decoded_bytes: self.decoded_bytes,
            pixels: OnceLock::new(),
            tensor: OnceLock::new(),
        })
    }

    /// The file as it came.
    pub fn file(&self) -> &Bytes {
        &self.file
    }

    /// What it becomes.
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// How many bytes it takes to decode and resize it.
    pub fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes
    }

    /// The pixels in the model's size, `[height, width, channels]`; kept once they are made.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if the file is damaged.
    pub fn pixels(&self) -> Result<&Bytes> {
        self.pixels.get_or_init(|| self.decode()).as_ref().map_err(Error::again)
    }

    /// The tensor that the model reads; kept once it is made.
    ///
    /// # Errors
    /// As [`Picture::pixels`].
    pub fn tensor(&self) -> Result<&Tensor> {
        let make = || match self.pixels.get() {
            Some(Ok(pixels)) => self.preparation.tensor(pixels),
            Some(Err(error)) => Err(error.again()),
            None => self.preparation.tensor(&self.decode()?),
        };
        self.tensor.get_or_init(make).as_ref().map_err(Error::again)
    }

    fn decode(&self) -> Result<Bytes> {
        let pixels = self.preparation.decode(&self.file, DECODED_BYTES_MAX);
        pixels.map(Bytes::from).map_err(|error| error.at(&self.place))
    }
}
