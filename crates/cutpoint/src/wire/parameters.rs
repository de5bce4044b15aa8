//! The parameters that requests, replies and the model repository carry beside tensors.

use super::messages::inference::{
    InferParameter, ModelRepositoryParameter, infer_parameter::ParameterChoice,
    model_repository_parameter::ParameterChoice as RepositoryChoice,
};
use bytes::Bytes;
use std::collections::HashMap;
use tonic::Status;

/// Cutpoint's own parameter names. Each begins with `cutpoint_`.
pub(crate) mod names {
    /// Of a request: which part of the job this message is, from 0.
    pub(crate) const PART: &str = "cutpoint_part";
    /// Of a request: how many messages make up the job.
    pub(crate) const PARTS: &str = "cutpoint_parts";
    /// Of a request's tensor: the name of the encoding that its bytes are in.
    pub(crate) const ENCODING: &str = "cutpoint_encoding";
    /// Of a reply: nanoseconds between the arrival of the last tensor and the start of the
    /// computation.
    pub(crate) const QUEUE_NS: &str = "cutpoint_queue_ns";
    /// Of a reply: nanoseconds that the computation took, decoding included.
    pub(crate) const COMPUTE_NS: &str = "cutpoint_compute_ns";
    /// Of a model load: SHA-256 of the model that the server shall split.
    pub(crate) const SOURCE: &str = "cutpoint_source";
    /// Of a model load: JSON list of the layers that stay on the device.
    pub(crate) const CUT: &str = "cutpoint_cut";
    /// Of a model load: JSON object of input shapes.
    pub(crate) const SHAPES: &str = "cutpoint_shapes";
    /// Of a model load, by convention: the model's configuration in JSON.
    pub(crate) const CONFIG: &str = "config";
    /// Of a model load, by convention: the ONNX file.
    pub(crate) const FILE: &str = "file:1/model.onnx";
}

/// The parameters of a request or reply.
pub(crate) type Parameters = HashMap<String, InferParameter>;

/// The parameters of a model load.
pub(crate) type RepositoryParameters = HashMap<String, ModelRepositoryParameter>;

/// A parameter that is a whole number.
pub(crate) fn number(value: u64) -> InferParameter {
    // Clients that predate uint64_param only know this one.
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(value)) }
}

/// The whole number called `name`, if there is one.
///
/// # Errors
/// `INVALID_ARGUMENT` if it is negative or no whole number.
pub(crate) fn find_number(parameters: &Parameters, name: &str) -> Result<Option<u64>, Status> {
    let Some(parameter) = parameters.get(name) else { return Ok(None) };
    let number = match &parameter.parameter_choice {
        Some(ParameterChoice::Int64Param(value)) => u64::try_from(*value).ok(),
        Some(ParameterChoice::Uint64Param(value)) => Some(*value),
        Some(ParameterChoice::StringParam(text)) => text.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Status::invalid_argument(format!(
            "parameter `{name}` is not a whole number of at least 0"
        ))),
    }
}

/// A parameter that is text.
pub(crate) fn text(value: impl Into<String>) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::StringParam(value.into())) }
}

/// The text called `name`, if there is one; `Err` if it is not text.
pub(crate) fn find_text<'p>(
    parameters: &'p Parameters,
    name: &str,
) -> Result<Option<&'p str>, String> {
    match parameters.get(name).map(|p| &p.parameter_choice) {
        None => Ok(None),
        Some(Some(ParameterChoice::StringParam(text))) => Ok(Some(text)),
        Some(_) => Err(format!("parameter `{name}` is not text")),
    }
}

/// A model load's parameter that is text.
pub(crate) fn repository_text(text: impl Into<String>) -> ModelRepositoryParameter {
    let choice = RepositoryChoice::StringParam(text.into());
    ModelRepositoryParameter { parameter_choice: Some(choice) }
}

/// A model load's parameter that is a file.
pub(crate) fn repository_bytes(bytes: Bytes) -> ModelRepositoryParameter {
    let choice = RepositoryChoice::BytesParam(bytes);
    ModelRepositoryParameter { parameter_choice: Some(choice) }
}

/// The text called `name` of a model load, if there is one.
///
/// # Errors
/// `INVALID_ARGUMENT` if it is not text.
#[cfg(feature = "server")]
pub(crate) fn find_repository_text<'a>(
    parameters: &'a RepositoryParameters,
    name: &str,
) -> Result<Option<&'a str>, Status> {
    match parameters.get(name).map(|p| &p.parameter_choice) {
        None => Ok(None),
        Some(Some(RepositoryChoice::StringParam(text))) => Ok(Some(text)),
        Some(_) => Err(Status::invalid_argument(format!("parameter `{name}` is not text"))),
    }
}
