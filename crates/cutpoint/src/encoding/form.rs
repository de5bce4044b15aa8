//! A tensor as it crosses the link: raw, or in an encoding.

use super::header::Encoded;
use super::kind::Encoding;
use crate::tensor::{ElementType, Tensor};
use bytes::Bytes;

/// A tensor in the form in which it crosses the link.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// As it is.
    Raw(Tensor),
    /// In an encoding.
    Encoded(Encoded),
}

impl Form {
    /// The bytes that cross the link.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Form::Raw(tensor) => tensor.bytes(),
            Form::Encoded(encoded) => encoded.bytes(),
        }
    }

    /// The element type of the tensor itself.
    pub fn element_type(&self) -> ElementType {
        match self {
            Form::Raw(tensor) => tensor.element_type(),
            Form::Encoded(encoded) => encoded.element_type(),
        }
    }

    /// The shape of the tensor itself.
    pub fn shape(&self) -> &[usize] {
        match self {
            Form::Raw(tensor) => tensor.shape(),
            Form::Encoded(encoded) => encoded.shape(),
        }
    }

    /// How many bytes the tensor itself has.
    pub fn raw_bytes(&self) -> usize {
        match self {
            Form::Raw(tensor) => tensor.bytes().len(),
            Form::Encoded(encoded) => encoded.raw_bytes(),
        }
    }

    /// Its encoding; `None` if it is raw.
    pub fn encoding(&self) -> Option<Encoding> {
        match self {
            Form::Raw(_) => None,
            Form::Encoded(encoded) => Some(encoded.encoding()),
        }
    }
}

impl From<Tensor> for Form {
    fn from(tensor: Tensor) -> Form {
        Form::Raw(tensor)
    }
}
