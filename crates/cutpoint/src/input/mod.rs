//! What does a job start from? Tensors, and pictures that become tensors only where that is needed.
//!
//! A picture stays the file that it came as. The device decodes it if a layer of its own reads it;
//! where the file itself crosses the link, the server decodes it, by the same functions.

mod jpeg;
mod picture;
mod preparation;
mod supply;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use picture::Picture;
pub use preparation::{ImageLayout, PICTURE_BYTES_FREE, PICTURE_FACTOR_MAX, Preparation, SIDE_MAX};
pub use supply::{OnDemand, Supply};

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The inputs of one job, by name.
pub type Inputs = BTreeMap<String, Input>;

/// One input of a job. Cloning is cheap.
#[derive(Clone, Debug)]
pub enum Input {
    /// As it is.
    Tensor(Tensor),
    /// A file, decoded when its tensor is asked for.
    Picture(Arc<Picture>),
    /// What could not be read, and why: a job that needs it fails.
    Unusable(Arc<Error>),
}

impl Input {
    /// The tensor; a picture is decoded the first time.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if the picture is damaged; the reason of an input that
    /// could not be read.
    pub fn tensor(&self) -> Result<&Tensor> {
        match self {
            Input::Tensor(tensor) => Ok(tensor),
            Input::Picture(picture) => picture.tensor(),
            Input::Unusable(error) => Err(error.again()),
        }
    }

    /// The same; a picture that is not decoded keeps nothing of what is decoded of this one.
    pub(crate) fn afresh(&self) -> Input {
        match self {
            Input::Picture(picture) => Input::Picture(picture.afresh()),
            other => other.clone(),
        }
    }
}

impl From<Tensor> for Input {
    fn from(tensor: Tensor) -> Input {
        Input::Tensor(tensor)
    }
}

/// The tensors of some inputs, all pictures decoded.
///
/// # Errors
/// As [`Input::tensor`].
pub fn tensors(inputs: &Inputs) -> Result<BTreeMap<String, Tensor>> {
    let tensor = |(name, input): (&String, &Input)| Ok((name.clone(), input.tensor()?.clone()));
    inputs.iter().map(tensor).collect()
}
