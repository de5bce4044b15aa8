//! Pictures that a run needs decoded, before it begins: plans count no time for that.

use super::program::{Program, StepWork};
use crate::encoding::Encoding;
use crate::input::{Input, Inputs};
use cutpoint_plan::workload::{JobId, Model, TensorId, Workload};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Decodes the pictures that a layer on the device reads, or that are not sent as they came. One
/// that is damaged fails its job when it is needed.
pub(super) fn decode_ahead(
    program: &Program,
    workload: &Workload,
    inputs: &BTreeMap<JobId, Arc<Inputs>>,
) {
    let models: BTreeMap<JobId, &Model> =
        program.jobs.iter().map(|job| (job.job, &workload.models[job.model.index()])).collect();
    let picture = |job: JobId, tensor: TensorId| {
        let name = &models[&job].tensors[tensor.index()].name;
        match inputs.get(&job)?.get(name) {
            Some(Input::Picture(picture)) => Some(picture),
            _ => None,
        }
    };
    for send in program.sends.iter().filter(|send| send.is_there) {
        picture(send.job, send.tensor).map(|picture| picture.tensor().is_ok());
    }
    for step in &program.steps {
        match &step.work {
            StepWork::Layers { layers, .. } => {
                let layers = layers.iter().map(|l| &models[&step.job].layers[l.index()]);
                for &tensor in layers.flat_map(|layer| &layer.reads) {
                    picture(step.job, tensor).map(|picture| picture.tensor().is_ok());
                }
            }
            StepWork::Encode(tensor, encoding) => {
                picture(step.job, *tensor).map(|picture| match *encoding {
                    Encoding::FILE => true,
                    Encoding::PIXELS | Encoding::PIXELS_ZSTD => picture.pixels().is_ok(),
                    _ => picture.tensor().is_ok(),
                });
            }
        }
    }
}
