//! What a graph declares about a tensor.

use super::proto::ValueInfoProto;
use super::proto::type_proto::{Tensor, Value};

/// The declared type of a tensor, if it is a dense tensor.
pub(crate) fn tensor_type(value: &ValueInfoProto) -> Option<&Tensor> {
    match value.r#type.as_ref()?.value.as_ref()? {
        Value::TensorType(tensor) => Some(tensor),
        _ => None,
    }
}
