//! The messages between client and server.

use crate::encoding::Form;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use crate::wire::parameters::{find_number, names, number};
use crate::wire::{self, inference};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The greeting of a Cutpoint server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The program's version.
    pub version: String,
    /// Name and version of the inference engine.
    pub engine: String,
    /// How many threads one executor may use.
    pub threads: u32,
    /// How many jobs the server computes at the same time.
    pub executors: u32,
    /// The models that it holds.
    pub models: Vec<HeldModel>,
}

/// A model that a server holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldModel {
    /// Its name in requests.
    pub name: String,
    /// SHA-256 of its ONNX file, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// The part of a model that the server computes, cut from its own copy of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// SHA-256 of the whole model's ONNX file, in lower-case hexadecimal digits.
    pub source_sha256: String,
    /// The layers that stay on the device.
    pub device_layers: Vec<String>,
    /// Shapes of inputs that the file leaves open.
    pub shapes: BTreeMap<String, Vec<usize>>,
}

/// Some or all input tensors of a job, to be computed on the server.
#[derive(Clone, Debug)]
pub struct InferRequest {
    /// The model's name on the server.
    pub model: String,
    /// Returned with the reply. Unanswered jobs of a stream must not share it.
    pub id: String,
    /// Which part of the job this is; `None` for the whole job. Only Cutpoint's own server joins
    /// parts.
    pub part: Option<Part>,
    /// Input tensors by name. Only Cutpoint's own server reads encodings.
    pub tensors: Vec<(String, Form)>,
}

/// The place of a message among those of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

/// How long a server takes to decode a tensor, and what it decodes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeMeasurement {
    /// The median over several runs.
    pub median: Duration,
    /// SHA-256 of the tensor's bytes; empty if the server does not report it.
    pub sha256: String,
}

/// A computed job.
#[derive(Clone, Debug)]
pub struct InferReply {
    /// The request's id.
    pub id: String,
    /// The model's outputs by name.
    pub outputs: Vec<(String, Tensor)>,
    /// How long the job waited on the server; zero if the server does not report it.
    pub queue: Duration,
    /// How long the computation took; zero if the server does not report it.
    pub compute: Duration,
    /// When the reply arrived.
    pub received: Instant,
}

/// A request as a message.
pub(super) fn infer_message(request: &InferRequest) -> inference::ModelInferRequest {
    let mut message = inference::ModelInferRequest {
        model_name: request.model.clone(),
        id: request.id.clone(),
        ..Default::default()
    };
    if let Some(part) = request.part {
        message.parameters.insert(names::PART.to_owned(), number(part.index.into()));
        message.parameters.insert(names::PARTS.to_owned(), number(part.count.into()));
    }
    for (name, form) in &request.tensors {
        let (description, bytes) = wire::raw_input(name, form);
        message.inputs.push(description);
        message.raw_input_contents.push(bytes);
    }
    message
}

/// A message as a reply.
pub(super) fn infer_reply(
    reply: inference::ModelInferResponse,
    received: Instant,
) -> Result<InferReply> {
    let duration = |name| {
        let number = find_number(&reply.parameters, name).ok().flatten();
        Duration::from_nanos(number.unwrap_or(0))
    };
    let (queue, compute) = (duration(names::QUEUE_NS), duration(names::COMPUTE_NS));
    let id = reply.id.clone();
    let outputs = wire::output_tensors(reply).map_err(|error| {
        Error::new(ErrorKind::Protocol, "a reply breaks the protocol").because(error)
    })?;
    Ok(InferReply { id, outputs, queue, compute, received })
}
