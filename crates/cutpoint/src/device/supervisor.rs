//! The thread that began the run: it lets jobs in, has them planned anew, has the server called
//! again and the idle uplink probed, and collects what the others report.

use super::arrivals::{Arrival, Arrivals, Gate};
use super::event::{Event, Transferred};
use super::inputs::JobInputs;
use super::job::Job;
use super::monitor::Monitor;
use super::options::{Connection, Probe};
use super::planner::{PlanChange, Planned, Planner, Reach, Standing};
use super::recorder::Recorder;
use super::tensor_checks::TensorChecks;
use crate::bandwidth::estimator::BandwidthEstimator;
use crate::bandwidth::probe_schedule::ProbeSchedule;
use crate::bandwidth::window::Acknowledgement;
use crate::error::Result;
use crate::input::Inputs;
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::plan::{Operation, Partition};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, ModelId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// The most changes of plan that are listed.
const CHANGES_LISTED_MAX: usize = 1000;

/// What can be done about the way to the server.
pub(crate) struct Calls {
    pub(crate) again: Arc<dyn Fn() -> Result<Connection> + Send + Sync>,
    pub(crate) probe: Probe,
    pub(crate) expect: Arc<dyn Fn(Bandwidth) + Send + Sync>,
}

/// What looks after a run.
pub(crate) struct Supervisor<'s, 'a> {
    monitor: &'s Monitor<'s>,
    planner: Option<&'a mut dyn Planner>,
    source: Option<&'a mut dyn Arrivals>,
    gate: Gate,
    next_job: u32,
    calls: Option<Calls>,
    estimator: BandwidthEstimator,
    probes: ProbeSchedule,
    follows_link: bool,
    /// The connection whose loss has been dealt with.
    seen_lost: Option<u32>,
    connection: u32,
    recorder: Recorder,
    checks: &'s TensorChecks<'s>,
    events: Sender<Event>,
}

impl<'s, 'a> Supervisor<'s, 'a> {
    pub(crate) fn new(
        (monitor, checks): (&'s Monitor<'s>, &'s TensorChecks<'s>),
        planner: Option<&'a mut dyn Planner>,
        source: Option<&'a mut dyn Arrivals>,
        calls: Option<Calls>,
        follows_link: bool,
        events: &Sender<Event>,
    ) -> Supervisor<'s, 'a> {
        let (link, acknowledgement) =
            (&monitor.workload.link, Acknowledgement::of(monitor.workload));
        Supervisor {
            monitor,
            planner,
            source,
            gate: Gate::default(),
            next_job: 0,
            calls,
            estimator: BandwidthEstimator::new(link.uplink, acknowledgement, link.message_overhead),
            probes: ProbeSchedule::new(),
            follows_link,
            seen_lost: None,
            connection: 0,
            recorder: Recorder::default(),
            checks,
            events: events.clone(),
        }
    }

    /// Does what is due now; returns when something will be, should nothing happen until then.
    pub(crate) fn act(&mut self) -> Option<Time> {
        let now = self.monitor.now();
        if self.monitor.ask(|state| state.jobs.deadline().is_some_and(|due| now >= due))
            && self.monitor.tell(|state| state.poll_silence(now))
        {
            log::warn!("the server is silent; the device goes on without it");
        }
        self.after_loss();
        self.call_again(now);
        self.follow_link();
        self.probe(now);
        let arrival = self.let_in();
        let is_lost = self.monitor.ask(|state| state.jobs.lost().is_some());
        let deadline = self.monitor.ask(|state| state.jobs.deadline());
        let deadline = deadline.filter(|_| !is_lost || self.may_call());
        deadline.into_iter().chain(arrival).min()
    }

    /// Takes notice of what a thread reports.
    pub(crate) fn handle(
        &mut self,
        event: Event,
        on_outputs: &mut impl FnMut(JobId, Vec<(String, Tensor)>),
    ) {
        match event {
            Event::Transferred(transferred) => self.handle_transfer(&transferred),
            Event::Arrived(job, connection, at) => {
                if connection == self.connection {
                    self.estimator.handle_arrival(job, at);
                    // There and back again.
                    let round_trip = self.monitor.workload.link.round_trip;
                    self.recorder.cross(job, at.saturating_sub(round_trip));
                }
            }
            event => self.recorder.add(event, on_outputs),
        }
    }

    fn handle_transfer(&mut self, transferred: &Transferred) {
        let &Transferred { operation, connection, sent, .. } = transferred;
        let foreseen = self.estimator.planned().transfer_time(sent);
        self.recorder.transfer(transferred, foreseen.unwrap_or_default());
        if connection != self.connection {
            return;
        }
        let Operation { job, start, end, .. } = operation;
        self.probes.handle_transfer();
        // What monitor the uplink with a probe says less about it.
        if !self.probes.is_out() && self.estimator.handle_transfer(job, sent, start, end) {
            self.probes.handle_sample(end);
        }
    }

