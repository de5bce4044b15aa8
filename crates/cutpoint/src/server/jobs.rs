//! From a request to a job, and from what was computed to a reply.

use super::executors::{Computed, Job};
use super::repository::{LoadedModel, Repository};
use super::status;
use crate::encoding::Form;
use crate::limits::JOB_BYTES_MAX;
use crate::wire::inference::{ModelInferRequest, ModelInferResponse};
use crate::wire::parameters::{find_number, names, number};
use crate::wire::{ContentsForm, input_tensors, raw_output, typed_output};
use std::sync::Arc;
use std::time::Instant;
use tonic::Status;

/// What the reply to a request must look like.
#[derive(Clone, Debug)]
pub(super) struct ReplyForm {
    pub(super) model: String,
    pub(super) id: String,
    form: ContentsForm,
    /// Empty for all.
    outputs: Vec<String>,
}

/// A request that was checked as far as it can be without its model.
#[derive(Debug)]
pub(super) struct ParsedRequest {
    pub(super) reply: ReplyForm,
    /// Index and count, if it is a part of a job.
    pub(super) part: Option<(u64, u64)>,
    pub(super) tensors: Vec<(String, Form)>,
    pub(super) arrived: Instant,
}

/// Index and count, if the request is a part of a job.
pub(super) fn part_of(request: &ModelInferRequest) -> Result<Option<(u64, u64)>, Status> {
    let part = find_number(&request.parameters, names::PART)?;
    let parts = find_number(&request.parameters, names::PARTS)?;
    match (part, parts) {
        (None, None) => Ok(None),
        (Some(part), Some(parts)) => Ok(Some((part, parts))),
        _ => Err(Status::invalid_argument(format!(
            "parameters `{}` and `{}` go together",
            names::PART,
            names::PARTS
        ))),
    }
}

/// Checks a request's tensors.
pub(super) fn parse(request: ModelInferRequest, arrived: Instant) -> Result<ParsedRequest, Status> {
    let part = part_of(&request)?;
    check_version(&request.model_name, &request.model_version)?;
    let outputs = request.outputs.iter().map(|output| output.name.clone()).collect();
    let (model, id) = (request.model_name.clone(), request.id.clone());
    let (tensors, form) = input_tensors(request).map_err(|e| status::of_error(&e))?;
    Ok(ParsedRequest { reply: ReplyForm { model, id, form, outputs }, part, tensors, arrived })
}

/// Every model has one version, `1`.
pub(super) fn check_version(model: &str, version: &str) -> Result<(), Status> {
    if matches!(version, "" | "1") {
        return Ok(());
    }
    let (model, version) = (model.escape_debug(), version.escape_debug());
    Err(Status::not_found(format!("model `{model}` has no version `{version}`, only 1")))
}

/// The model with this name and version.
pub(super) fn find_model(
    repository: &Repository,
    name: &str,
    version: &str,
) -> Result<Arc<LoadedModel>, Status> {
    let model = repository.find(name).ok_or_else(|| status::unknown_model(name))?;
    check_version(name, version)?;
    Ok(model)
}

/// A job from all its tensors, checked against its model.
pub(super) fn job(
    repository: &Repository,
    reply: &ReplyForm,
    inputs: Vec<(String, Form)>,
    arrived: Instant,
) -> Result<Job, Status> {
    let model = find_model(repository, &reply.model, "")?;
    let bytes = inputs.iter().fold(0usize, |sum, (_, form)| sum.saturating_add(form.raw_bytes()));
    if bytes > JOB_BYTES_MAX {
        let message = format!("the job's tensors have {bytes} bytes, at most {JOB_BYTES_MAX}");
        return Err(Status::invalid_argument(message));
    }
    let given = inputs.iter().map(|(name, f)| (name.as_str(), f.element_type(), f.shape()));
    let checked = model.declared.order(&given.collect::<Vec<_>>()).map(drop);
    checked.map_err(|e| status::of_error(&e.at(format!("model `{}`", model.name))))?;
    let known = |name: &String| model.declared.outputs.iter().any(|o| o.name == *name);
    if let Some(unknown) = reply.outputs.iter().find(|name| !known(name)) {
        let (name, unknown) = (&model.name, unknown.escape_debug());
        let message = format!("model `{name}` has no output `{unknown}`");
        return Err(Status::invalid_argument(message));
    }
    Ok(Job { model, inputs, arrived })
}

/// The reply to a job.
pub(super) fn reply(form: ReplyForm, computed: Computed) -> ModelInferResponse {
    let nanoseconds =
        |time: std::time::Duration| number(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    let mut reply = ModelInferResponse {
        model_name: form.model,
        model_version: "1".to_owned(),
        id: form.id,
        ..Default::default()
    };
    reply.parameters.insert(names::QUEUE_NS.to_owned(), nanoseconds(computed.queue));
    reply.parameters.insert(names::COMPUTE_NS.to_owned(), nanoseconds(computed.compute));
    let is_wanted = |name: &str| form.outputs.is_empty() || form.outputs.iter().any(|o| o == name);
    let mut outputs = computed.outputs;
    outputs.retain(|(name, _)| is_wanted(name));
    if form.form == ContentsForm::Typed {
        let typed: Option<Vec<_>> = outputs.iter().map(|(n, t)| typed_output(n, t)).collect();
        if let Some(typed) = typed {
            reply.outputs = typed;
            return reply;
        }
    }
    for (name, tensor) in &outputs {
        let (description, bytes) = raw_output(name, tensor);
        reply.outputs.push(description);
        reply.raw_output_contents.push(bytes);
    }
    reply
}
