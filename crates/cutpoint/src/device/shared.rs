//! What the threads of a run share: the jobs, the agenda and the session, behind one lock.

use super::agenda::Agenda;
use super::ahead::{Ahead, Held, JOBS_AHEAD, LoadedAhead};
use super::backlog::Costs;
use super::execute::Event;
use super::expected::Expected;
use super::plan_anew::Planned;
use super::probing::Uplink;
use super::program::{Send, Step};
use super::session::Session;
use super::unanswered::Unanswered;
use crate::encoding::Form;
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Inputs, Supply};
use crate::tensor::Tensor;
use cutpoint_plan::plan::{Operation, Partition};
use cutpoint_plan::replan::Backlog;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, Model, ModelId, TensorId, Workload};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

/// A job that has not ended, as it is planned.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) model: ModelId,
    pub(super) partition: Arc<Partition>,
    pub(super) inputs: Arc<Held>,
    pub(super) is_offloaded: bool,
    /// What the device runs if the server is lost.
    pub(super) server_segments: Vec<usize>,
    /// The name of its suffix on the server, if that has a part in it.
    pub(super) suffix: Option<Arc<str>>,
}

/// The state of a run.
pub(super) struct State {
    pub(super) session: Session,
    agenda: Agenda,
    unanswered: Unanswered,
    jobs: BTreeMap<JobId, Arc<Job>>,
    /// Jobs that have ended, and whose tensors the compute thread may still hold.
    ended: Vec<JobId>,
    /// What the compute thread has in hand.
    step: Option<Step>,
    /// What the sender has in hand.
    send: Option<Send>,
}

/// What the threads share.
pub(super) struct Shared<'a> {
    pub(super) workload: &'a Workload,
    expected: &'a Expected<'a>,
    /// Where inputs come from that did not come with their job.
    supply: Option<&'a dyn Supply>,
    state: Mutex<State>,
    changed: Condvar,
    epoch: Instant,
}

/// The server's outputs for a job, and how they came about.
pub(super) struct Returned {
    pub(super) suffix: Operation,
    /// Their way back, if the downlink is known.
    pub(super) download: Option<Operation>,
    pub(super) outputs: Vec<(String, Tensor)>,
}

