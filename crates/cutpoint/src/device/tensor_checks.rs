//! What a job must be given and what the server must answer: names, element types and shapes.

use super::job::Job;
use super::prepared::Device;
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Inputs};
use crate::tensor::Tensor;
use crate::tensor::TensorSpec;
use cutpoint_plan::workload::{ModelId, TensorId, Workload};

/// An output: which tensor it is, its name, and what it must be unless that depends on the inputs.
type Output = (TensorId, String, Option<TensorSpec>);

/// Names, types and shapes of the inputs and outputs of each model.
#[derive(Debug)]
pub(crate) struct TensorChecks<'a> {
    pub(crate) workload: &'a Workload,
    inputs: Vec<Vec<(String, TensorSpec)>>,
    outputs: Vec<Vec<Output>>,
}

impl<'a> TensorChecks<'a> {
    /// For the models of a workload, on this device.
    pub(crate) fn new(workload: &'a Workload, device: &Device) -> TensorChecks<'a> {
        let inputs =
            (0..workload.models().len()).map(|m| device.model(m).model().inputs().to_vec());
        let outputs = |(m, model): (usize, &cutpoint_plan::workload::ModelGraph)| {
            let output = |&id: &TensorId| {
                let name = &model.tensors[id.index()].name;
                (id, name.clone(), device.model(m).fixed_spec(name).cloned())
            };
            model.outputs.iter().map(output).collect()
        };
        let outputs = workload.models().iter().enumerate().map(outputs);
        TensorChecks { workload, inputs: inputs.collect(), outputs: outputs.collect() }
    }

    /// Whether a job's inputs are those of its model.
    ///
    /// # Errors
    /// [`ErrorKind::Input`], naming the input that is missing or does not fit; why one could not be
    /// read.
    pub(crate) fn check_inputs(&self, model: ModelId, inputs: &Inputs) -> Result<()> {
        for (name, spec) in &self.inputs[model.index()] {
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
        let tensors = &self.workload.models()[job.program.model.index()].tensors;
        let is_there = |id: &TensorId| {
            let producer = tensors[id.index()].producer;
            producer.is_some_and(|layer| !job.program.partition.device_layers.contains(layer))
        };
        let made = self.outputs[job.program.model.index()].iter().filter(|(id, ..)| is_there(id));
        for (_, name, spec) in made {
            let bad = |error: Error| {
                Error::new(ErrorKind::Protocol, format!("the server answered wrongly: {error}"))
            };
            let position = reply.iter().position(|(found, _)| found == name).ok_or_else(|| {
                bad(Error::new(ErrorKind::Input, format!("output {name:?} is missing")))
            })?;
            let (name, value) = reply.swap_remove(position);
            if let Some(spec) = spec {
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
