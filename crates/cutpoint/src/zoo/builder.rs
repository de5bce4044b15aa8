//! What the networks are built with: one method for each operator, weights drawn on the way.

use crate::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto,
};
use crate::onnx::{parts, shapes};
use crate::tensor::{ElementType, TensorSpec};
use bytes::Bytes;
use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const IR_VERSION: i64 = 7;
const OPSET_VERSION: i64 = 13;
const CLASSES: usize = 1000;

/// Half the width of the interval that biases are drawn from.
const BIAS_LIMIT: f32 = 0.05;

/// A tensor of a network that is being built: `[1, channels, ...]`.
#[derive(Clone, Debug)]
pub(super) struct Value {
    name: String,
    pub(super) channels: usize,
}

/// The geometry of a convolution; square, padding 0, stride 1, one group unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conv {
    channels: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    is_depthwise: bool,
}

impl Conv {
    pub(super) fn new(channels: usize, kernel: usize) -> Conv {
        Conv { channels, kernel, stride: 1, pad: 0, is_depthwise: false }
    }

    pub(super) fn stride(self, stride: usize) -> Conv {
        Conv { stride, ..self }
    }

    pub(super) fn pad(self, pad: usize) -> Conv {
        Conv { pad, ..self }
    }

    pub(super) fn depthwise(self) -> Conv {
        Conv { is_depthwise: true, ..self }
    }
}

/// What follows a layer with weights; its variance depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Relu,
    /// A rectifier that ends at 6.
    Relu6,
    Nothing,
}

/// A network that is being built.
pub(super) struct Builder {
    graph: GraphProto,
    random: ChaCha8Rng,
    seed: u64,
}

impl Builder {
    pub(super) fn new(name: &str, seed: u64) -> Builder {
        let graph = GraphProto { name: Some(name.to_owned()), ..GraphProto::default() };
        Builder { graph, random: ChaCha8Rng::seed_from_u64(seed), seed }
    }

    /// A square image.
    pub(super) fn input(&mut self, name: &str, channels: usize, size: usize) -> Value {
        self.graph.input.push(declared(name, &[1, channels, size, size]));
        Value { name: name.to_owned(), channels }
    }

