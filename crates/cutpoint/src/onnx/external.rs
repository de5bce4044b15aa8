//! Weights that lie in files beside a model.

use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataLocation};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MODEL_BYTES_MAX;
use crate::tensor::ElementType;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Reads all external data into the model itself. `read_bytes` are those of the model file.
///
/// # Errors
/// [`ErrorKind::Model`] if a location is not a relative path inside `folder` or does not hold the
/// tensor; [`ErrorKind::File`] if it cannot be read.
pub(super) fn inline(model: &mut ModelProto, folder: Option<&Path>, read_bytes: u64) -> Result<()> {
    let mut left = MODEL_BYTES_MAX.saturating_sub(read_bytes);
    let mut visit = |tensor: &mut TensorProto| inline_tensor(tensor, folder, &mut left);
    if let Some(graph) = &mut model.graph {
        each_tensor(graph, &mut visit)?;
    }
    for function in &mut model.functions {
        each_tensor_of_nodes(&mut function.node, &mut visit)?;
    }
    Ok(())
}

type Visit<'a> = dyn FnMut(&mut TensorProto) -> Result<()> + 'a;

/// Every tensor that is stored in a graph and in the bodies of its nodes.
pub(super) fn each_tensor(graph: &mut GraphProto, visit: &mut Visit<'_>) -> Result<()> {
    graph.initializer.iter_mut().try_for_each(&mut *visit)?;
    for sparse in &mut graph.sparse_initializer {
        sparse.values.iter_mut().chain(&mut sparse.indices).try_for_each(&mut *visit)?;
    }
    each_tensor_of_nodes(&mut graph.node, visit)
}

fn each_tensor_of_nodes(nodes: &mut [NodeProto], visit: &mut Visit<'_>) -> Result<()> {
    for attribute in nodes.iter_mut().flat_map(|n| &mut n.attribute) {
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(&mut *visit)?;
        for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            each_tensor(body, visit)?;
        }
    }
    Ok(())
}

fn inline_tensor(tensor: &mut TensorProto, folder: Option<&Path>, left: &mut u64) -> Result<()> {
    if tensor.data_location() != DataLocation::External {
        return Ok(());
    }
    let name = tensor.name().to_owned();
    let place = move |e: Error| e.at(format!("external data of tensor {name:?}"));
    let bytes = read(tensor, folder, left).map_err(place)?;
    tensor.raw_data = Some(bytes.into());
    tensor.data_location = None;
    tensor.external_data.clear();
    Ok(())
}

fn read(tensor: &TensorProto, folder: Option<&Path>, left: &mut u64) -> Result<Vec<u8>> {
    let entry = |key: &str| {
        tensor.external_data.iter().find(|e| e.key() == key).map(|e| e.value().to_owned())
    };
    let number = |key: &str| -> Result<Option<u64>> {
        let Some(text) = entry(key) else { return Ok(None) };
        let message = || format!("invalid {key} {text:?}: expected a number of bytes");
        text.parse().map(Some).map_err(|_| Error::new(ErrorKind::Model, message()))
    };
    let location = entry("location")
        .ok_or_else(|| Error::new(ErrorKind::Model, "external data without a location"))?;
    let folder = folder.ok_or_else(|| {
        let message = format!("it lies in {location:?}, and only the model itself was given");
        Error::new(ErrorKind::Model, message).hint("read the model from its file")
    })?;
    let path = inside(folder, &location)?;
    let unreadable = |e: std::io::Error| {
        Error::new(ErrorKind::File, format!("cannot read {}: {e}", path.display()))
            .hint("the files that hold a model's weights must lie in the folder of the model")
    };
    let mut file = File::open(&path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let offset = number("offset")?.unwrap_or(0);
    let length = match number("length")? {
        Some(length) => length,
        None => stored_bytes(tensor).unwrap_or(size.saturating_sub(offset)),
    };
    if offset.checked_add(length).is_none_or(|end| end > size) {
        let path = path.display();
        let message = format!("{path} has {size} bytes, the tensor is {length} bytes at {offset}");
        return Err(Error::new(ErrorKind::Model, message));
    }
    *left = left.checked_sub(length).ok_or_else(|| {
        let message = format!("more than {} bytes of weights", MODEL_BYTES_MAX);
        Error::new(ErrorKind::Model, message)
    })?;
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The path of a location, if it is inside `folder`, links followed.
fn inside(folder: &Path, location: &str) -> Result<PathBuf> {
    let outside = || {
        let message = format!(
            "invalid location {location:?}: expected a relative path inside the model's folder"
        );
        Error::new(ErrorKind::Model, message)
    };
    let relative = Path::new(location);
    let is_plain = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    if !relative.components().all(is_plain) || location.is_empty() {
        return Err(outside());
    }
    let path = folder.join(relative);
    match (folder.canonicalize(), path.canonicalize()) {
        (Ok(folder), Ok(path)) if !path.starts_with(&folder) => Err(outside()),
        _ => Ok(path),
    }
}

/// How many bytes the elements of a tensor take, if its element type has whole bytes.
pub(super) fn stored_bytes(tensor: &TensorProto) -> Option<u64> {
    let size = ElementType::from_onnx_number(tensor.data_type())?.size() as u64;
    tensor.dims.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(u64::try_from(dim).ok()?))
}