    /// What came of calling the server; the new connection and its number, if there is one.
    pub(crate) fn answered(&mut self, answer: Result<Connection>) -> Option<(u32, Connection)> {
        let now = self.monitor.now();
        match answer {
            Ok(connection) => {
                let number = self.monitor.tell(|state| state.jobs.handle_connected(now));
                self.connection = number;
                self.estimator.handle_connected();
                self.probes.handle_changed(now);
                log::info!("the server is back");
                let reach = Reach::Connected(self.estimator.planned());
                self.plan_fresh(reach, "the server is back");
                Some((number, connection))
            }
            Err(error) => {
                log::debug!("the server does not answer: {error:?}");
                self.monitor.tell(|state| state.jobs.handle_no_answer(now));
                None
            }
        }
    }

    /// What came of a probe on connection number `connection`.
    pub(crate) fn probed(&mut self, connection: u32, answer: Result<Duration>) {
        if connection != self.connection {
            return;
        }
        let now = self.monitor.now();
        match answer {
            Ok(time) => {
                let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                let time = Time::from_nanoseconds(time);
                self.probes.handle_answer(now, time, &mut self.estimator);
            }
            Err(error) => {
                log::debug!("a probe was lost: {error:?}");
                self.probes.handle_no_answer(now);
            }
        }
    }

    /// What really happened.
    pub(crate) fn into_execution(mut self, jobs: usize) -> Execution {
        self.monitor.ask(|state| {
            self.recorder.execution.is_cancelled = state.jobs.is_cancelled();
            self.recorder.execution.fallbacks = state.jobs.fallbacks().to_vec();
            self.recorder.execution.fallback_count = state.jobs.fallback_count();
        });
        self.recorder.into_execution(jobs, self.gate.waits)
    }

    fn may_call(&self) -> bool {
        self.calls.is_some() && self.planner.is_some()
    }

    /// After a loss, jobs that have not begun are planned without the server, or begin as they are.
    fn after_loss(&mut self) {
        if self.seen_lost == Some(self.connection) {
            return;
        }
        let Some(cause) = self.monitor.ask(|state| state.jobs.lost().map(str::to_owned)) else {
            return;
        };
        self.seen_lost = Some(self.connection);
        let has_fresh = self.monitor.ask(|state| state.jobs.fresh_count() > 0);
        let cause = format!("the server was lost: {cause}");
        if has_fresh && !self.plan_fresh(Reach::Lost, &cause) {
            self.monitor.tell(|state| state.begin_all());
        }
    }

    fn call_again(&mut self, now: Time) {
        let Some(calls) = self.calls.as_ref().filter(|_| self.may_call()) else { return };
        let is_lost = self.monitor.ask(|state| state.jobs.lost().is_some());
        if is_lost && self.monitor.tell(|state| state.jobs.poll_call(now)) {
            let (call, events) = (calls.again.clone(), self.events.clone());
            // Not a thread of the run: a call may take longer than what is left to do.
            std::thread::spawn(move || {
                let _ = events.send(Event::Called(call()));
            });
        }
    }

    /// Plans anew if the uplink's bandwidth has changed.
    fn follow_link(&mut self) {
        if !self.follows_link || self.planner.is_none() || self.estimator.estimate().is_none() {
            return;
        }
        let Some(uplink) = self.estimator.poll_change(self.jobs_left()) else { return };
        if self.monitor.ask(|state| state.jobs.lost().is_some()) {
            return;
        }
        let [before, after] = [self.estimator.planned(), uplink].map(Bandwidth::mbit_per_s);
        self.estimator.handle_planned(uplink);
        if let Some(calls) = &self.calls {
            (calls.expect)(uplink);
        }
        self.probes.handle_changed(self.monitor.now());
        let cause = format!("the uplink went from {before:.2} to {after:.2} Mbit/s");
        self.plan_fresh(Reach::Connected(uplink), &cause);
    }

    /// How many jobs could be planned anew, at most.
    fn jobs_left(&self) -> usize {
        match self.source {
            Some(_) => usize::MAX,
            None => self.monitor.ask(|state| state.jobs.fresh_count()),
        }
    }

    /// Has a probe sent if the idle uplink is due for one.
    fn probe(&mut self, now: Time) {
        let Some(calls) = self.calls.as_ref().filter(|_| self.follows_link) else { return };
        let is_lost = self.monitor.ask(|state| state.jobs.lost().is_some());
        if is_lost || self.planner.is_none() || self.jobs_left() < BandwidthEstimator::JOBS_MIN {
            return;
        }
        let uplink = self.monitor.ask(|state| state.uplink());
        let planned = self.estimator.planned();
        let Some(bytes) = self.probes.poll(now, uplink, planned) else { return };
        let (probe, events) = (calls.probe.clone(), self.events.clone());
        let connection = self.connection;
        // Not a thread of the run: a probe may take longer than what is left to do.
        std::thread::spawn(move || {
            let _ = events.send(Event::Probed(connection, probe(bytes)));
        });
    }

