//! Loading a model because a client asks: one that it sends, or a suffix that the server cuts from
//! a model that it holds.

use super::repository::{Candidate, Origin, Repository};
use super::status;
use crate::digest::sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::onnx::LayeredModel;
use crate::wire::RepositoryParameters;
use crate::wire::inference::{
    RepositoryModelLoadRequest, model_repository_parameter::ParameterChoice,
};
use crate::wire::parameters::{find_repository_text, names};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use tonic::Status;

/// Does what the request asks. Takes long.
pub(super) fn load(
    repository: &Repository,
    request: RepositoryModelLoadRequest,
) -> Result<(), Status> {
    let name = request.model_name;
    crate::wire::check_name(&name).map_err(|e| status::of_error(&e))?;
    let parameters = request.parameters;
    let candidate = match find_repository_text(&parameters, names::SOURCE)? {
        Some(source) => cut(repository, &name, source, &parameters)?,
        None => pushed(&name, &parameters)?,
    };
    match candidate {
        Some(candidate) => repository.load(candidate),
        None if repository.find(&name).is_some() => Ok(()),
        None => Err(status::unknown_model(&name)),
    }
}

/// The model that comes with the request, if one does.
fn pushed(name: &str, parameters: &RepositoryParameters) -> Result<Option<Candidate>, Status> {
    let file = |key: &&String| key.starts_with("file:");
    if let Some(other) = parameters.keys().filter(file).find(|key| *key != names::FILE) {
        let other = other.escape_debug();
        let message = format!("`{other}`: only `{}` is known", names::FILE);
        return Err(Status::invalid_argument(message));
    }
    let Some(parameter) = parameters.get(names::FILE) else { return Ok(None) };
    let Some(ParameterChoice::BytesParam(onnx)) = &parameter.parameter_choice else {
        return Err(Status::invalid_argument(format!("`{}` is not bytes", names::FILE)));
    };
    // Other servers demand a configuration with a file; this one reads the model instead.
    find_repository_text(parameters, names::CONFIG)?;
    let sha256 = sha256(onnx);
    Ok(Some(Candidate {
        name: name.to_owned(),
        content: format!("file {sha256}"),
        sha256,
        origin: Origin::Pushed(onnx.clone()),
        onnx: onnx.clone(),
    }))
}

/// The suffix that the request asks for; `None` if it is loaded under this name.
fn cut(
    repository: &Repository,
    name: &str,
    source: &str,
    parameters: &RepositoryParameters,
) -> Result<Option<Candidate>, Status> {
    let cut = find_repository_text(parameters, names::CUT)?.unwrap_or("[]");
    let cut: BTreeSet<String> = parsed(names::CUT, "a JSON list of names", cut)?;
    let shapes = find_repository_text(parameters, names::SHAPES)?.unwrap_or("{}");
    let shapes: BTreeMap<String, Vec<usize>> =
        parsed(names::SHAPES, "a JSON object of lists of dimensions", shapes)?;
    let held = repository.find_source(source).ok_or_else(|| {
        let source = source.escape_debug();
        Status::not_found(format!("the server holds no model with SHA-256 {source}"))
    })?;
    let error = |e: Error| status::of_error(&e.at(format!("model `{}`", held.name)));
    let content = format!("cut of {source} after {cut:?}");
    if repository.find(name).is_some_and(|loaded| loaded.content == content) {
        return Ok(None);
    }
    let model = held.layered(&*repository.engine).map_err(error)?;
    check_shapes(&model, &shapes).map_err(error)?;
    let onnx = Bytes::from(suffix(&model, &cut).map_err(error)?);
    let (name, sha256, origin) = (name.to_owned(), sha256(&onnx), Origin::Suffix);
    Ok(Some(Candidate { name, sha256, content, origin, onnx }))
}

fn parsed<'a, T: serde::Deserialize<'a>>(
    name: &str,
    expected: &str,
    json: &'a str,
) -> Result<T, Status> {
    serde_json::from_str(json).map_err(|error| {
        Status::invalid_argument(format!("parameter `{name}` is not {expected}: {error}"))
    })
}

fn check_shapes(model: &LayeredModel, shapes: &BTreeMap<String, Vec<usize>>) -> Result<()> {
    for (name, shape) in shapes {
        let held = model.model().inputs().iter().find(|(input, _)| input == name);
        let message = match held {
            Some((_, spec)) if spec.shape == *shape => continue,
            Some((_, spec)) => {
                let found = &spec.shape;
                format!("the server holds it with input {name:?} of shape {found:?}, not {shape:?}")
            }
            None => format!("it has no input {name:?}"),
        };
        return Err(Error::new(ErrorKind::Input, message)
            .hint("start the server with the same --shape as the device"));
    }
    Ok(())
}

/// What is left for the server when some layers, or all that makes some tensors, are the
/// device's.
fn suffix(model: &LayeredModel, cut: &BTreeSet<String>) -> Result<Vec<u8>> {
    let layers = &model.layers().layers;
    let is_on_device: Vec<bool> = layers.iter().map(|layer| cut.contains(&layer.name)).collect();
    let found = is_on_device.iter().filter(|&&is_in| is_in).count();
    if found < cut.len() {
        let is_layer = |name: &&String| layers.iter().any(|layer| layer.name == **name);
        if let (Some(unknown), true) = (cut.iter().find(|name| !is_layer(name)), found > 0) {
            return Err(Error::new(ErrorKind::Cut, format!("the model has no layer {unknown:?}")));
        }
        let tensors: Vec<&String> = cut.iter().collect();
        return Ok(model.suffix(&model.cut_at(&tensors)?)?.onnx);
    }
    for (layer, _) in layers.iter().zip(&is_on_device).filter(|(_, is_in)| **is_in) {
        let maker = |tensor: &String| layers.iter().position(|l| l.writes.contains(tensor));
        for tensor in &layer.reads {
            if let Some(maker) = maker(tensor).filter(|&maker| !is_on_device[maker]) {
                let (name, maker) = (&layer.name, &layers[maker].name);
                let message = format!(
                    "layer {name:?} is on the device and reads {tensor:?} of {maker:?}, which is not"
                );
                return Err(Error::new(ErrorKind::Cut, message));
            }
        }
    }
    let left: Vec<usize> = (0..layers.len()).filter(|&index| !is_on_device[index]).collect();
    if left.is_empty() {
        return Err(Error::new(ErrorKind::Cut, "no layer is left for the server"));
    }
    Ok(model.segment(&left)?.onnx)
}
