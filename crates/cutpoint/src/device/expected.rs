//! What a job must be given and what the server must answer: names, element types and shapes.

use super::prepare::Device;
use super::program::Program;
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Inputs};
use crate::onnx::TensorSpec;
use crate::tensor::Tensor;
use cutpoint_plan::workload::{JobId, LayerId, Workload};
use std::collections::BTreeSet;

/// What is expected for each job of a run.
#[derive(Debug)]
pub(super) struct Expected {
    /// By model.
    inputs: Vec<Vec<(String, TensorSpec)>>,
    /// By job: the outputs that the server makes; no spec where the shape depends on the inputs.
    outputs: Vec<Vec<(String, Option<TensorSpec>)>>,
    /// By job.
    models: Vec<usize>,
}

impl Expected {
    /// For a program on this device.
    pub(super) fn new(workload: &Workload, program: &Program, device: &Device) -> Expected {
        let models = workload.jobs.iter().map(|model| model.index());
        let inputs = (0..workload.models.len()).map(|m| device.model(m).model().inputs().to_vec());
        let outputs =
            (0..workload.jobs.len()).map(|j| server_outputs(workload, program, device, j));
        Expected { inputs: inputs.collect(), outputs: outputs.collect(), models: models.collect() }
    }

    /// Whether a job's inputs are those of its model.
    ///
    /// # Errors
    /// [`ErrorKind::Input`], naming the input that is missing or does not fit; why one could not be
    /// read.
    pub(super) fn check_inputs(&self, job: JobId, inputs: &Inputs) -> Result<()> {
        for (name, spec) in &self.inputs[self.models[job.index()]] {
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
    pub(super) fn take_outputs(
        &self,
        job: JobId,
        mut reply: Vec<(String, Tensor)>,
    ) -> Result<Vec<(String, Tensor)>> {
        let mut outputs = Vec::new();
        for (name, spec) in &self.outputs[job.index()] {
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

/// The outputs of a job's model that the server makes.
fn server_outputs(
    workload: &Workload,
    program: &Program,
    device: &Device,
    job: usize,
) -> Vec<(String, Option<TensorSpec>)> {
    let m = workload.jobs[job].index();
    let segments = program.jobs[job].server_segments.iter();
    let layers: BTreeSet<LayerId> =
        segments.flat_map(|&s| program.segments[m][s].layers.iter().copied()).collect();
    let model = &workload.models[m];
    let outputs = model.outputs.iter().map(|t| &model.tensors[t.index()]);
    let made = outputs.filter(|t| t.producer.is_some_and(|layer| layers.contains(&layer)));
    made.map(|t| (t.name.clone(), device.model(m).fixed_spec(&t.name).cloned())).collect()
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