    /// Has the jobs that have not begun planned anew; says whether there is a plan for them.
    fn plan_fresh(&mut self, reach: Reach, cause: &str) -> bool {
        let Some(planner) = self.planner.as_deref_mut() else { return false };
        let (link, workload) = (self.estimator.planned(), self.monitor.workload);
        let (fresh, backlog) =
            self.monitor.ask(|state| (state.fresh(), state.backlog(workload, link)));
        let jobs: Vec<(JobId, ModelId)> = fresh.iter().map(|(id, job)| (*id, job.model)).collect();
        let cuts = fresh.iter().map(|(_, job)| job.partition.clone()).collect();
        let planned = match planner.plan(&jobs, &Standing { reach, backlog, cuts }) {
            Ok(Some(planned)) => planned,
            Ok(None) => return false,
            Err(error) => {
                log::warn!("the jobs that are left are not planned anew: {error:?}");
                return false;
            }
        };
        if is_same(&fresh, &planned) {
            return true;
        }
        let offloaded = planned.program.jobs.iter().filter(|job| job.is_offloaded).count();
        let makespan = planned.makespan;
        let events = &self.events;
        let jobs = self.monitor.tell(|state| state.plan(planned, BTreeMap::new(), events));
        if jobs == 0 {
            return true;
        }
        let at = self.monitor.now();
        let uplink = match reach {
            Reach::Lost => None,
            Reach::Connected(uplink) => Some(uplink),
        };
        let predicted = at + makespan;
        log::info!("{cause}: a new plan for {jobs} jobs, {offloaded} of them offloaded");
        self.recorder.execution.change_count += 1;
        let changes = &mut self.recorder.execution.changes;
        if changes.len() < CHANGES_LISTED_MAX {
            let cause = cause.to_owned();
            changes.push(PlanChange { at, cause, jobs, offloaded, uplink, predicted });
        }
        true
    }

    /// Lets in the jobs that have arrived, as far as there is room; returns when to look again.
    fn let_in(&mut self) -> Option<Time> {
        loop {
            if self.monitor.ask(|state| state.jobs.is_cancelled()) {
                return None;
            }
            let now = self.monitor.now();
            let in_system = self.monitor.ask(|state| state.jobs.in_system());
            let has_room = self.gate.has_room(in_system, now);
            match self.source.as_mut()?.poll(now, has_room) {
                Arrival::Job { model, arrived, inputs } => {
                    self.gate.let_in(arrived, now);
                    self.plan_arrived(model, arrived, inputs);
                }
                Arrival::Later(again) => return again,
                Arrival::End => {
                    self.source = None;
                    self.monitor.tell(|state| state.jobs.handle_last());
                }
            }
        }
    }

    fn plan_arrived(&mut self, model: ModelId, arrived: Time, inputs: Inputs) {
        let job = JobId(self.next_job);
        self.next_job = self.next_job.wrapping_add(1);
        self.recorder.arrive(job, arrived);
        if let Err(error) = self.checks.check_inputs(model, &inputs) {
            log::error!("job {}: {error:?}", job.0);
            return self.recorder.fail(job, format!("{error:?}"));
        }
        let is_lost = self.monitor.ask(|state| state.jobs.lost().is_some());
        let reach = if is_lost { Reach::Lost } else { Reach::Connected(self.estimator.planned()) };
        let planner = self.planner.as_deref_mut();
        let (link, workload) = (self.estimator.planned(), self.monitor.workload);
        let backlog = self.monitor.ask(|state| state.backlog(workload, link));
        let standing = Standing { reach, backlog, cuts: Vec::new() };
        let planned = planner.map(|planner| planner.plan(&[(job, model)], &standing));
        match planned.transpose().map(Option::flatten) {
            Ok(Some(planned)) => {
                let inputs = [(job, Arc::new(JobInputs::given(inputs)))].into();
                let events = &self.events;
                self.monitor.tell(|state| state.plan(planned, inputs, events));
            }
            Ok(None) => self.recorder.fail(job, "there is no plan for it".to_owned()),
            Err(error) => {
                log::warn!("job {}: {error:?}", job.0);
                self.recorder.fail(job, format!("{error:?}"));
            }
        }
    }
}

/// Whether a new plan cuts the jobs as the one in force does, whichever job is cut in which way.
fn is_same(fresh: &[(JobId, Arc<Job>)], planned: &Planned) -> bool {
    let mut counts: Vec<(ModelId, &Partition, i64)> = Vec::new();
    let mut add = |model: ModelId, partition, by: i64| match counts
        .iter_mut()
        .find(|(m, p, _)| *m == model && *p == partition)
    {
        Some((_, _, count)) => *count += by,
        None => counts.push((model, partition, by)),
    };
    fresh.iter().for_each(|(_, job)| add(job.model, &*job.partition, 1));
    planned.program.jobs.iter().for_each(|job| add(job.model, &*job.partition, -1));
    counts.iter().all(|(_, _, count)| *count == 0)
}
