//! Segments whose tensors cross a cut in an encoding: the steps that quantise are the last nodes of
//! the prefix, those that restore the first of the suffix, so that any engine and any server can
//! take the encoded tensor.
//!
//! | encoding | the tensor `x` crosses as | the suffix begins with |
//! |---|---|---|
//! | `f16` | `x.f16`, FP16 | `Cast` |
//! | `u8` | `x.u8`, UINT8; `x.least` and `x.step`, FP32, one number each | `Cast`, `Mul`, `Add` |
//! | `u8-channel` | the same, with one number for each index on axis 1 | the same |
//!
//! The numbers are those of [`crate::encoding`], computed by the same formulas:
//! `x = least + number * step`. Unlike there, nothing is refused: NaN and infinity make nonsense of
//! 8-bit numbers, and what is beyond 16-bit numbers becomes infinite.

use super::layered_model::LayeredModel;
use super::proto::{AttributeProto, GraphProto, ValueInfoProto};
use super::segments::{NodeCut, Segment};
use super::{parts, shapes};
use crate::encoding::Encoding;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{ElementType, TensorSpec};
use std::collections::{BTreeMap, BTreeSet};

/// `Round` is there from this operator set on.
const OPSET_MIN: i64 = 11;

/// From this operator set on reductions read their axes from a tensor.
const OPSET_AXES_ARE_READ: i64 = 18;

impl LayeredModel {
    /// As [`LayeredModel::prefix`], with these tensors of the cut in encodings, by name.
    ///
    /// # Errors
    /// [`ErrorKind::Cut`] if a tensor does not cross the cut, is not FP32, or cannot be in its
    /// encoding; [`ErrorKind::Model`] if the operators are too old or the segment is too large.
    pub fn encoded_prefix(
        &self,
        cut: &NodeCut,
        encodings: &BTreeMap<String, Encoding>,
    ) -> Result<Segment> {
        let mut draft = self.draft(&cut.is_before, "prefix", &BTreeSet::new());
        let mut writer = Writer { graph: &mut draft.graph, opset: self.opset() };
        for (name, &encoding) in encodings {
            let coded = self.coded(cut, name, encoding, writer.opset)?;
            writer.encode(&coded, self.resolved.is_output(name));
        }
        self.finished(draft, encodings)
    }

    /// As [`LayeredModel::suffix`], with these tensors of the cut in encodings, by name.
    ///
    /// # Errors
    /// As [`LayeredModel::encoded_prefix`].
    pub fn encoded_suffix(
        &self,
        cut: &NodeCut,
        encodings: &BTreeMap<String, Encoding>,
    ) -> Result<Segment> {
        let after = self.resolved.is_computed.iter().zip(&cut.is_before);
        let after: Vec<bool> = after.map(|(&computed, &before)| computed && !before).collect();
        let mut draft = self.draft(&after, "suffix", &BTreeSet::new());
        let mut writer = Writer { graph: &mut draft.graph, opset: self.opset() };
        for (name, &encoding) in encodings {
            writer.restore(&self.coded(cut, name, encoding, writer.opset)?);
        }
        self.finished(draft, encodings)
    }

    /// The version of ONNX's own operators in the model.
    fn opset(&self) -> i64 {
        let of_onnx = |domain: &str| domain.is_empty() || domain == "ai.onnx";
        let opset = self.resolved.model.header.opset_import.iter().find(|s| of_onnx(s.domain()));
        opset.map_or(0, |set| set.version())
    }

    /// Whether something of the model has this name.
    fn is_taken(&self, name: &str) -> bool {
        let mut stored = self.resolved.model.graph.initializer.iter();
        self.resolved.wiring.producer.contains_key(name)
            || self.resolved.model.inputs.iter().any(|(input, _)| input == name)
            || stored.any(|tensor| tensor.name() == name)
    }

