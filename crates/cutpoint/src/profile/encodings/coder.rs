//! Tensors into encodings and back, as they would cross the link.

use crate::encoding::{Decoder, Encoder, Encoding};
use crate::error::Result;
use crate::tensor::Tensor;

/// Both directions.
pub(super) struct Coder {
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
}

impl Coder {
    pub(super) fn new() -> Result<Coder> {
        Ok(Coder { encoder: Encoder::new()?, decoder: Decoder::default() })
    }

    /// The size of a tensor as it is, then in each encoding; as it is where one cannot hold it.
    pub(super) fn sizes(&mut self, encodings: &[Encoding], value: &Tensor) -> Vec<u64> {
        let raw = value.bytes().len();
        let size = |&e: &Encoding| self.encoder.encode(e, value).map_or(raw, |c| c.bytes().len());
        std::iter::once(raw).chain(encodings.iter().map(size)).map(|size| size as u64).collect()
    }

    /// What the server has after a tensor has crossed the link in an encoding, and whether it could.
    pub(super) fn crossed(&mut self, encoding: Encoding, value: &Tensor) -> Result<(Tensor, bool)> {
        match self.encoder.encode(encoding, value) {
            Ok(encoded) => Ok((self.decoder.decode(&encoded)?, true)),
            Err(_) => Ok((value.clone(), false)),
        }
    }
}
