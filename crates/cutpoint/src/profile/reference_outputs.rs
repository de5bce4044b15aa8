//! The unsplit model on this machine: what every other way of running it is compared with.

use crate::engine::{Engine, EngineOptions};
use crate::error::Result;
use crate::input::Inputs;
use crate::onnx::OnnxModel;
use crate::tensor::Tensor;

/// The outputs of the whole model for each set of inputs.
///
/// # Errors
/// Those of the engine, and of inputs that cannot be read.
pub fn unsplit_outputs(
    engine: &dyn Engine,
    options: EngineOptions,
    model: &OnnxModel,
    inputs: &[Inputs],
) -> Result<Vec<Vec<(String, Tensor)>>> {
    let mut session = engine.load(&model.to_onnx()?, options)?;
    inputs
        .iter()
        .map(|inputs| {
            let given = inputs.iter().map(|(name, input)| Ok((name.as_str(), input.tensor()?)));
            session.run(&given.collect::<Result<Vec<_>>>()?)
        })
        .collect()
}