    fn coded(&self, cut: &NodeCut, name: &str, encoding: Encoding, opset: i64) -> Result<Coded> {
        let refuse =
            |kind, message: String| Err(Error::new(kind, message).at(format!("tensor {name:?}")));
        if !cut.frontier.iter().any(|tensor| tensor == name) {
            return refuse(ErrorKind::Cut, "it does not cross this cut".into());
        }
        let spec =
            self.resolved.tensors.get(name).filter(|spec| spec.element_type == ElementType::F32);
        let Some(spec) = spec else {
            return refuse(ErrorKind::Cut, format!("encoding {encoding} is for FP32"));
        };
        if !encoding.is_plain() {
            let message = format!("encoding {encoding} has no form in ONNX");
            return refuse(ErrorKind::Cut, message);
        }
        if encoding == Encoding::U8_CHANNEL && spec.shape.len() < 3 {
            let message = format!("encoding {encoding} needs at least 3 dimensions");
            return refuse(ErrorKind::Cut, message);
        }
        if opset < OPSET_MIN {
            let message = format!("operator set {opset}, encodings need {OPSET_MIN} or later");
            return refuse(ErrorKind::Model, message);
        }
        let mut base = name.to_owned();
        while ENDS.iter().any(|end| self.is_taken(&format!("{base}.{end}"))) {
            base.push('_');
        }
        let is_stable = !self.resolved.unstable.contains(name);
        Ok(Coded { name: name.to_owned(), base, spec: spec.clone(), is_stable, encoding })
    }
}

/// What the names of tensors end in that belong to one in an encoding.
const ENDS: [&str; 16] = [
    "f16",
    "u8",
    "least",
    "step",
    "greatest",
    "span",
    "divisor",
    "inverse",
    "above",
    "steps",
    "capped",
    "rounded",
    "top",
    "tiny",
    "least.axes",
    "greatest.axes",
];

/// A tensor that crosses a cut in an encoding.
struct Coded {
    name: String,
    /// What the names of all that belongs to it begin with.
    base: String,
    spec: TensorSpec,
    /// Whether it has this shape in every run.
    is_stable: bool,
    encoding: Encoding,
}

impl Coded {
    fn named(&self, end: &str) -> String {
        format!("{}.{end}", self.base)
    }

    /// A declaration of the tensor, or of another of its rank.
    fn port(&self, name: String, element_type: ElementType, shape: &[usize]) -> ValueInfoProto {
        let named = parts::named(&name);
        match self.is_stable {
            true => shapes::declare(&named, &TensorSpec { element_type, shape: shape.to_vec() }),
            false => shapes::declare_open(&named, element_type, Some(shape.len())),
        }
    }

    /// The axes along which all indices share one range; `None` for all axes.
    fn axes(&self) -> Option<Vec<i64>> {
        let axes = 0..self.spec.shape.len() as i64;
        (self.encoding == Encoding::U8_CHANNEL).then(|| axes.filter(|&axis| axis != 1).collect())
    }

    /// The tensors that cross the cut in place of this one.
    fn ports(&self) -> Vec<ValueInfoProto> {
        let shape = &self.spec.shape;
        let port = |end: &str, element_type, shape: &[usize]| {
            self.port(self.named(end), element_type, shape)
        };
        if self.encoding == Encoding::F16 {
            return vec![port("f16", ElementType::F16, shape)];
        }
        let range = self.encoding.range_shape(shape);
        vec![
            port("u8", ElementType::U8, shape),
            port("least", ElementType::F32, &range),
            port("step", ElementType::F32, &range),
        ]
    }
}

/// The graph of a segment that is being changed.
struct Writer<'g> {
    graph: &'g mut GraphProto,
    opset: i64,
}

