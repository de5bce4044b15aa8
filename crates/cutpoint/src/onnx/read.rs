//! Reading an ONNX file into a model that can be cut: checked, in order, self-contained, with
//! inputs of fixed shape.

use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use super::protobuf::{decode, encode};
use super::shapes;
use super::wiring::{self, Wiring};
use super::{external, parts, types};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MODEL_BYTES_MAX, MODEL_RANK_MAX, NODES_MAX};
use crate::tensor::{ElementType, Tensor, TensorSpec, synthetic};
use bytes::Bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The version of the intermediate representation from which on constants need not be inputs.
const IR_VERSION_MIN: i64 = 4;

/// Options of reading a model.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Shapes of inputs by name, instead of those in the file. A symbolic dimension that is not
    /// given is taken as 1 if it is the first of its input, and refused elsewhere.
    pub shapes: BTreeMap<String, Vec<usize>>,
}

/// A model as it is in its file, with external data read in and inputs of fixed shape.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    pub(super) header: ModelProto,
    pub(super) graph: GraphProto,
    pub(super) inputs: Vec<(String, TensorSpec)>,
    pub(super) place: String,
    pub(super) sha256: String,
}

impl OnnxModel {
    /// Reads a model and its external data.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if a file cannot be read; [`ErrorKind::Model`] if it holds no model that
    /// can be used; [`ErrorKind::Input`] if a shape is missing or does not fit. The place is the
    /// file, and the node, tensor or input in it.
    pub fn load(path: impl AsRef<Path>, options: &ReadOptions) -> Result<OnnxModel> {
        let path = path.as_ref();
        let place = path.display().to_string();
        let unreadable =
            |e: std::io::Error| Error::new(ErrorKind::File, format!("cannot be read: {e}"));
        let limit = MODEL_BYTES_MAX;
        let read = || -> Result<Vec<u8>> {
            let file = File::open(path).map_err(unreadable)?;
            let mut bytes = Vec::new();
            file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
            if bytes.len() as u64 > limit {
                let message = format!("a model of more than {limit} bytes is not read");
                return Err(Error::new(ErrorKind::Model, message));
            }
            Ok(bytes)
        };
        let bytes = read().map_err(|e| e.at(&place))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        OnnxModel::read(bytes.into(), Some(folder.unwrap_or(Path::new("."))), &place, options)
            .map_err(|e| e.at(&place))
    }

    /// Reads a model without external data. `place` says in errors where the bytes are from.
    ///
    /// # Errors
    /// As [`OnnxModel::load`].
    pub fn from_bytes(bytes: Bytes, place: &str, options: &ReadOptions) -> Result<OnnxModel> {
        OnnxModel::read(bytes, None, place, options).map_err(|e| e.at(place))
    }

    fn read(
        bytes: Bytes,
        folder: Option<&Path>,
        place: &str,
        options: &ReadOptions,
    ) -> Result<OnnxModel> {
        let size = bytes.len() as u64;
        let sha256 = crate::digest::sha256(&bytes);
        let mut header = decode(bytes)?;
        external::inline(&mut header, folder, size)?;
        let graph = header
            .graph
            .take()
            .ok_or_else(|| Error::new(ErrorKind::Model, "not an ONNX model: it holds no graph"))?;
        if header.opset_import.is_empty() {
            return Err(Error::new(ErrorKind::Model, "the model declares no operator set"));
        }
        header.ir_version = Some(header.ir_version().max(IR_VERSION_MIN));
        let mut graph = checked(graph)?;
        let inputs = shapes::fix_inputs(&mut graph, &options.shapes)?;
        Ok(OnnxModel { header, graph, inputs, place: place.to_owned(), sha256 })
    }

    /// The inputs, in the model's order.
    pub fn inputs(&self) -> &[(String, TensorSpec)] {
        &self.inputs
    }

    /// The names of the outputs, in the model's order.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.graph.output.iter().map(ValueInfoProto::name)
    }

    /// The SHA-256 of the model's file, in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Where the model is from, as in its errors.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The whole model as the bytes of an ONNX file: external data included, inputs of fixed shape.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if it is too large for one protobuf.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        encode(ModelProto { graph: Some(self.graph.clone()), ..self.header.clone() })
            .map_err(|e| e.at(&self.place))
    }

    /// Values for every input, the same for the same seed: floating point numbers spread evenly
    /// over 0 to 1, whole numbers and truth values 0 or 1.
    pub fn synthetic_inputs(&self, seed: u64) -> Vec<(String, Tensor)> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let made = |(name, spec): &(String, TensorSpec)| {
            (name.clone(), synthetic(spec.element_type, &spec.shape, &mut random))
        };
        self.inputs.iter().map(made).collect()
    }

    /// How many elements the initializers have whose names are chosen.
    #[cfg(test)]
    pub(crate) fn stored_elements(&self, is_chosen: impl Fn(&str) -> bool) -> u64 {
        let chosen = self.graph.initializer.iter().filter(|tensor| is_chosen(tensor.name()));
        chosen.map(|tensor| tensor.dims.iter().product::<i64>() as u64).sum()
    }
}

