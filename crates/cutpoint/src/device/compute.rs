//! The compute thread: runs and encodes in the order of the program's steps, then does whatever the
//! server did not do.

use super::execute::{Event, Shared};
use super::prepare::Device;
use super::program::{Program, Step, StepWork};
use super::throttle::Stint;
use crate::encoding::{Encoder, Encoding, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::input::Input;
use crate::tensor::Tensor;
use cutpoint_plan::plan::{self, Operation};
use cutpoint_plan::workload::{JobId, LayerId, TensorId};
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::time::Instant;

/// The state of the compute thread.
pub(super) struct Compute<'a> {
    shared: &'a Shared<'a>,
    program: &'a Program,
    device: &'a mut Device,
    /// For each job, the tensors that its layers have written and that are still needed.
    stores: Vec<BTreeMap<String, Tensor>>,
    encoder: Encoder,
    /// What is encoded and may not leave yet.
    encoded: BTreeMap<(JobId, TensorId), Form>,
    failed: Vec<bool>,
    events: Sender<Event>,
}

impl<'a> Compute<'a> {
    pub(super) fn new(
        shared: &'a Shared<'a>,
        program: &'a Program,
        device: &'a mut Device,
        encoder: Encoder,
        events: Sender<Event>,
    ) -> Compute<'a> {
        let count = program.jobs.len();
        let stores = vec![BTreeMap::new(); count];
        let failed = (0..count).map(|j| shared.has_ended(JobId::at(j))).collect();
        let encoded = BTreeMap::new();
        Compute { shared, program, device, stores, encoder, encoded, failed, events }
    }

    pub(super) fn run(mut self) {
        for (j, job) in self.program.jobs.iter().enumerate() {
            if !job.has_steps && !self.failed[j] {
                self.device_part_is_done(JobId::at(j));
            }
        }
        for step in &self.program.steps {
            if self.shared.is_cancelled() {
                break;
            }
            if !self.failed[step.job.index()]
                && let Err(error) = self.step(step)
            {
                self.fail(step.job, error);
            }
        }
        while let Some(job) = self.shared.wait_for_fallback() {
            if let Err(error) = self.finish(job) {
                self.fail(job, error);
            }
        }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let job = step.job;
        match &step.work {
            StepWork::Layers { segments, layers } => {
                let last = *layers.last().expect("a step has a layer");
                self.run_segments(job, segments, last)?;
            }
            StepWork::Encode(tensor, encoding) => self.encode(job, *tensor, *encoding)?,
        }
        for &tensor in &step.departs {
            let form = match self.encoded.remove(&(job, tensor)) {
                Some(form) => form,
                None => self.tensor(job, tensor)?.clone().into(),
            };
            self.shared.outbox.put(job, tensor, form);
        }
        let model = self.shared.workload.model_of(job);
        let store = &mut self.stores[job.index()];
        for tensor in &step.drops {
            store.remove(&model.tensors[tensor.index()].name);
        }
        if step.is_last {
            self.device_part_is_done(job);
        }
        Ok(())
    }

    /// A tensor of a job that is on the device.
    fn tensor(&self, job: JobId, tensor: TensorId) -> Result<&Tensor> {
        let name = &self.shared.workload.model_of(job).tensors[tensor.index()].name;
        let (store, inputs) = (&self.stores[job.index()], &self.shared.inputs[job.index()]);
        match (store.get(name), inputs.get(name)) {
            (Some(made), _) => Ok(made),
            (None, Some(input)) => input.tensor(),
            (None, None) => {
                Err(Error::new(ErrorKind::Input, "it is needed, and nothing made it").at(name))
            }
        }
    }

    /// Brings a tensor into an encoding; one that the encoding cannot hold is sent raw. The tensor
    /// itself stays, in case that the device has to finish the job.
    fn encode(&mut self, job: JobId, tensor: TensorId, encoding: Encoding) -> Result<()> {
        if self.shared.outbox.is_closed() {
            return Ok(());
        }
        let stint = Stint::begin();
        let name = &self.shared.workload.model_of(job).tensors[tensor.index()].name;
        let encoded = match self.shared.inputs[job.index()].get(name) {
            Some(input) => self.encoder.encode_input(encoding, input),
            None => {
                let value = self.tensor(job, tensor)?.clone();
                self.encoder.encode(encoding, &value)
            }
        };
        let form = match encoded {
            Ok(encoded) => Form::Encoded(encoded),
            Err(error) => {
                let raw = Form::Raw(self.tensor(job, tensor)?.clone());
                log::warn!("job {}: tensor {name:?} is sent raw: {error}", job.0);
                raw
            }
        };
        self.device.speed.rest_after(stint);
        self.encoded.insert((job, tensor), form);
        self.report(job, plan::Work::Encode(tensor), stint);
        Ok(())
    }

    /// Reports what was done since a stint began.
    fn report(&self, job: JobId, work: plan::Work, stint: Stint) {
        let (start, end) = (self.shared.at(stint.start()), self.shared.at(Instant::now()));
        let _ = self.events.send(Event::Operation(Operation { job, work, start, end }));
    }

    /// The server's part of a job, on the device.
    fn finish(&mut self, job: JobId) -> Result<()> {
        let segments = &self.program.jobs[job.index()].server_segments;
        let model = self.program.jobs[job.index()].model.index();
        let last = segments.last().map(|&s| &self.program.segments[model][s].layers);
        let last = last.and_then(|layers| layers.last()).copied();
        let before = self.outputs(job);
        self.run_segments(job, segments, last.unwrap_or(LayerId(0)))?;
        let mut outputs = self.outputs(job);
        outputs.retain(|(name, _)| before.iter().all(|(n, _)| n != name));
        self.stores[job.index()].clear();
        let now = self.shared.at(Instant::now());
        let _ = self.events.send(Event::Part(job, outputs, now));
        self.shared.tell(|session| session.handle_finished_on_device(job));
        Ok(())
    }

    fn run_segments(&mut self, job: JobId, segments: &[usize], last: LayerId) -> Result<()> {
        let model = self.program.jobs[job.index()].model;
        let stint = Stint::begin();
        for &segment in segments {
            let (store, inputs) = (&self.stores[job.index()], &self.shared.inputs[job.index()]);
            let written = self.device.run(model, segment, |name| match store.get(name) {
                Some(made) => Ok(Some(made)),
                None => inputs.get(name).map(Input::tensor).transpose(),
            })?;
            self.stores[job.index()].extend(written);
        }
        self.device.speed.rest_after(stint);
        self.report(job, plan::Work::Layer(last), stint);
        Ok(())
    }

    fn device_part_is_done(&mut self, job: JobId) {
        let outputs = self.outputs(job);
        if !self.program.jobs[job.index()].is_offloaded {
            self.stores[job.index()].clear();
        }
        let now = self.shared.at(Instant::now());
        let _ = self.events.send(Event::Part(job, outputs, now));
        self.shared.tell(|session| session.handle_device_done(job));
    }

    /// The outputs of a job's model that the device has made so far.
    fn outputs(&self, job: JobId) -> Vec<(String, Tensor)> {
        let model = self.shared.workload.model_of(job);
        let names = model.outputs.iter().map(|t| &model.tensors[t.index()].name);
        let store = &self.stores[job.index()];
        names.filter_map(|n| store.get(n).map(|value| (n.clone(), value.clone()))).collect()
    }

    fn fail(&mut self, job: JobId, error: Error) {
        self.failed[job.index()] = true;
        self.stores[job.index()].clear();
        self.encoded.retain(|(of, _), _| *of != job);
        self.shared.fail(job, error, &self.events);
    }
}
