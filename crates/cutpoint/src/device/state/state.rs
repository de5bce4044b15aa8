//! The state of a run: the jobs, the agenda and what is retained, behind the monitor's lock.

use super::agenda::Agenda;
use super::backlog::Costs;
use super::jobs::JobStates;
use super::retained::Retained;
use crate::bandwidth::probe_schedule::UplinkState;
use crate::device::event::Event;
use crate::device::inputs::{JobInputs, LoadedAhead};
use crate::device::job::Job;
use crate::device::planner::Planned;
use crate::device::program::{Send, Step};
use crate::tensor::Tensor;
use cutpoint_plan::plan::Operation;
use cutpoint_plan::replan::Backlog;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, TensorId, Workload};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// How many upcoming jobs are preloaded ahead of the device, and as many ahead of the uplink.
pub(crate) const JOBS_AHEAD: usize = 3;

/// The state of a run.
pub(crate) struct State {
    pub(crate) jobs: JobStates,
    pub(crate) agenda: Agenda,
    pub(crate) retained: Retained,
    pub(crate) planned: BTreeMap<JobId, Arc<Job>>,
    /// Jobs that have ended, and whose tensors the compute thread may still hold.
    pub(crate) ended: Vec<JobId>,
    /// The current work of the compute thread.
    pub(crate) step: Option<Step>,
    /// The tensor that the sender is sending.
    pub(crate) send: Option<Send>,
    events: Sender<Event>,
}

/// The server's outputs for a job, and how they came about.
pub(crate) struct Returned {
    pub(crate) suffix: Operation,
    /// Their way back, if the downlink is known.
    pub(crate) download: Option<Operation>,
    pub(crate) outputs: Vec<(String, Tensor)>,
}

/// The next work of the compute thread.
pub(crate) enum Task {
    /// A step of the plan.
    Step(Step, Arc<Job>),
    /// The server's part of a job.
    Finish(JobId, Arc<Job>),
}

impl State {
    /// Nothing planned yet; holds back device and uplink above `bytes_max` of tensors.
    pub(crate) fn new(jobs: JobStates, bytes_max: usize, events: Sender<Event>) -> State {
        State {
            jobs,
            agenda: Agenda::new(bytes_max),
            retained: Retained::new(bytes_max),
            planned: BTreeMap::new(),
            ended: Vec::new(),
            step: None,
            send: None,
            events,
        }
    }

    /// Whether a connection is the one in use, and the server may still have something to do.
    pub(crate) fn is_in_use(&self, connection: u32) -> bool {
        self.jobs.connection() == Some(connection) && self.jobs.needs_server()
    }

    /// Whether nothing more will be sent, whatever is planned: the server may end the stream once
    /// it has answered.
    pub(crate) fn has_sent_all(&self) -> bool {
        self.agenda.sends.is_empty() && !self.jobs.may_offload_again()
    }

    /// Whether the tensor whose turn it is has to stay, for the memory that what was sent takes.
    pub(crate) fn must_not_send_yet(&self, workload: &Workload) -> bool {
        let Some(next) = self.agenda.sends.front() else { return false };
        let Some(job) = self.planned.get(&next.job) else { return false };
        let bytes = bytes_of(workload, job, next.tensor);
        !self.retained.has_room(next.job, bytes, self.jobs.owes_answers())
    }

    /// What the uplink does, as far as the plan knows.
    pub(crate) fn uplink(&self) -> UplinkState {
        if self.send.is_some() || self.agenda.can_send() {
            return UplinkState::Busy;
        }
        if self.agenda.sends.is_empty() { UplinkState::Quiet } else { UplinkState::Waits }
    }

    /// What the machines still have to do for the jobs that have begun, on an uplink of this
    /// bandwidth.
    pub(crate) fn backlog(&self, workload: &Workload, uplink: Bandwidth) -> Backlog {
        let steps = self.agenda.steps.iter().chain(&self.step);
        let sends = self.agenda.sends.iter().chain(&self.send);
        let begun = |job: JobId| self.planned.get(&job).filter(|_| self.jobs.has_begun(job));
        let costs = Costs { workload, uplink };
        let device = steps.filter_map(|s| Some(costs.of_step(begun(s.job)?, s))).sum();
        let uplink = sends.filter_map(|s| Some(costs.of_send(begun(s.job)?, s))).sum();
        let owed = self
            .planned
            .iter()
            .filter(|(id, _)| self.jobs.has_begun(**id) && self.jobs.wants_reply(**id));
        let server = owed.map(|(_, job)| costs.of_suffix(job)).sum::<Time>();
        Backlog { device, uplink, server: costs.shared_out(server) }
    }

    /// The jobs that have not begun.
    pub(crate) fn fresh(&self) -> Vec<(JobId, Arc<Job>)> {
        let known = |job| Some((job, self.planned.get(&job)?.clone()));
        self.jobs.fresh().filter_map(known).collect()
    }

