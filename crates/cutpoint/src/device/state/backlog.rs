//! The planned work of jobs that have begun, in time: re-planned jobs come after it.
//!
//! What a machine has in hand counts as whole: when it began is not known for the server.

use crate::device::job::Job;
use crate::device::program::{Send, Step, StepWork};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{LayerId, ModelGraph, Workload};

/// The workload's times, at a bandwidth of the uplink.
pub(crate) struct Costs<'w> {
    pub(crate) workload: &'w Workload,
    pub(crate) uplink: Bandwidth,
}

impl Costs<'_> {
    fn model(&self, job: &Job) -> &ModelGraph {
        &self.workload.models()[job.program.model.index()]
    }

    /// A step of a job on the device.
    pub(crate) fn of_step(&self, job: &Job, step: &Step) -> Time {
        let model = self.model(job);
        match &step.work {
            StepWork::Layers { layers, .. } => {
                layers.iter().map(|layer| model.layers[layer.index()].device).sum()
            }
            StepWork::Encode(tensor, _) => {
                let upload = job.program.partition.uploads.iter().find(|u| u.tensor == *tensor);
                let encoding = upload.and_then(|upload| upload.encoding);
                let encodings = &model.tensors[tensor.index()].encodings;
                encoding.map_or(Time::ZERO, |e| encodings[e].encode)
            }
        }
    }

    /// A tensor of a job on the uplink; nothing if it will never get through.
    pub(crate) fn of_send(&self, job: &Job, send: &Send) -> Time {
        let tensor = &self.model(job).tensors[send.tensor.index()];
        let upload = job.program.partition.uploads.iter().find(|u| u.tensor == send.tensor);
        let encoding = upload.and_then(|upload| upload.encoding);
        let bytes = tensor.sent_bytes(encoding);
        let transfer = self.uplink.transfer_time(bytes).unwrap_or_default();
        transfer + self.workload.link().message_overhead
    }

    /// The server's part of a job.
    pub(crate) fn of_suffix(&self, job: &Job) -> Time {
        let model = self.model(job);
        let here = &job.program.partition.device_layers;
        let there = (0..model.layers.len()).filter(|&l| !here.contains(LayerId::at(l)));
        there.map(|l| model.layers[l].server).sum()
    }

    /// What each executor of the server has of so much work.
    pub(crate) fn shared_out(&self, work: Time) -> Time {
        let executors = self.workload.executors().map_or(u64::MAX, |k| u64::from(k.get()));
        Time::from_nanoseconds(work.nanoseconds() / executors)
    }
}
