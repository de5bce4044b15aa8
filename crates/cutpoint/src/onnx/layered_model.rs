//! A model with its layers: what is split.

use super::layers::LayerGraph;
use super::read::OnnxModel;
use super::resolved_model::ResolvedModel;
use crate::engine::Engine;
use crate::error::Result;
use crate::tensor::TensorSpec;

/// A model whose tensors all have a known type and shape, and whose nodes are grouped into layers.
#[derive(Clone, Debug)]
pub struct LayeredModel {
    pub(super) resolved: ResolvedModel,
    pub(super) layers: LayerGraph,
}

impl OnnxModel {
    /// Runs the model once on synthetic inputs, with one thread for each core, to learn the shape
    /// of every tensor, and groups its nodes into layers.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Engine`] if the engine cannot run the model.
    pub fn into_layers(self, engine: &dyn Engine) -> Result<LayeredModel> {
        let resolved = ResolvedModel::of(self, engine)?;
        let layers = LayerGraph::of(&resolved);
        Ok(LayeredModel { resolved, layers })
    }
}

impl LayeredModel {
    /// The layers.
    pub fn layers(&self) -> &LayerGraph {
        &self.layers
    }

    /// The model, shape arithmetic folded.
    pub fn model(&self) -> &OnnxModel {
        &self.resolved.model
    }

    /// Element type and shape of a tensor that jobs make, if they are the same for all inputs.
    pub fn fixed_spec(&self, tensor: &str) -> Option<&TensorSpec> {
        self.resolved.tensors.get(tensor).filter(|_| self.resolved.can_cross(tensor))
    }
}
