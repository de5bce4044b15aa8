//! The compute thread: runs and encodes in the order of the agenda's steps, and does whatever the
//! server left undone.

use crate::device::event::Event;
use crate::device::job::Job;
use crate::device::monitor::Monitor;
use crate::device::prepared::Device;
use crate::device::program::{JobProgram, Segments, Step, StepWork};
use crate::device::state::state::Task;
use crate::device::throttle::Stint;
use crate::encoding::{Encoder, Encoding, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Inputs};
use crate::tensor::Tensor;
use cutpoint_plan::plan::{self, Operation};
use cutpoint_plan::workload::{JobId, LayerId, TensorId};
use std::collections::BTreeMap;

/// The state of the compute thread.
pub(crate) struct Compute<'a> {
    monitor: &'a Monitor<'a>,
    segments: Segments,
    device: &'a mut Device,
    /// For each job, the tensors that its layers have written and that are still needed.
    stores: BTreeMap<JobId, BTreeMap<String, Tensor>>,
    encoder: Encoder,
    /// What is encoded and may not leave yet.
    encoded: BTreeMap<(JobId, TensorId), Form>,
}

impl<'a> Compute<'a> {
    pub(crate) fn new(
        monitor: &'a Monitor<'a>,
        segments: Segments,
        device: &'a mut Device,
        encoder: Encoder,
    ) -> Compute<'a> {
        let (stores, encoded) = (BTreeMap::new(), BTreeMap::new());
        Compute { monitor, segments, device, stores, encoder, encoded }
    }

    pub(crate) fn run(mut self) {
        let mut ended = Vec::new();
        while let Some(task) = self.monitor.next_task(&mut ended) {
            for job in ended.drain(..) {
                self.forget(job);
            }
            let (id, result) = match task {
                Task::Step(step, job) => (step.job, self.step(&step, &job)),
                Task::Finish(id, job) => (id, self.finish(id, &job)),
            };
            if let Err(error) = result {
                log::error!("job {}: {error:?}", id.0);
                self.forget(id);
                self.monitor.tell(|state| state.drop_job(id, Event::Failed(id, error)));
            }
        }
        self.monitor.report(Event::ThreadEnded);
    }

    fn forget(&mut self, job: JobId) {
        self.stores.remove(&job);
        self.encoded.retain(|(of, _), _| *of != job);
    }

    fn step(&mut self, step: &Step, job: &Job) -> Result<()> {
        let id = step.job;
        // Usually loaded already; plans do not count loading time.
        let inputs = &*self.monitor.inputs(job)?;
        match &step.work {
            StepWork::Layers { segments, layers } => {
                let last = *layers.last().expect("a step has a layer");
                self.run_segments(id, job, inputs, segments, last)?;
            }
            StepWork::Encode(tensor, encoding) => {
                self.encode(id, (job, inputs), *tensor, *encoding)?
            }
        }
        for &tensor in &step.departs {
            let form = match self.encoded.remove(&(id, tensor)) {
                Some(form) => form,
                None => self.tensor(id, (job, inputs), tensor)?.clone().into(),
            };
            self.monitor.put(id, tensor, form);
        }
        let model = self.monitor.model(job);
        if let Some(store) = self.stores.get_mut(&id) {
            for tensor in &step.drops {
                store.remove(&model.tensors[tensor.index()].name);
            }
        }
        if step.is_last {
            self.device_part_is_done(id, job);
        }
        Ok(())
    }

    /// A tensor of a job that is on the device.
    fn tensor<'s>(
        &'s self,
        id: JobId,
        (job, inputs): (&Job, &'s Inputs),
        tensor: TensorId,
    ) -> Result<&'s Tensor> {
        let name = &self.monitor.model(job).tensors[tensor.index()].name;
        let stored = self.stores.get(&id).and_then(|store| store.get(name));
        match (stored, inputs.get(name)) {
            (Some(made), _) => Ok(made),
            (None, Some(input)) => input.tensor(),
            (None, None) => Err(Error::new(
                ErrorKind::Input,
                "missing tensor: not an input, and no layer has written it",
            )
            .at(name)),
        }
    }

    /// Brings a tensor into an encoding; one that the encoding cannot hold is sent raw. The tensor
    /// itself stays, in case that the device has to finish the job.
    fn encode(
        &mut self,
        id: JobId,
        (job, inputs): (&Job, &Inputs),
        tensor: TensorId,
        how: Encoding,
    ) -> Result<()> {
        if !self.monitor.ask(|state| state.jobs.wants_reply(id)) {
            return Ok(());
        }
        let stint = Stint::begin(self.device.clock());
        let name = &self.monitor.model(job).tensors[tensor.index()].name;
        let encoded = match inputs.get(name) {
            Some(input) => self.encoder.encode_input(how, input),
            None => {
                let value = self.tensor(id, (job, inputs), tensor)?.clone();
                self.encoder.encode(how, &value)
            }
        };
        let form = match encoded {
            Ok(encoded) => Form::Encoded(encoded),
            Err(error) => {
                let raw = Form::Raw(self.tensor(id, (job, inputs), tensor)?.clone());
                log::warn!("job {}: tensor {name:?} is sent raw: {error}", id.0);
                raw
            }
        };
        self.device.speed.rest_after(stint, self.device.clock());
        self.encoded.insert((id, tensor), form);
        self.report(id, plan::Work::Encode(tensor), stint);
        Ok(())
    }

    /// Reports what was done since a stint began.
    fn report(&self, job: JobId, work: plan::Work, stint: Stint) {
        let (start, end) = (self.monitor.at(stint.start()), self.monitor.now());
        self.monitor.report(Event::Operation(Operation { job, work, start, end }));
    }

    /// The server's part of a job, on the device.
    fn finish(&mut self, id: JobId, job: &Job) -> Result<()> {
        let inputs = &*self.monitor.inputs(job)?;
        let JobProgram { model, server_segments, .. } = &job.program;
        let all = &self.segments[model.index()];
        let last = server_segments.last().and_then(|&s| all[s].layers.last()).copied();
        let before = self.outputs(id, job);
        self.run_segments(id, job, inputs, server_segments, last.unwrap_or(LayerId(0)))?;
        let mut outputs = self.outputs(id, job);
        outputs.retain(|(name, _)| before.iter().all(|(n, _)| n != name));
        let now = self.monitor.now();
        self.monitor.tell(|state| state.device_done(id, false, outputs, now));
        Ok(())
    }

    fn run_segments(
        &mut self,
        id: JobId,
        job: &Job,
        inputs: &Inputs,
        segments: &[usize],
        last: LayerId,
    ) -> Result<()> {
        let stint = Stint::begin(self.device.clock());
        let store = self.stores.entry(id).or_default();
        for &segment in segments {
            let written =
                self.device.run(job.program.model, segment, |name| match store.get(name) {
                    Some(made) => Ok(Some(made)),
                    None => inputs.get(name).map(Input::tensor).transpose(),
                })?;
            store.extend(written);
        }
        self.device.rest_after(stint, job.program.model, segments);
        self.report(id, plan::Work::Layer(last), stint);
        Ok(())
    }

    fn device_part_is_done(&mut self, id: JobId, job: &Job) {
        let outputs = self.outputs(id, job);
        if !job.program.is_offloaded {
            self.stores.remove(&id);
        }
        // The server, or the device in its place, needs the frontier alone.
        let tensors = &self.monitor.model(job).tensors;
        let uploads = &job.program.partition.uploads;
        job.inputs.keep(|name| uploads.iter().any(|u| tensors[u.tensor.index()].name == name));
        let now = self.monitor.now();
        self.monitor.tell(|state| state.device_done(id, true, outputs, now));
    }

    /// The outputs of a job's model that the device has made so far.
    fn outputs(&self, id: JobId, job: &Job) -> Vec<(String, Tensor)> {
        let model = self.monitor.model(job);
        let Some(store) = self.stores.get(&id) else { return Vec::new() };
        let names = model.outputs.iter().map(|t| &model.tensors[t.index()].name);
        names.filter_map(|n| store.get(n).map(|value| (n.clone(), value.clone()))).collect()
    }
}