impl Writer<'_> {
    /// Adds the steps that bring a tensor into its encoding. The tensor itself stays an output only
    /// if it is one of the model.
    fn encode(&mut self, coded: &Coded, is_output: bool) {
        let (name, spec) = (&coded.name, &coded.spec);
        let is_here = self.graph.node.iter().any(|node| node.output.contains(name))
            || self.graph.input.iter().any(|input| input.name() == name);
        if !is_here {
            self.graph.input.push(coded.port(name.clone(), spec.element_type, &spec.shape));
        }
        if !is_output && let Some(at) = self.graph.output.iter().position(|o| o.name() == name) {
            let value = self.graph.output.remove(at);
            self.graph.value_info.push(value);
        }
        match coded.encoding {
            Encoding::F16 => self.cast(name, &coded.named("f16"), ElementType::F16),
            _ => self.quantise(coded),
        }
        self.graph.output.extend(coded.ports());
    }

    fn quantise(&mut self, coded: &Coded) {
        let named = |end: &str| coded.named(end);
        let (x, least, step) = (coded.name.as_str(), named("least"), named("step"));
        let [greatest, span, divisor, inverse, above, steps, capped, rounded] =
            ["greatest", "span", "divisor", "inverse", "above", "steps", "capped", "rounded"]
                .map(named);
        let (top, tiny) = (named("top"), named("tiny"));
        self.constant(&top, ElementType::F32, &[], &255f32.to_le_bytes());
        self.constant(&tiny, ElementType::F32, &[], &f32::MIN_POSITIVE.to_le_bytes());
        self.reduce("ReduceMin", coded, &least);
        self.reduce("ReduceMax", coded, &greatest);
        self.node("Sub", &[&greatest, &least], &span, vec![]);
        self.node("Div", &[&span, &top], &step, vec![]);
        // Where all numbers are equal the step is 0, and each of them is 0 steps above the least.
        self.node("Max", &[&step, &tiny], &divisor, vec![]);
        self.node("Reciprocal", &[&divisor], &inverse, vec![]);
        self.node("Sub", &[x, &least], &above, vec![]);
        self.node("Mul", &[&above, &inverse], &steps, vec![]);
        self.node("Min", &[&steps, &top], &capped, vec![]);
        self.node("Round", &[&capped], &rounded, vec![]);
        self.cast(&rounded, &named("u8"), ElementType::U8);
    }

    fn reduce(&mut self, operator: &str, coded: &Coded, output: &str) {
        let mut attributes = vec![parts::int("keepdims", 1)];
        let Some(axes) = coded.axes() else {
            return self.node(operator, &[&coded.name], output, attributes);
        };
        if self.opset < OPSET_AXES_ARE_READ {
            attributes.push(parts::ints("axes", &axes));
            return self.node(operator, &[&coded.name], output, attributes);
        }
        let name = format!("{output}.axes");
        let bytes: Vec<u8> = axes.iter().flat_map(|axis| axis.to_le_bytes()).collect();
        self.constant(&name, ElementType::I64, &[axes.len()], &bytes);
        self.node(operator, &[&coded.name, &name], output, attributes);
    }

    /// Puts the steps that bring a tensor back before everything else.
    fn restore(&mut self, coded: &Coded) {
        let after = std::mem::take(&mut self.graph.node);
        let name = coded.name.as_str();
        match coded.encoding {
            Encoding::F16 => self.cast(&coded.named("f16"), name, ElementType::F32),
            _ => {
                let [numbers, steps, above, least, step] =
                    ["u8", "steps", "above", "least", "step"].map(|end| coded.named(end));
                self.cast(&numbers, &steps, ElementType::F32);
                self.node("Mul", &[&steps, &step], &above, vec![]);
                self.node("Add", &[&above, &least], name, vec![]);
            }
        }
        self.graph.node.extend(after);
        let at = self.graph.input.iter().position(|input| input.name() == name);
        if let Some(at) = at {
            let replaced: Vec<ValueInfoProto> =
                self.graph.input.splice(at..=at, coded.ports()).collect();
            self.graph.value_info.extend(replaced);
        }
    }

    fn cast(&mut self, input: &str, output: &str, to: ElementType) {
        let to = parts::int("to", to.onnx_number().into());
        self.node("Cast", &[input], output, vec![to]);
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        let name = format!("cutpoint/{output}");
        self.graph.node.push(parts::node(&name, operator, inputs, output, attribute));
    }

    fn constant(&mut self, name: &str, element_type: ElementType, shape: &[usize], bytes: &[u8]) {
        let bytes = bytes.to_vec().into();
        self.graph.initializer.push(parts::stored(name, element_type, shape, bytes));
    }
}