/// What the compute thread is to do next.
pub(super) enum Task {
    /// A step of the plan.
    Step(Step, Arc<Job>),
    /// The server's part of a job.
    Finish(JobId, Arc<Job>),
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        expected: &'a Expected<'a>,
        supply: Option<&'a dyn Supply>,
        session: Session,
        bytes_max: usize,
    ) -> Shared<'a> {
        let agenda = Agenda::new(bytes_max);
        let unanswered = Unanswered::new(bytes_max);
        let (jobs, ended) = (BTreeMap::new(), Vec::new());
        let state = State { session, agenda, unanswered, jobs, ended, step: None, send: None };
        Shared {
            workload: expected.workload,
            expected,
            supply,
            state: Mutex::new(state),
            changed: Condvar::new(),
            epoch: Instant::now(),
        }
    }

    /// The run's time begins here.
    pub(super) fn start(&mut self) {
        self.epoch = Instant::now();
    }

    pub(super) fn at(&self, instant: Instant) -> Time {
        let since = instant.saturating_duration_since(self.epoch);
        Time::from_nanoseconds(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn now(&self) -> Time {
        self.at(Instant::now())
    }

    pub(super) fn model(&self, job: &Job) -> &'a Model {
        &self.workload.models[job.model.index()]
    }

    /// Applies what happened, and wakes whoever waits for a change.
    pub(super) fn tell<T>(&self, handle: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = handle(&mut state);
        drop(state);
        self.changed.notify_all();
        result
    }

    /// Reads the state.
    pub(super) fn ask<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock())
    }

    /// Waits for the compute thread's next task; `None` once all jobs have ended. Fills `ended`
    /// with the jobs that have ended since the last call.
    ///
    /// While the server is there, steps come before what it left undone: they keep the uplink busy.
    pub(super) fn next_task(&self, ended: &mut Vec<JobId>) -> Option<Task> {
        let mut state = self.lock();
        loop {
            ended.append(&mut state.ended);
            state.step = None;
            if state.session.is_finished() {
                return None;
            }
            let is_free = state.session.lost().is_some() || !state.agenda.has_steps();
            if is_free && let Some(job) = state.session.poll_fallback() {
                if let Some(planned) = state.jobs.get(&job) {
                    return Some(Task::Finish(job, planned.clone()));
                }
            } else if let Some(step) = state.agenda.take_step() {
                if state.begin(step.job) {
                    // Another job comes next.
                    self.changed.notify_all();
                }
                if let Some(planned) = state.jobs.get(&step.job).cloned() {
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
    pub(super) fn next_send(&self, connection: u32) -> Option<(Send, Arc<Job>, Option<Form>)> {
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
                if let Some(planned) = state.jobs.get(&send.job).cloned() {
                    let bytes = bytes_of(self.workload, &planned, send.tensor);
                    state.unanswered.add(send.job, bytes);
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

    /// Waits for what is to be loaded next, ahead of the jobs; `None` once all jobs have ended.
    pub(super) fn next_ahead(&self, loaded: &mut LoadedAhead) -> Option<Ahead> {
        let mut state = self.lock();
        loop {
            if state.session.is_finished() {
                return None;
            }
            if let Some(ahead) = state.poll_ahead(loaded) {
                return Some(ahead);
            }
            state = self.wait(state);
        }
    }

    /// Loads the inputs of a job from where they come from.
    pub(super) fn load(&self, id: JobId, model: ModelId) -> Result<Inputs> {
        let supply = self.supply.filter(|supply| id.index() < supply.count());
        let supply = supply.ok_or_else(|| Error::new(ErrorKind::Input, "it has no inputs"))?;
        // A run without this thread would not end.
        let inputs = catch_unwind(AssertUnwindSafe(|| supply.inputs(id.index())))
            .map_err(|_| Error::new(ErrorKind::Input, "loading its inputs failed badly"))?;
        self.expected.check_inputs(model, &inputs)?;
        Ok(inputs)
    }

    /// A tensor waits for the uplink, if the server still has a part in its job; holds the caller
    /// while too many bytes wait.
    pub(super) fn put(&self, job: JobId, tensor: TensorId, form: Form) {
        let mut state = self.lock();
        while state.session.wants_reply(job) {
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
}

impl State {
    /// Whether a connection is the one in use, and the server may still have something to do.
    pub(super) fn is_in_use(&self, connection: u32) -> bool {
        self.session.connection() == Some(connection) && self.session.needs_server()
    }

    /// Whether nothing more will be sent, whatever is planned: the server may end the stream once
    /// it has answered.
    fn has_sent_all(&self) -> bool {
        !self.agenda.has_sends() && !self.session.may_offload_again()
    }

    /// Whether the tensor whose turn it is has to stay, for the memory that what was sent takes.
    fn must_not_send_yet(&self, workload: &Workload) -> bool {
        let Some(next) = self.agenda.next_send() else { return false };
        let Some(job) = self.jobs.get(&next.job) else { return false };
        let bytes = bytes_of(workload, job, next.tensor);
        !self.unanswered.has_room(next.job, bytes, self.session.owes_answers())
    }

    /// What the uplink does, as far as the plan knows.
    pub(super) fn uplink(&self) -> Uplink {
        if self.send.is_some() || self.agenda.can_send() {
            return Uplink::Busy;
        }
        if self.agenda.has_sends() { Uplink::Waits } else { Uplink::Quiet }
    }

    /// What the machines still have to do for the jobs that have begun, on an uplink of this
    /// bandwidth.
    pub(super) fn backlog(&self, workload: &Workload, uplink: Bandwidth) -> Backlog {
        let steps = self.agenda.steps().chain(&self.step);
        let sends = self.agenda.sends().chain(&self.send);
        let begun = |job: JobId| self.jobs.get(&job).filter(|_| self.session.has_begun(job));
        let costs = Costs { workload, uplink };
        let device = steps.filter_map(|s| Some(costs.of_step(begun(s.job)?, s))).sum();
        let uplink = sends.filter_map(|s| Some(costs.of_send(begun(s.job)?, s))).sum();
        let owed = self
            .jobs
            .iter()
            .filter(|(id, _)| self.session.has_begun(**id) && self.session.wants_reply(**id));
        let server = owed.map(|(_, job)| costs.of_suffix(job)).sum::<Time>();
        Backlog { device, uplink, server: costs.shared_out(server) }
    }

    /// The jobs that have not begun.
    pub(super) fn fresh(&self) -> Vec<(JobId, Arc<Job>)> {
        let known = |job| Some((job, self.jobs.get(&job)?.clone()));
        self.session.fresh().filter_map(known).collect()
    }

    /// What is to be loaded next, ahead of the jobs that come next, or put back; `loaded` is what has
    /// been.
    pub(super) fn poll_ahead(&self, loaded: &mut LoadedAhead) -> Option<Ahead> {
        loaded.retain(|&job, _| !self.session.has_begun(job));
        let coming = self.agenda.coming(JOBS_AHEAD, |job| !self.session.has_begun(job));
        let early = loaded.keys().find(|job| !coming.contains(job)).copied();
        if let Some(held) = early.and_then(|job| loaded.remove(&job)) {
            return Some(Ahead::PutBack(held));
        }
        let next = coming.into_iter().find(|job| !loaded.contains_key(job))?;
        let job = self.jobs.get(&next)?;
        loaded.insert(next, job.inputs.clone());
        Some(Ahead::Load(next, job.clone()))
    }

    /// A plan is in force from now on for those of its jobs that have not begun; `inputs` has those
    /// of jobs that are new. Returns how many jobs that are.
    pub(super) fn plan(
        &mut self,
        planned: Planned,
        mut inputs: BTreeMap<JobId, Arc<Held>>,
        events: &Sender<Event>,
    ) -> usize {
        let Planned { program, suffixes, .. } = planned;
        let mut fresh = BTreeSet::new();
        let mut complete = Vec::new();
        for (part, suffix) in program.jobs.iter().zip(suffixes) {
            let job = part.job;
            let known = self.jobs.get(&job).map(|known| known.inputs.clone());
            let Some(inputs) = inputs.remove(&job).or(known) else { continue };
            if self.session.is_known(job) && self.session.has_begun(job) {
                continue;
            }
            let described = Job {
                model: part.model,
                partition: part.partition.clone(),
                inputs,
                is_offloaded: part.is_offloaded,
                server_segments: part.server_segments.clone(),
                suffix,
            };
            self.jobs.insert(job, Arc::new(described));
            fresh.insert(job);
            if self.session.handle_planned(job, part.has_steps, part.is_offloaded) {
                complete.push(job);
            }
        }
        self.agenda.plan(program, &fresh);
        complete.into_iter().for_each(|job| self.end(job, events));
        fresh.len()
    }

    /// Says whether that is news.
    fn begin(&mut self, job: JobId) -> bool {
        let is_news = !self.session.has_begun(job);
        if self.session.handle_begun(job) {
            self.agenda.drop_sends(|other| other == job);
        }
        is_news
    }

    /// All jobs begin, as they were planned: nobody will plan them anew.
    pub(super) fn begin_all(&mut self) {
        let fresh: Vec<JobId> = self.session.fresh().collect();
        for job in fresh {
            self.session.handle_begun(job);
        }
        self.drop_unwanted_sends();
    }

    /// The device has done its part of a job, with these outputs.
    pub(super) fn device_done(
        &mut self,
        job: JobId,
        outputs: Vec<(String, Tensor)>,
        now: Time,
        events: &Sender<Event>,
    ) {
        let _ = events.send(Event::Part(job, outputs, now));
        if self.session.handle_device_done(job) {
            self.end(job, events);
        }
    }

    /// The device has done the server's part of a job, with these outputs.
    pub(super) fn finished(
        &mut self,
        job: JobId,
        outputs: Vec<(String, Tensor)>,
        now: Time,
        events: &Sender<Event>,
    ) {
        let _ = events.send(Event::Part(job, outputs, now));
        if self.session.handle_finished_on_device(job) {
            self.end(job, events);
        }
    }

    /// The server's outputs for a job have come.
    pub(super) fn replied(&mut self, returned: Returned, now: Time, events: &Sender<Event>) {
        let Returned { suffix, download, outputs } = returned;
        let job = suffix.job;
        if self.session.is_unsent(job) {
            self.agenda.drop_sends(|other| other == job);
        }
        if self.session.wants_reply(job) {
            for operation in [Some(suffix), download].into_iter().flatten() {
                let _ = events.send(Event::Operation(operation));
            }
            let _ = events.send(Event::Part(job, outputs, now));
        }
        if self.session.handle_reply(job, now) {
            self.end(job, events);
        }
    }

    /// A job whose reply is still wanted.
    pub(super) fn wanted(&self, job: JobId) -> Option<Arc<Job>> {
        self.jobs.get(&job).filter(|_| self.session.wants_reply(job)).cloned()
    }

    /// The server refused a job.
    pub(super) fn refused(&mut self, job: JobId, cause: &str, now: Time) {
        self.session.handle_refused(job, cause, now);
        self.agenda.drop_sends(|other| other == job);
    }

    /// A connection broke; says whether that is news.
    pub(super) fn lost(&mut self, connection: u32, cause: &str, now: Time) -> bool {
        let is_news = self.session.handle_lost(connection, cause, now);
        if is_news {
            self.drop_unwanted_sends();
        }
        is_news
    }

    /// Finds out whether the server has been silent for too long; says whether that is news.
    pub(super) fn poll_silence(&mut self, now: Time) -> bool {
        let is_news = self.session.poll_silence(now);
        if is_news {
            self.drop_unwanted_sends();
        }
        is_news
    }

    /// A job cannot be computed.
    pub(super) fn failed(&mut self, job: JobId, error: Error, events: &Sender<Event>) {
        self.agenda.drop_job(job);
        if self.session.handle_failed(job) {
            self.unanswered.end(job);
            self.jobs.remove(&job);
            self.ended.push(job);
            let _ = events.send(Event::Failed(job, error));
        }
    }

    fn end(&mut self, job: JobId, events: &Sender<Event>) {
        self.unanswered.end(job);
        self.jobs.remove(&job);
        self.ended.push(job);
        let _ = events.send(Event::Ended(job));
    }

    fn drop_unwanted_sends(&mut self) {
        let session = &self.session;
        self.agenda.drop_sends(|job| !session.wants_reply(job));
    }
}

/// How many bytes a tensor of a job takes on the device.
fn bytes_of(workload: &Workload, job: &Job, tensor: TensorId) -> usize {
    let bytes = workload.models[job.model.index()].tensors[tensor.index()].bytes;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
