//! The declarations of an ONNX model that an engine's adapter needs.
//!
//! A light reading of the protobuf: names, element types and shapes of the inputs and outputs, and
//! the operators that are used. Weights are stepped over, not copied. For anything that works on
//! the graph itself see the module `onnx`.

use crate::error::{Error, ErrorKind, Result};
use crate::onnx::proto::ValueInfoProto;
use crate::onnx::proto::tensor_shape_proto::{Dimension as DimensionProto, dimension::Value};
use crate::onnx::tensor_type::tensor_type;
use crate::tensor::{ElementType, Tensor};
use prost::Message;

/// The declarations of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// The inputs that a caller must give, in the model's order; initializers are not among them.
    pub inputs: Vec<Port>,
    /// The outputs, in the model's order.
    pub outputs: Vec<Port>,
    pub(super) operators: Vec<Operator>,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The tensor's name.
    pub name: String,
    /// The declared element type; `None` where the model leaves it open.
    pub element_type: Option<ElementType>,
    /// The declared shape; `None` where even the rank is open.
    pub shape: Option<Vec<Dimension>>,
}

/// One dimension of a declared shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Dimension {
    /// Always this size.
    Fixed(usize),
    /// Any size; the name is empty where the model gives none.
    Open(String),
}

/// An operator in use, in the graph itself or in the body of a control-flow operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operator {
    pub(super) node: String,
    pub(super) kind: String,
    pub(super) is_padded: bool,
    pub(super) outputs: Vec<String>,
    pub(super) is_in_body: bool,
}

impl Declared {
    /// Reads the declarations of a model from the bytes of an ONNX file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the bytes are not an ONNX model, if weights lie in another file, or if
    /// an input or output is no tensor of a supported element type.
    pub fn read(onnx: &[u8]) -> Result<Declared> {
        let not_onnx =
            |why: String| Error::new(ErrorKind::Model, format!("not an ONNX model: {why}"));
        let model = proto::Model::decode(onnx).map_err(|e| not_onnx(e.to_string()))?;
        let graph = model.graph.ok_or_else(|| not_onnx("it holds no graph".into()))?;
        if let Some(outside) = graph.initializer.iter().find(|t| t.data_location == EXTERNAL) {
            let message = format!("the weights of {:?} lie in another file", outside.name);
            return Err(Error::new(ErrorKind::Model, message)
                .hint("load the model through cutpoint, which brings external data in"));
        }
        let is_initializer = |name: &str| graph.initializer.iter().any(|t| t.name == name);
        let inputs = graph.input.iter().filter(|v| !is_initializer(v.name()));
        let mut operators = Vec::new();
        collect_operators(&graph, false, &mut operators);
        Ok(Declared {
            inputs: inputs.map(Port::read).collect::<Result<_>>()?,
            outputs: graph.output.iter().map(Port::read).collect::<Result<_>>()?,
            operators,
        })
    }

    /// Puts the given inputs into the model's order, having checked every one.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if one is missing, unknown, given twice, or of the wrong shape or
    /// element type; the message names the tensor, what was expected and what was found.
    pub fn order_inputs<'t>(&self, given: &[(&str, &'t Tensor)]) -> Result<Vec<&'t Tensor>> {
        let described = given.iter().map(|(name, t)| (*name, t.element_type(), t.shape()));
        let order = self.order(&described.collect::<Vec<_>>())?;
        Ok(order.into_iter().map(|position| given[position].1).collect())
    }

    /// The positions of the given inputs, told by name, element type and shape, in the model's
    /// order.
    ///
    /// # Errors
    /// As [`Declared::order_inputs`].
    pub fn order(&self, given: &[(&str, ElementType, &[usize])]) -> Result<Vec<usize>> {
        let error = |message: String| Error::new(ErrorKind::Input, message);
        for (index, (name, ..)) in given.iter().enumerate() {
            if !self.inputs.iter().any(|port| port.name == *name) {
                let names: Vec<&str> = self.inputs.iter().map(|port| port.name.as_str()).collect();
                return Err(error(format!("unknown input {name:?}, the model has {names:?}")));
            }
            if given[..index].iter().any(|(earlier, ..)| earlier == name) {
                return Err(error(format!("input {name:?} is given twice")));
            }
        }
        let find = |port: &Port| {
            let found = given.iter().position(|(name, ..)| *name == port.name);
            let position = found.ok_or_else(|| {
                error(format!("input {:?} is missing, expected {}", port.name, port.render_type()))
            })?;
            let (_, element_type, shape) = given[position];
            port.check(element_type, shape).map(|()| position)
        };
        self.inputs.iter().map(find).collect()
    }
}

