//! Models from and to the bytes of a file.

use super::proto::ModelProto;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::SEGMENT_BYTES_MAX;
use bytes::Bytes;
use prost::Message;

pub(super) fn decode(bytes: Bytes) -> Result<ModelProto> {
    if bytes.is_empty() {
        return Err(Error::new(ErrorKind::Model, "not an ONNX model: the file is empty"));
    }
    // Every field that can stand first in a model's file has a tag below 32 and wire type 0 or 2.
    let starts_well = bytes.first().is_some_and(|&b| matches!(b & 7, 0 | 2) && b >> 3 > 0);
    ModelProto::decode(bytes).map_err(|source| {
        let reason = source.to_string();
        let is_cut_short = reason.contains("underflow") || reason.contains("length");
        let message = if starts_well && is_cut_short {
            "the protobuf ends too early: a truncated ONNX model, or none".to_owned()
        } else {
            format!("not an ONNX model: {reason}")
        };
        Error::new(ErrorKind::Model, message).because(source)
    })
}

/// The bytes of a model's file.
pub(super) fn encode(model: ModelProto) -> Result<Vec<u8>> {
    let (size, limit) = (model.encoded_len(), SEGMENT_BYTES_MAX);
    if size > limit {
        let message = format!("a model of {size} bytes is larger than protobuf's {limit}");
        return Err(Error::new(ErrorKind::Model, message).hint("cut it into smaller segments"));
    }
    Ok(model.encode_to_vec())
}
