//! The shared state of a run's threads, behind one lock.

use super::event::Event;
use super::inputs::LoadedAhead;
use super::job::Job;
use super::program::Send;
use super::state::jobs::JobStates;
use super::state::state::{State, Task, bytes_of};
use super::tensor_checks::TensorChecks;
use crate::encoding::{Encoding, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Inputs, Supply};
use cutpoint_plan::plan::{Partition, Upload};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, ModelGraph, ModelId, TensorId, Workload};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// A duration as a time, which ends after 584 years.
pub(crate) fn time_of(duration: Duration) -> Time {
    Time::from_nanoseconds(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// The shared state of the threads.
pub(crate) struct Monitor<'a> {
    pub(crate) workload: &'a Workload,
    pub(crate) checks: &'a TensorChecks<'a>,
    /// Where inputs come from that did not come with their job.
    supply: Option<&'a dyn Supply>,
    events: Sender<Event>,
    state: Mutex<State>,
    changed: Condvar,
    /// When the run's time began.
    epoch: OnceLock<Instant>,
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(
        checks: &'a TensorChecks<'a>,
        supply: Option<&'a dyn Supply>,
        jobs: JobStates,
        bytes_max: usize,
        events: Sender<Event>,
    ) -> Monitor<'a> {
        let state = State::new(jobs, bytes_max, events.clone());
        Monitor {
            events,
            workload: checks.workload,
            checks,
            supply,
            state: Mutex::new(state),
            changed: Condvar::new(),
            epoch: OnceLock::new(),
        }
    }

    /// The run's time begins here.
    pub(crate) fn start(&self) {
        self.epoch.get_or_init(Instant::now);
    }

    pub(crate) fn at(&self, instant: Instant) -> Time {
        let since = |epoch| time_of(instant.saturating_duration_since(epoch));
        self.epoch.get().map_or(Time::ZERO, |&epoch| since(epoch))
    }

    pub(crate) fn now(&self) -> Time {
        self.at(Instant::now())
    }

    pub(crate) fn model(&self, job: &Job) -> &'a ModelGraph {
        &self.workload.models()[job.program.model.index()]
    }

    /// Tells the executor; without effect once that has ended.
    pub(crate) fn report(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Applies what happened, and wakes the threads that wait for a change.
    pub(crate) fn tell<T>(&self, handle: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = handle(&mut state);
        drop(state);
        self.changed.notify_all();
        result
    }

    /// Reads the state.
    pub(crate) fn ask<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock())
    }

    /// Waits for the compute thread's next task; `None` once all jobs have ended. Fills `ended`
    /// with the jobs that have ended since the last call.
    ///
    /// While the server is there, steps come before what it left undone: they keep the uplink busy.
    pub(crate) fn next_task(&self, ended: &mut Vec<JobId>) -> Option<Task> {
        let mut state = self.lock();
        loop {
            ended.append(&mut state.ended);
            state.step = None;
            if state.jobs.is_finished() {
                return None;
            }
            let is_free = state.jobs.lost().is_some() || state.agenda.steps.is_empty();
            if is_free && let Some(job) = state.jobs.poll_fallback() {
                if let Some(planned) = state.planned.get(&job) {
                    return Some(Task::Finish(job, planned.clone()));
                }
            } else if let Some(step) = state.agenda.steps.pop_front() {
                if state.begin(step.job) {
                    // Another job comes next.
                    self.changed.notify_all();
                }
                if let Some(planned) = state.planned.get(&step.job).cloned() {
                    state.step = Some(step.clone());
                    return Some(Task::Step(step, planned));
                }
            } else {
                state = self.wait(state);
            }
        }
    }

    /// Waits for the next tensor that is to leave through a connection; `None` once nothing more
    /// will.
    pub(crate) fn next_send(&self, connection: u32) -> Option<(Send, Arc<Job>, Option<Form>)> {
        let mut state = self.lock();
        state.send = None;
        loop {
            if !state.is_in_use(connection) || state.has_sent_all() {
                return None;
            }
            if state.must_not_send_yet(self.workload) {
                state.agenda.hold_sender_back();
                state = self.wait(state);
            } else if let Some((send, form)) = state.agenda.take_send() {
                state.begin(send.job);
                // The compute thread may wait for the room of what was taken.
                self.changed.notify_all();
                if let Some(planned) = state.planned.get(&send.job).cloned() {
                    let bytes = bytes_of(self.workload, &planned, send.tensor);
                    state.retained.add(send.job, bytes);
                    state.send = Some(send);
                    return Some((send, planned, form));
                }
            } else {
                // An idle sender makes room, too.
                self.changed.notify_all();
                state = self.wait(state);
            }
        }
    }

    /// Waits for the job whose inputs are to be loaded next; `None` once all jobs have ended.
    pub(crate) fn next_ahead(&self, loaded: &mut LoadedAhead) -> Option<Arc<Job>> {
        let mut state = self.lock();
        loop {
            if state.jobs.is_finished() {
                return None;
            }
            if let Some(job) = state.poll_ahead(loaded) {
                return Some(job);
            }
            state = self.wait(state);
        }
    }

    /// Loads inputs from the supply.
    fn load(&self, number: usize, model: ModelId) -> Result<Inputs> {
        let supply = self.supply.filter(|supply| number < supply.count());
        let supply =
            supply.ok_or_else(|| Error::new(ErrorKind::Input, "no inputs for this job"))?;
        // A run without this thread would not end.
        let inputs = catch_unwind(AssertUnwindSafe(|| supply.inputs(number)))
            .map_err(|_| Error::new(ErrorKind::Input, "the input source panicked"))?;
        self.checks.check_inputs(model, &inputs)?;
        Ok(inputs)
    }

    /// A tensor waits for the uplink, if the server still has a part in its job; holds the caller
    /// while too many bytes wait.
    pub(crate) fn put(&self, job: JobId, tensor: TensorId, form: Form) {
        let mut state = self.lock();
        while state.jobs.wants_reply(job) {
            if state.agenda.has_room(form.bytes().len()) {
                state.agenda.put(job, tensor, form);
                drop(state);
                self.changed.notify_all();
                return;
            }
            state = self.wait(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds this lock")
    }

    fn wait<'g>(&self, state: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
        self.changed.wait(state).expect("no thread panics while it holds this lock")
    }

    /// A job's inputs, loaded, and decoded as its plan needs them.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if they do not fit its model; why one could not be read.
    pub(crate) fn inputs(&self, job: &Job) -> Result<Arc<Inputs>> {
        let inputs = job.inputs.get(|number| self.load(number, job.program.model))?;
        decode(self.model(job), &job.program.partition, &inputs);
        Ok(inputs)
    }
}

/// Decodes the pictures that a layer on the device reads, or that are not sent as they came. One
/// that is damaged fails its job when it is needed.
fn decode(model: &ModelGraph, partition: &Partition, inputs: &Inputs) {
    for &id in &model.inputs {
        let tensor = &model.tensors[id.index()];
        let Some(Input::Picture(picture)) = inputs.get(&tensor.name) else { continue };
        let is_read = |&layer| partition.device_layers.contains(layer);
        let mut is_decoded = tensor.readers.iter().any(is_read);
        for &Upload { encoding, .. } in partition.uploads.iter().filter(|u| u.tensor == id) {
            let name = encoding.and_then(|e| tensor.encodings.get(e)).map(|e| e.name.as_str());
            match name.and_then(Encoding::from_name) {
                Some(Encoding::FILE) => {}
                Some(Encoding::PIXELS | Encoding::PIXELS_ZSTD) => drop(picture.pixels()),
                _ => is_decoded = true,
            }
        }
        if is_decoded {
            drop(picture.tensor());
        }
    }
}