    /// The file. Each output is `[1, channels]` and read by no node.
    pub(super) fn finish(mut self, outputs: &[(&str, Value)]) -> Vec<u8> {
        for (name, value) in outputs {
            let mut written = self.graph.node.iter_mut().flat_map(|node| &mut node.output);
            let found = written.find(|output| **output == value.name);
            *found.expect("a node writes every value that is not an input") = (*name).to_owned();
            self.graph.output.push(declared(name, &[1, value.channels]));
        }
        let opset =
            OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET_VERSION) };
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            opset_import: vec![opset],
            producer_name: Some("cutpoint".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            doc_string: Some(format!("Untrained: weights drawn at random, seed {}.", self.seed)),
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    /// A convolution with bias, and what follows.
    pub(super) fn conv(&mut self, name: &str, input: &Value, conv: Conv, then: Then) -> Value {
        let Conv { channels, kernel, stride, pad, is_depthwise } = conv;
        let groups = if is_depthwise { input.channels } else { 1 };
        let shape = [channels, input.channels / groups, kernel, kernel];
        let weight = self.weight(&format!("{name}.weight"), &shape, then);
        let bias = self.bias(&format!("{name}.bias"), channels);
        let attributes = vec![
            square("dilations", 1),
            parts::int("group", groups as i64),
            square("kernel_shape", kernel),
            padded([pad; 4]),
            square("strides", stride),
        ];
        let output = self.node(name, "Conv", &[&input.name, &weight, &bias], attributes);
        self.then(name, Value { name: output, channels }, then)
    }

    /// Convolutions one after the other, each with a rectifier, named `{name}1` and so on; channels,
    /// kernel and stride of each.
    pub(super) fn convs(&mut self, name: &str, input: &Value, shapes: &[[usize; 3]]) -> Value {
        let mut x = input.clone();
        for (number, &[channels, kernel, stride]) in (1..).zip(shapes) {
            let conv = Conv::new(channels, kernel).stride(stride).pad(kernel / 2);
            x = self.conv(&format!("{name}{number}"), &x, conv, Then::Relu);
        }
        x
    }

    /// A fully connected layer, and what follows. Its input is `[1, channels]`.
    pub(super) fn dense(
        &mut self,
        name: &str,
        input: &Value,
        channels: usize,
        then: Then,
    ) -> Value {
        let shape = [channels, input.channels];
        let weight = self.weight(&format!("{name}.weight"), &shape, then);
        let bias = self.bias(&format!("{name}.bias"), channels);
        let output =
            self.node(name, "Gemm", &[&input.name, &weight, &bias], vec![parts::int("transB", 1)]);
        self.then(name, Value { name: output, channels }, then)
    }

    /// The fully connected layer that ends most networks.
    pub(super) fn classifier(&mut self, name: &str, input: &Value) -> Value {
        self.dense(name, input, CLASSES, Then::Nothing)
    }

    fn then(&mut self, name: &str, value: Value, then: Then) -> Value {
        match then {
            Then::Nothing => value,
            Then::Relu => self.relu(name, &value),
            Then::Relu6 => {
                let (low, high) =
                    (self.shared("zero", &[], &[0.0]), self.shared("six", &[], &[6.0]));
                let name =
                    self.node(&format!("{name}.clip"), "Clip", &[&value.name, &low, &high], vec![]);
                Value { name, ..value }
            }
        }
    }

    pub(super) fn relu(&mut self, name: &str, value: &Value) -> Value {
        let name = self.node(&format!("{name}.relu"), "Relu", &[&value.name], vec![]);
        Value { name, ..*value }
    }

    pub(super) fn add(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        let output = self.node(name, "Add", &[&a.name, &b.name], vec![]);
        Value { name: output, ..*a }
    }

    /// A maximum pooling; pads in ONNX's order: top, left, bottom, right.
    pub(super) fn max_pool(
        &mut self,
        name: &str,
        input: &Value,
        [kernel, stride]: [usize; 2],
        pads: [usize; 4],
    ) -> Value {
        let attributes =
            vec![square("kernel_shape", kernel), padded(pads), square("strides", stride)];
        let output = self.node(name, "MaxPool", &[&input.name], attributes);
        Value { name: output, ..*input }
    }

    /// The mean over each channel, as `[1, channels]`; the names of its two nodes follow `prefix`.
    pub(super) fn global_average(&mut self, prefix: &str, input: &Value) -> Value {
        let (average, flatten) = (format!("{prefix}average"), format!("{prefix}flatten"));
        let name = self.node(&average, "GlobalAveragePool", &[&input.name], vec![]);
        self.flatten(&flatten, &Value { name, ..*input }, 1)
    }

    /// Twice the width and height, each element four times.
    pub(super) fn double(&mut self, name: &str, input: &Value) -> Value {
        let scales = self.shared("double.scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
        let attributes = vec![
            parts::text("coordinate_transformation_mode", "asymmetric"),
            parts::text("mode", "nearest"),
            parts::text("nearest_mode", "floor"),
        ];
        let name = self.node(name, "Resize", &[&input.name, "", &scales], attributes);
        Value { name, ..*input }
    }

    /// `[1, channels * area]` from a tensor of `area` elements in each channel.
    pub(super) fn flatten(&mut self, name: &str, input: &Value, area: usize) -> Value {
        let name = self.node(name, "Flatten", &[&input.name], vec![parts::int("axis", 1)]);
        Value { name, channels: input.channels * area }
    }

    /// Joins tensors along their channels.
    pub(super) fn concat(&mut self, name: &str, parts: &[Value]) -> Value {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let output = self.node(name, "Concat", &names, vec![parts::int("axis", 1)]);
        Value { name: output, channels: parts.iter().map(|part| part.channels).sum() }
    }

    fn node(
        &mut self,
        name: &str,
        op_type: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{name}.out");
        self.graph.node.push(parts::node(name, op_type, inputs, &output, attribute));
        output
    }

    /// He's variance for a rectifier is 2 over the fan-in; without one, half of that keeps the
    /// second moment. The weights of each output are then centred: it answers to differences in
    /// its input, not to how bright all of it is.
    fn weight(&mut self, name: &str, shape: &[usize], then: Then) -> String {
        let fan_in: usize = shape[1..].iter().product();
        let variance = if then == Then::Nothing { 1.0 } else { 2.0 } / fan_in as f32;
        let mut values = self.drawn(shape[0] * fan_in, (3.0 * variance).sqrt());
        for filter in values.chunks_exact_mut(fan_in) {
            let mean = filter.iter().map(|&value| f64::from(value)).sum::<f64>() / fan_in as f64;
            filter.iter_mut().for_each(|value| *value -= mean as f32);
        }
        self.store(name, shape, values)
    }

    fn bias(&mut self, name: &str, channels: usize) -> String {
        let values = self.drawn(channels, BIAS_LIMIT);
        self.store(name, &[channels], values)
    }

    /// Values spread evenly between `-limit` and `limit`.
    fn drawn(&mut self, count: usize, limit: f32) -> Vec<f32> {
        let mut bits = vec![0u32; count];
        self.random.fill_bytes(bytemuck::cast_slice_mut(&mut bits));
        let scale = limit / (1u32 << 31) as f32;
        bits.into_iter().map(|bits| u32::from_le(bits).cast_signed() as f32 * scale).collect()
    }

    /// A constant that several nodes may read, stored once.
    fn shared(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        if self.graph.initializer.iter().any(|tensor| tensor.name() == name) {
            return name.to_owned();
        }
        self.store(name, shape, values.to_vec())
    }

    fn store(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> String {
        let bytes = little_endian(values);
        self.graph.initializer.push(parts::stored(name, ElementType::F32, shape, bytes));
        name.to_owned()
    }
}

fn little_endian(mut values: Vec<f32>) -> Bytes {
    if cfg!(target_endian = "big") {
        values.iter_mut().for_each(|v| *v = f32::from_bits(v.to_bits().swap_bytes()));
    }
    bytemuck::pod_collect_to_vec::<f32, u8>(&values).into()
}

fn square(name: &str, side: usize) -> AttributeProto {
    parts::ints(name, &[side as i64; 2])
}

fn padded(pads: [usize; 4]) -> AttributeProto {
    parts::ints("pads", &pads.map(|pad| pad as i64))
}

fn declared(name: &str, shape: &[usize]) -> ValueInfoProto {
    let spec = TensorSpec { element_type: ElementType::F32, shape: shape.to_vec() };
    shapes::declare(&parts::named(name), &spec)
}
