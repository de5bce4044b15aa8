//! The unsplit model on this machine: what every other way of running it is compared with.

use crate::device::Tensors;
use crate::engine::{Engine, EngineOptions};
use crate::error::Result;
use crate::onnx::Model;
use crate::tensor::Tensor;

/// The outputs of the whole model for each set of inputs.
///
/// # Errors
/// Those of the engine.
pub fn unsplit_outputs(
    engine: &dyn Engine,
    options: EngineOptions,
    model: &Model,
    inputs: &[Tensors],
) -> Result<Vec<Vec<(String, Tensor)>>> {
    let mut session = engine.load(&model.to_onnx()?, options)?;
    inputs
        .iter()
        .map(|tensors| {
            let inputs: Vec<_> =
                tensors.iter().map(|(name, value)| (name.as_str(), value)).collect();
            session.run(&inputs)
        })
        .collect()
}
