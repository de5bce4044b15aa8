//! ONNX models: reading them, the layers in them, and cutting them into segments.
//!
//! [`Model::load`] reads a file and checks it. [`Model::into_layers`] runs it once, so that the
//! shape of every tensor is known, and groups its nodes into layers. [`LayeredModel::segment`]
//! makes a model of its own from some of the layers.
//!
//! Everything is keyed by tensor name; nodes need not have names in ONNX. The graph that is cut is
//! the one in the file, never one that an engine has optimised.

mod encoded;
mod external;
mod layers;
pub mod limits;
#[allow(missing_docs, unreachable_pub, dead_code, reason = "generated from the schema of ONNX")]
#[allow(clippy::enum_variant_names, reason = "generated")]
#[rustfmt::skip]
pub(crate) mod proto;
mod read;
mod resolve;
mod shapes;
mod split;
#[cfg(test)]
pub(crate) mod tests;
mod trial;
mod types;
mod wiring;

pub use layers::{Layer, LayerGraph, LayerNode};
pub use read::{Model, ReadOptions};
pub use resolve::LayeredModel;
pub use shapes::text as shape_text;
pub use split::{Boundary, NodeCut, Segment};

use crate::tensor::ElementType;

/// The element type and shape of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The type of its elements.
    pub element_type: ElementType,
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// The size in bytes.
    pub fn bytes(&self) -> u64 {
        self.shape.iter().fold(self.element_type.size() as u64, |size, &d| size * d as u64)
    }
}
