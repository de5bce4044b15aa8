//! ONNX models: reading them, the layers in them, and cutting them into segments.
//!
//! [`OnnxModel::load`] reads a file and checks it. [`OnnxModel::into_layers`] runs it once, so that the
//! shape of every tensor is known, and groups its nodes into layers. [`LayeredModel::segment`]
//! makes a model of its own from some of the layers.
//!
//! Everything is keyed by tensor name; nodes need not have names in ONNX. The graph that is cut is
//! the one in the file, never one that an engine has optimised.

mod external;
mod layered_model;
mod layers;
pub(crate) mod parts;
#[allow(missing_docs, unreachable_pub, dead_code, reason = "generated from the schema of ONNX")]
#[allow(clippy::enum_variant_names, reason = "generated")]
pub(crate) mod proto;
mod protobuf;
mod quantised_segments;
mod read;
mod resolved_model;
mod roles;
mod segments;
mod shape_run;
pub(crate) mod shapes;
pub(crate) mod tensor_type;
#[cfg(test)]
#[cfg(feature = "rten")]
pub(crate) mod tests;
mod types;
mod wiring;

pub use layered_model::LayeredModel;
pub use layers::{LayerGraph, LayerNode, OnnxLayer};
pub use read::{OnnxModel, ReadOptions};
pub use segments::{Boundary, NodeCut, Segment};
