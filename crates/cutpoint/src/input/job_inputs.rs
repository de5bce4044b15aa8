//! The inputs of one job, by name.

use super::picture::Picture;
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
