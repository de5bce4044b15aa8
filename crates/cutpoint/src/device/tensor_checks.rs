//! What a job must be given and what the server must answer: names, element types and shapes.

use super::job::Job;
use super::program::JobProgram;
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Inputs};
use crate::onnx::LayeredModel;
use crate::tensor::{Tensor, TensorSpec};
use cutpoint_plan::workload::{ModelId, ModelTensor, Workload};
use std::sync::Arc;

/// The models that inputs and outputs are checked against.
#[derive(Debug)]
pub(crate) struct TensorChecks<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) models: Vec<Arc<LayeredModel>>,
}

impl TensorChecks<'_> {
    /// Whether a job's inputs are those of its model.
    ///
    /// # Errors
    /// [`ErrorKind::Input`], naming the input that is missing or does not fit; why one could not be
    /// read.
    pub(crate) fn check_inputs(&self, model: ModelId, inputs: &Inputs) -> Result<()> {
        for (name, spec) in self.models[model.index()].model().inputs() {
            let value = inputs.get(name).ok_or_else(|| {
                Error::new(ErrorKind::Input, format!("input {name:?} is missing"))
            })?;
            match value {
                Input::Tensor(value) => {
                    check(value, spec).map_err(|e| e.at(format!("input {name:?}")))?;
                }
                // Its preparation makes a tensor of the input's shape.
                Input::Picture(_) => {}
                Input::Unusable(error) => return Err(error.again()),
            }
        }
        Ok(())
    }

    /// The outputs of a reply, if they are what was asked for; what nobody asked for is left out.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`], naming the output that is missing or does not fit.
    pub(crate) fn take_outputs(
        &self,
        job: &Job,
        mut reply: Vec<(String, Tensor)>,
    ) -> Result<Vec<(String, Tensor)>> {
        let mut outputs = Vec::new();
        let JobProgram { model, partition, .. } = &job.program;
        let described = &self.workload.models()[model.index()];
        for id in &described.outputs {
            let ModelTensor { name, producer, .. } = &described.tensors[id.index()];
            if producer.is_none_or(|layer| partition.device_layers.contains(layer)) {
                continue;
            }
            let bad = |error: Error| {
                Error::new(ErrorKind::Protocol, format!("the server answered wrongly: {error}"))
            };
            let position = reply.iter().position(|(found, _)| found == name).ok_or_else(|| {
                bad(Error::new(ErrorKind::Input, format!("output {name:?} is missing")))
            })?;
            let (name, value) = reply.swap_remove(position);
            if let Some(spec) = self.models[model.index()].fixed_spec(&name) {
                check(&value, spec).map_err(|e| bad(e.at(format!("output {name:?}"))))?;
            }
            outputs.push((name, value));
        }
        Ok(outputs)
    }
}

fn check(value: &Tensor, spec: &TensorSpec) -> Result<()> {
    if value.element_type() == spec.element_type && value.shape() == spec.shape {
        return Ok(());
    }
    let message = format!(
        "{} {:?}, expected {} {:?}",
        value.element_type().protocol_name(),
        value.shape(),
        spec.element_type.protocol_name(),
        spec.shape,
    );
    Err(Error::new(ErrorKind::Input, message))
}
