//! Inference engines behind one small trait: load a segment and run it.
//!
//! An engine only ever sees whole ONNX models; a segment of a split model is one. Everything is
//! keyed by tensor name.
//!
//! [`select::select`] finds the engine; [`rten`] is always there, [`onnxruntime`] is faster and
//! used where its library is found.

pub mod declared;
pub mod install;
pub mod onnxruntime;
pub mod rten;
pub mod select;

use crate::error::Result;
use crate::tensor::Tensor;
use std::num::NonZeroUsize;

/// How to load a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How many threads one run may use.
    pub threads: NonZeroUsize,
}

/// An inference engine.
pub trait Engine: Send + Sync {
    /// Name and version, for example `rten 0.27.0`.
    fn name(&self) -> String;

    /// Loads a model from the bytes of an ONNX file without external data.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Engine`] if the engine cannot run the model, or is known to run
    /// it wrongly; the hint names an engine that can.
    fn load(&self, onnx: &[u8], options: EngineOptions) -> Result<Box<dyn Session>>;

    /// Loads a model to be run node by node as it is in the file, where the engine can do that: for
    /// models that have intermediate tensors as outputs, which optimisation may remove or merge.
    ///
    /// # Errors
    /// As [`Engine::load`].
    fn load_unoptimized(&self, onnx: &[u8], options: EngineOptions) -> Result<Box<dyn Session>> {
        self.load(onnx, options)
    }
}

/// A model that is loaded and ready to run.
pub trait Session: Send {
    /// Runs once: every input of the model by name; returns every output, in the model's order.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if an input is missing, unknown or of the wrong shape or
    /// element type; [`crate::error::ErrorKind::Engine`] if the engine fails.
    fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>>;
}