impl Port {
    fn read(value: &ValueInfoProto) -> Result<Port> {
        let name = value.name().to_owned();
        let no_tensor = |what: String| {
            Err(Error::new(ErrorKind::Model, format!("{name:?} {what}")).at("inputs and outputs"))
        };
        if value.r#type.is_none() {
            return Ok(Port { name, element_type: None, shape: None });
        }
        let Some(tensor) = tensor_type(value) else {
            return no_tensor(
                "is not a tensor (but a sequence, map, optional or sparse tensor)".into(),
            );
        };
        let element_type = match tensor.elem_type() {
            0 => None,
            number => match ElementType::from_onnx_number(number) {
                Some(element_type) => Some(element_type),
                None => {
                    return no_tensor(format!("has ONNX element type {number}, not supported"));
                }
            },
        };
        let open = |name: &str| Dimension::Open(name.to_owned());
        let dimension = |dim: &DimensionProto| match &dim.value {
            Some(Value::DimValue(size)) => {
                usize::try_from(*size).map_or_else(|_| open(""), Dimension::Fixed)
            }
            Some(Value::DimParam(name)) => open(name),
            None => open(""),
        };
        let shape = tensor.shape.as_ref().map(|shape| shape.dim.iter().map(dimension).collect());
        Ok(Port { name, element_type, shape })
    }

    fn check(&self, element_type: ElementType, found: &[usize]) -> Result<()> {
        let type_fits = self.element_type.is_none_or(|t| t == element_type);
        let shape_fits = self.shape.as_ref().is_none_or(|shape| {
            let fits = |(dim, &size): (&Dimension, &usize)| match dim {
                Dimension::Fixed(expected) => *expected == size,
                Dimension::Open(_) => true,
            };
            shape.len() == found.len() && shape.iter().zip(found).all(fits)
        });
        if type_fits && shape_fits {
            return Ok(());
        }
        let message = format!(
            "input {:?}: expected {}, found {} {found:?}",
            self.name,
            self.render_type(),
            element_type.protocol_name(),
        );
        Err(Error::new(ErrorKind::Input, message))
    }

    fn render_type(&self) -> String {
        let element_type = self.element_type.map_or("any type", ElementType::protocol_name);
        let Some(shape) = &self.shape else {
            return format!("{element_type} of any shape");
        };
        let dims: Vec<String> = shape
            .iter()
            .map(|dim| match dim {
                Dimension::Fixed(size) => size.to_string(),
                Dimension::Open(name) if name.is_empty() => "?".into(),
                Dimension::Open(name) => name.clone(),
            })
            .collect();
        format!("{element_type} [{}]", dims.join(", "))
    }
}

const EXTERNAL: i32 = 1;

fn collect_operators(graph: &proto::Graph, is_in_body: bool, operators: &mut Vec<Operator>) {
    for node in &graph.node {
        let is_padded = node.attribute.iter().any(|a| match a.name.as_str() {
            "pads" => a.ints.iter().any(|&pad| pad != 0),
            "auto_pad" => a.s.starts_with(b"SAME"),
            _ => false,
        });
        operators.push(Operator {
            node: node.name.clone(),
            kind: node.op_type.clone(),
            is_padded,
            outputs: node.output.clone(),
            is_in_body,
        });
        for body in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            collect_operators(body, true, operators);
        }
    }
}

/// The few fields of ONNX's larger messages that are read here; prost steps over the others.
mod proto {
    use crate::onnx::proto::ValueInfoProto;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Model {
        #[prost(message, optional, tag = "7")]
        pub(super) graph: Option<Graph>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Graph {
        #[prost(message, repeated, tag = "1")]
        pub(super) node: Vec<Node>,
        #[prost(message, repeated, tag = "5")]
        pub(super) initializer: Vec<Initializer>,
        #[prost(message, repeated, tag = "11")]
        pub(super) input: Vec<ValueInfoProto>,
        #[prost(message, repeated, tag = "12")]
        pub(super) output: Vec<ValueInfoProto>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Node {
        #[prost(string, repeated, tag = "2")]
        pub(super) output: Vec<String>,
        #[prost(string, tag = "3")]
        pub(super) name: String,
        #[prost(string, tag = "4")]
        pub(super) op_type: String,
        #[prost(message, repeated, tag = "5")]
        pub(super) attribute: Vec<Attribute>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Attribute {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(bytes = "vec", tag = "4")]
        pub(super) s: Vec<u8>,
        #[prost(message, optional, tag = "6")]
        pub(super) g: Option<Graph>,
        #[prost(int64, repeated, tag = "8")]
        pub(super) ints: Vec<i64>,
        #[prost(message, repeated, tag = "11")]
        pub(super) graphs: Vec<Graph>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Initializer {
        #[prost(string, tag = "8")]
        pub(super) name: String,
        #[prost(int32, tag = "14")]
        pub(super) data_location: i32,
    }
}