/// The graph in topological order, if every name in it makes sense.
fn checked(mut graph: GraphProto) -> Result<GraphProto> {
    let error = |message: String| Error::new(ErrorKind::Model, message);
    if graph.node.is_empty() {
        return Err(error("the graph is empty: it has no nodes".into()));
    }
    if graph.node.len() > NODES_MAX {
        let message = format!("{} nodes, at most {}", graph.node.len(), NODES_MAX);
        return Err(error(message));
    }
    if graph.output.is_empty() {
        return Err(error("the graph has no outputs".into()));
    }
    external::each_tensor(&mut graph, &mut |tensor| check_stored(tensor))?;
    let constants: BTreeSet<String> = graph
        .initializer
        .iter()
        .map(TensorProto::name)
        .chain(wiring::sparse_names(&graph))
        .map(str::to_owned)
        .collect();
    if constants.len() < graph.initializer.len() + graph.sparse_initializer.len() {
        return Err(error("two initializers have one name".into()));
    }
    graph.input.retain(|input| !constants.contains(input.name()));
    check_names(&graph, &constants)?;
    graph.node = wiring::sorted(graph.node)?;
    name_windows(&mut graph);
    Ok(graph)
}

/// Writes out kernel sizes that the file leaves to be read off a convolution's weights, and strides
/// of poolings that it leaves at 1: not every engine does without.
fn name_windows(graph: &mut GraphProto) {
    let stored = graph.initializer.iter();
    let mut dims: BTreeMap<String, Vec<i64>> =
        stored.map(|tensor| (tensor.name().to_owned(), tensor.dims.clone())).collect();
    for node in &mut graph.node {
        let weights = match node.op_type() {
            "Constant" => {
                let value = types::attribute(node, "value").and_then(|a| a.t.as_ref());
                if let (Some(value), Some(name)) = (value, node.output.first()) {
                    dims.insert(name.clone(), value.dims.clone());
                }
                continue;
            }
            "MaxPool" | "AveragePool" | "LpPool" => {
                let rank = types::attribute(node, "kernel_shape").map(|a| a.ints.len());
                rank.into_iter().for_each(|rank| set_default(node, "strides", &vec![1; rank]));
                continue;
            }
            "Conv" | "ConvTranspose" | "ConvInteger" => node.input.get(1),
            "QLinearConv" => node.input.get(3),
            _ => continue,
        };
        let dims = weights.and_then(|name| dims.get(name)).and_then(|dims| dims.get(2..));
        if let Some(kernel) = dims {
            set_default(node, "kernel_shape", kernel);
        }
    }
}

fn set_default(node: &mut NodeProto, name: &str, ints: &[i64]) {
    if types::attribute(node, name).is_none() {
        node.attribute.push(parts::ints(name, ints));
    }
}

/// Checks that every tensor has one producer, and every tensor that is read has any.
fn check_names(graph: &GraphProto, constants: &BTreeSet<String>) -> Result<()> {
    let mut known: BTreeSet<&str> = constants.iter().map(String::as_str).collect();
    let twice = |name: &str| {
        Error::new(ErrorKind::Model, format!("tensor {name:?} is defined more than once"))
    };
    for input in &graph.input {
        if input.name().is_empty() {
            return Err(Error::new(ErrorKind::Model, "an input of the model has no name"));
        }
        if !known.insert(input.name()) {
            return Err(twice(input.name()).at("model inputs"));
        }
    }
    for node in &graph.node {
        for name in wiring::writes(node) {
            if !known.insert(name) {
                return Err(twice(name).at(wiring::place(node)));
            }
        }
    }
    let missing = |name: &str| {
        Error::new(ErrorKind::Model, format!("nothing writes tensor {name:?}, which is read here"))
    };
    for node in &graph.node {
        if let Some(name) = wiring::reads(node).into_iter().find(|name| !known.contains(name)) {
            return Err(missing(name).at(wiring::place(node)));
        }
    }
    let produced = Wiring::new(&graph.node).producer;
    let mut seen = BTreeSet::new();
    for name in graph.output.iter().map(ValueInfoProto::name) {
        if !produced.contains_key(name) {
            let message = format!("no node writes tensor {name:?}, which is an output");
            return Err(Error::new(ErrorKind::Model, message).at("model outputs"));
        }
        if !seen.insert(name) {
            return Err(twice(name).at("model outputs"));
        }
    }
    Ok(())
}

/// Checks that a stored tensor has as many elements as its dimensions say.
fn check_stored(tensor: &mut TensorProto) -> Result<()> {
    let error = |message: String| {
        Err(Error::new(ErrorKind::Model, message).at(format!("initializer {:?}", tensor.name())))
    };
    if tensor.dims.len() > MODEL_RANK_MAX {
        return error(format!("{} dimensions, at most {}", tensor.dims.len(), MODEL_RANK_MAX));
    }
    let Some(element) = ElementType::from_onnx_number(tensor.data_type()) else { return Ok(()) };
    let Some(expected) = external::stored_bytes(tensor) else {
        return error(format!("shape {:?} makes no sense", tensor.dims));
    };
    let size = element.size() as u64;
    let (found, unit) = match &tensor.raw_data {
        Some(raw) => (raw.len() as u64, "bytes"),
        None => (size * values(tensor, element) as u64, "bytes by its values"),
    };
    if found != expected {
        let shape = &tensor.dims;
        return error(format!("shape {shape:?} asks for {expected} bytes, found {found} {unit}"));
    }
    Ok(())
}

fn values(tensor: &TensorProto, element: ElementType) -> usize {
    match element {
        ElementType::F32 => tensor.float_data.len(),
        ElementType::F64 => tensor.double_data.len(),
        ElementType::I64 => tensor.int64_data.len(),
        ElementType::U32 | ElementType::U64 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    }
}