    /// The job whose inputs are to be loaded next, ahead of the jobs that come next; `loaded` has those
    /// that have been. Puts back the inputs of jobs that do not come next any more.
    pub(crate) fn poll_ahead(&self, loaded: &mut LoadedAhead) -> Option<Arc<Job>> {
        loaded.retain(|&job, _| !self.jobs.has_begun(job));
        let coming = self.agenda.coming(JOBS_AHEAD, |job| !self.jobs.has_begun(job));
        for (_, early) in loaded.extract_if(.., |job, _| !coming.contains(job)) {
            early.put_back();
        }
        let next = coming.into_iter().find(|job| !loaded.contains_key(job))?;
        let job = self.planned.get(&next)?;
        loaded.insert(next, job.inputs.clone());
        Some(job.clone())
    }

    /// A plan is in force from now on for those of its jobs that have not begun; `inputs` has those
    /// of jobs that are new. Returns how many jobs that are.
    pub(crate) fn plan(
        &mut self,
        planned: Planned,
        mut inputs: BTreeMap<JobId, Arc<JobInputs>>,
    ) -> usize {
        let program = planned.program;
        let mut fresh = BTreeSet::new();
        let mut complete = Vec::new();
        for part in &program.jobs {
            let job = part.job;
            let known = self.planned.get(&job).map(|known| known.inputs.clone());
            let Some(inputs) = inputs.remove(&job).or(known) else { continue };
            if self.jobs.is_known(job) && self.jobs.has_begun(job) {
                continue;
            }
            self.planned.insert(job, Arc::new(Job { program: part.clone(), inputs }));
            fresh.insert(job);
            if self.jobs.handle_planned(job, part.has_steps, part.is_offloaded) {
                complete.push(job);
            }
        }
        self.agenda.plan(program, &fresh);
        complete.into_iter().for_each(|job| self.retire(job, Event::Ended(job)));
        fresh.len()
    }

    /// Returns whether the job had not begun.
    pub(crate) fn begin(&mut self, job: JobId) -> bool {
        let is_news = !self.jobs.has_begun(job);
        if self.jobs.handle_begun(job) {
            self.agenda.drop_sends(|other| other == job);
        }
        is_news
    }

    /// All jobs begin, as they were planned: nobody will plan them again.
    pub(crate) fn begin_all(&mut self) {
        let fresh: Vec<JobId> = self.jobs.fresh().collect();
        for job in fresh {
            self.jobs.handle_begun(job);
        }
        self.drop_unwanted_sends();
    }

    /// The device has done a part of a job, with these outputs: its own, or the server's.
    pub(crate) fn device_done(
        &mut self,
        job: JobId,
        is_own: bool,
        outputs: Vec<(String, Tensor)>,
        now: Time,
    ) {
        if self.jobs.is_known(job) {
            self.report(Event::Part(job, outputs, now));
        }
        let is_complete = match is_own {
            true => self.jobs.handle_device_done(job),
            false => self.jobs.handle_finished_on_device(job),
        };
        if is_complete {
            self.retire(job, Event::Ended(job));
        }
    }

    /// The server's outputs for a job have come.
    pub(crate) fn replied(&mut self, returned: Returned, now: Time) {
        let Returned { suffix, download, outputs } = returned;
        let job = suffix.job;
        if self.jobs.is_unsent(job) {
            self.agenda.drop_sends(|other| other == job);
        }
        if self.jobs.wants_reply(job) {
            for operation in [Some(suffix), download].into_iter().flatten() {
                self.report(Event::Operation(operation));
            }
            self.report(Event::Part(job, outputs, now));
        }
        if self.jobs.handle_reply(job, now) {
            self.retire(job, Event::Ended(job));
        }
    }

    /// A job whose reply is still wanted.
    pub(crate) fn wanted(&self, job: JobId) -> Option<Arc<Job>> {
        self.planned.get(&job).filter(|_| self.jobs.wants_reply(job)).cloned()
    }

    /// The server refused a job.
    pub(crate) fn refused(&mut self, job: JobId, cause: &str, now: Time) {
        self.jobs.handle_refused(job, cause, now);
        self.agenda.drop_sends(|other| other == job);
    }

    /// A connection broke; returns whether it was connected.
    pub(crate) fn lost(&mut self, connection: u32, cause: &str, now: Time) -> bool {
        let is_news = self.jobs.handle_lost(connection, cause, now);
        self.drop_unwanted_sends();
        is_news
    }

    /// Gives up a server that has been silent for too long; returns whether it just did.
    pub(crate) fn poll_silence(&mut self, now: Time) -> bool {
        let is_news = self.jobs.poll_silence(now);
        self.drop_unwanted_sends();
        is_news
    }

    /// A job cannot be computed, or is cancelled, as the event says: what is left of it is dropped.
    pub(crate) fn drop_job(&mut self, job: JobId, event: Event) {
        self.agenda.drop_job(job);
        if self.jobs.handle_dropped(job) {
            self.retire(job, event);
        }
    }

    fn retire(&mut self, job: JobId, event: Event) {
        self.retained.end(job);
        self.planned.remove(&job);
        self.ended.push(job);
        self.report(event);
    }

    /// Tells the executor; without effect once that has ended.
    pub(crate) fn report(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// The server is gone, and nobody calls it.
    pub(crate) fn gone(&mut self, cause: &str, now: Time) {
        self.jobs.handle_gone(cause, now);
        self.drop_unwanted_sends();
    }

    fn drop_unwanted_sends(&mut self) {
        let jobs = &self.jobs;
        self.agenda.drop_sends(|job| !jobs.wants_reply(job));
    }
}

/// How many bytes a tensor of a job takes on the device.
pub(crate) fn bytes_of(workload: &Workload, job: &Job, tensor: TensorId) -> usize {
    let bytes = workload.models()[job.program.model.index()].tensors[tensor.index()].bytes;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::program::{JobProgram, Program, StepWork};
    use cutpoint_plan::cut::LayerSet;
    use cutpoint_plan::plan::{Partition, Work};
    use cutpoint_plan::units::Bandwidth;
    use cutpoint_plan::workload::{LayerBuilder, LayerId, Link, ModelBuilder, ModelId};
    use std::sync::mpsc::channel;

    /// Jobs with one step and one tensor to send each.
    fn planned(jobs: &[u32]) -> Planned {
        let model = ModelBuilder::new("m").input("x", 8).layer(LayerBuilder::new("l").read("x"));
        let model = model.layer(LayerBuilder::new("k").read("x").write("y", 8));
        let link = Link::at(Bandwidth::from_mbit_per_s(1.0).unwrap());
        let workload = Workload::builder(link).add_model(model).add_jobs("m", 1).build().unwrap();
        let mut device_layers = LayerSet::none(&workload.models()[0]);
        device_layers.insert(LayerId(0));
        let partition = Arc::new(Partition { device_layers, uploads: Vec::new() });
        let step = |&job: &u32| Step {
            job: JobId(job),
            work: StepWork::Layers { segments: vec![0], layers: vec![LayerId(0)] },
            departs: vec![],
            drops: vec![],
            is_last: true,
        };
        let tensor = TensorId(0);
        let send = |&job: &u32| Send { job: JobId(job), tensor, part: 0, parts: 1, is_there: true };
        let part = |&job: &u32| JobProgram {
            job: JobId(job),
            model: ModelId(0),
            partition: partition.clone(),
            has_steps: true,
            is_offloaded: true,
            suffix: None,
            server_segments: vec![],
        };
        let program = Program {
            segments: Arc::default(),
            steps: jobs.iter().map(step).collect(),
            sends: jobs.iter().map(send).collect(),
            jobs: jobs.iter().map(part).collect(),
        };
        Planned { program, makespan: Time::ZERO }
    }

    #[test]
    fn a_cancelled_job_drops_its_remaining_work_and_ignores_late_replies() {
        let (events, reported) = channel();
        let jobs = JobStates::new(Time::from_nanoseconds(1_000));
        let mut state = State::new(jobs, 1 << 20, events);
        let inputs = (0..3).map(|job| (JobId(job), Arc::new(JobInputs::supplied(0))));
        assert_eq!(state.plan(planned(&[0, 1, 2]), inputs.collect()), 3);
        // Job 0 is sent and computed, job 1 is sent, and job 2 has not begun.
        state.begin(JobId(0));
        state.begin(JobId(1));
        for job in [0, 1] {
            assert_eq!(state.agenda.take_send().map(|(send, _)| send.job), Some(JobId(job)));
            state.jobs.handle_sent(JobId(job), Time::ZERO);
        }
        assert_eq!(state.agenda.steps.pop_front().map(|step| step.job), Some(JobId(0)));
        for job in [1, 2, 2] {
            state.drop_job(JobId(job), Event::Cancelled(JobId(job)));
        }
        assert!(state.agenda.steps.is_empty() && state.agenda.sends.is_empty());
        let now = Time::from_nanoseconds(10);
        let reply = |job| {
            let (work, start, end) = (Work::Suffix, now, now);
            let suffix = Operation { job: JobId(job), work, start, end };
            Returned { suffix, download: None, outputs: Vec::new() }
        };
        state.replied(reply(1), now);
        state.device_done(JobId(1), true, Vec::new(), now);
        state.device_done(JobId(0), true, Vec::new(), now);
        state.replied(reply(0), now);
        assert_eq!(state.ended, [JobId(1), JobId(2), JobId(0)]);
        let names = reported.try_iter().map(|event| match event {
            Event::Cancelled(job) => ("cancelled", job.0),
            Event::Part(job, ..) => ("part", job.0),
            Event::Ended(job) => ("ended", job.0),
            Event::Operation(operation) => ("operation", operation.job.0),
            _ => ("other", 0),
        });
        let names: Vec<_> = names.collect();
        let cancelled = [("cancelled", 1), ("cancelled", 2)];
        let completed = [("part", 0), ("operation", 0), ("part", 0), ("ended", 0)];
        assert_eq!(names, [&cancelled[..], &completed[..]].concat());
        assert_eq!(state.jobs.in_system(), 0);
    }
}
