//! The thread that began the run: it lets jobs in, has them planned anew, has the server called
//! again and the idle uplink probed, and collects what the others report.

use super::ahead::Held;
use super::collected::Collected;
use super::drift::Drift;
use super::execute::{Connection, Event, Probe, Transferred};
use super::expected::Expected;
use super::plan_anew::{PlanChange, Planned, Planner, Reach, Standing};
use super::probing::Probing;
use super::shared::{Job, Shared};
use super::source::{Arrival, Gate, Source};
use crate::error::Result;
use crate::input::Inputs;
use crate::link::Acknowledgement;
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
pub(super) struct Calls {
    pub(super) again: Arc<dyn Fn() -> Result<Connection> + Send + Sync>,
    pub(super) probe: Probe,
    pub(super) expect: Arc<dyn Fn(Bandwidth) + Send + Sync>,
}

/// What looks after a run.
pub(super) struct Supervisor<'s, 'a> {
    shared: &'s Shared<'s>,
    planner: Option<&'a mut dyn Planner>,
    source: Option<&'a mut dyn Source>,
    gate: Gate,
    next_job: u32,
    calls: Option<Calls>,
    drift: Drift,
    probing: Probing,
    follows_link: bool,
    /// The connection whose loss has been dealt with.
    seen_lost: Option<u32>,
    connection: u32,
    collected: Collected,
    expected: &'s Expected<'s>,
    events: Sender<Event>,
}

impl<'s, 'a> Supervisor<'s, 'a> {
    pub(super) fn new(
        (shared, expected): (&'s Shared<'s>, &'s Expected<'s>),
        planner: Option<&'a mut dyn Planner>,
        source: Option<&'a mut dyn Source>,
        calls: Option<Calls>,
        follows_link: bool,
        events: &Sender<Event>,
    ) -> Supervisor<'s, 'a> {
        let (link, acknowledgement) = (&shared.workload.link, Acknowledgement::of(shared.workload));
        Supervisor {
            shared,
            planner,
            source,
            gate: Gate::default(),
            next_job: 0,
            calls,
            drift: Drift::new(link.uplink, acknowledgement, link.message_overhead),
            probing: Probing::new(),
            follows_link,
            seen_lost: None,
            connection: 0,
            collected: Collected::default(),
            expected,
            events: events.clone(),
        }
    }

    /// Does what is due now; returns when something will be, should nothing happen until then.
    pub(super) fn act(&mut self) -> Option<Time> {
        let now = self.shared.now();
        if self.shared.ask(|state| state.session.deadline().is_some_and(|due| now >= due))
            && self.shared.tell(|state| state.poll_silence(now))
        {
            log::warn!("the server is silent; the device goes on without it");
        }
        self.after_loss();
        self.call_again(now);
        self.follow_link();
        self.probe(now);
        let arrival = self.let_in();
        let is_lost = self.shared.ask(|state| state.session.lost().is_some());
        let deadline = self.shared.ask(|state| state.session.deadline());
        let deadline = deadline.filter(|_| !is_lost || self.may_call());
        deadline.into_iter().chain(arrival).min()
    }

    /// Takes notice of what a thread reports.
    pub(super) fn handle(
        &mut self,
        event: Event,
        on_outputs: &mut impl FnMut(JobId, Vec<(String, Tensor)>),
    ) {
        match event {
            Event::Transferred(transferred) => self.handle_transfer(&transferred),
            Event::Arrived(job, connection, at) => {
                if connection == self.connection {
                    self.drift.handle_arrival(job, at);
                    // There and back again.
                    let round_trip = self.shared.workload.link.round_trip;
                    self.collected.cross(job, at.saturating_sub(round_trip));
                }
            }
            event => self.collected.add(event, on_outputs),
        }
    }

    fn handle_transfer(&mut self, transferred: &Transferred) {
        let &Transferred { operation, connection, sent, .. } = transferred;
        let foreseen = self.drift.planned().transfer_time(sent);
        self.collected.transfer(transferred, foreseen.unwrap_or_default());
        if connection != self.connection {
            return;
        }
        let Operation { job, start, end, .. } = operation;
        self.probing.handle_transfer();
        // What shared the uplink with a probe says less about it.
        if !self.probing.is_out() && self.drift.handle_transfer(job, sent, start, end) {
            self.probing.handle_sample(end);
        }
    }

    /// What came of calling the server; the new connection and its number, if there is one.
    pub(super) fn answered(&mut self, answer: Result<Connection>) -> Option<(u32, Connection)> {
        let now = self.shared.now();
        match answer {
            Ok(connection) => {
                let number = self.shared.tell(|state| state.session.handle_connected(now));
                self.connection = number;
                self.drift.handle_connected();
                self.probing.handle_changed(now);
                log::info!("the server is back");
                let reach = Reach::Connected(self.drift.planned());
                self.plan_fresh(reach, "the server is back");
                Some((number, connection))
            }
            Err(error) => {
                log::debug!("the server does not answer: {error:?}");
                self.shared.tell(|state| state.session.handle_no_answer(now));
                None
            }
        }
    }

    /// What came of a probe on connection number `connection`.
    pub(super) fn probed(&mut self, connection: u32, answer: Result<Duration>) {
        if connection != self.connection {
            return;
        }
        let now = self.shared.now();
        match answer {
            Ok(time) => {
                let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                let time = Time::from_nanoseconds(time);
                self.probing.handle_answer(now, time, &mut self.drift);
            }
            Err(error) => {
                log::debug!("a probe was lost: {error:?}");
                self.probing.handle_no_answer(now);
            }
        }
    }

    /// What really happened.
    pub(super) fn into_execution(mut self, jobs: usize) -> Execution {
        self.shared.ask(|state| {
            self.collected.execution.is_cancelled = state.session.is_cancelled();
            self.collected.execution.fallbacks = state.session.fallbacks().to_vec();
            self.collected.execution.fallback_count = state.session.fallback_count();
        });
        self.collected.into_execution(jobs, self.gate.waits)
    }

    fn may_call(&self) -> bool {
        self.calls.is_some() && self.planner.is_some()
    }

    /// After a loss, jobs that have not begun are planned without the server, or begin as they are.
    fn after_loss(&mut self) {
        if self.seen_lost == Some(self.connection) {
            return;
        }
        let Some(cause) = self.shared.ask(|state| state.session.lost().map(str::to_owned)) else {
            return;
        };
        self.seen_lost = Some(self.connection);
        let has_fresh = self.shared.ask(|state| state.session.fresh_count() > 0);
        let cause = format!("the server was lost: {cause}");
        if has_fresh && !self.plan_fresh(Reach::Lost, &cause) {
            self.shared.tell(|state| state.begin_all());
        }
    }

    fn call_again(&mut self, now: Time) {
        let Some(calls) = self.calls.as_ref().filter(|_| self.may_call()) else { return };
        let is_lost = self.shared.ask(|state| state.session.lost().is_some());
        if is_lost && self.shared.tell(|state| state.session.poll_call(now)) {
            let (call, events) = (calls.again.clone(), self.events.clone());
            // Not a thread of the run: a call may take longer than what is left to do.
            std::thread::spawn(move || {
                let _ = events.send(Event::Called(call()));
            });
        }
    }

    /// Plans anew if the uplink's bandwidth has changed.
    fn follow_link(&mut self) {
        if !self.follows_link || self.planner.is_none() || self.drift.estimate().is_none() {
            return;
        }
        let Some(uplink) = self.drift.poll_change(self.jobs_left()) else { return };
        if self.shared.ask(|state| state.session.lost().is_some()) {
            return;
        }
        let [before, after] = [self.drift.planned(), uplink].map(Bandwidth::mbit_per_s);
        self.drift.handle_planned(uplink);
        if let Some(calls) = &self.calls {
            (calls.expect)(uplink);
        }
        self.probing.handle_changed(self.shared.now());
        let cause = format!("the uplink went from {before:.2} to {after:.2} Mbit/s");
        self.plan_fresh(Reach::Connected(uplink), &cause);
    }

    /// How many jobs could be planned anew, at most.
    fn jobs_left(&self) -> usize {
        match self.source {
            Some(_) => usize::MAX,
            None => self.shared.ask(|state| state.session.fresh_count()),
        }
    }

    /// Has a probe sent if the idle uplink is due for one.
    fn probe(&mut self, now: Time) {
        let Some(calls) = self.calls.as_ref().filter(|_| self.follows_link) else { return };
        let is_lost = self.shared.ask(|state| state.session.lost().is_some());
        if is_lost || self.planner.is_none() || self.jobs_left() < Drift::JOBS_MIN {
            return;
        }
        let uplink = self.shared.ask(|state| state.uplink());
        let planned = self.drift.planned();
        let Some(bytes) = self.probing.poll(now, uplink, planned) else { return };
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
        let (link, workload) = (self.drift.planned(), self.shared.workload);
        let (fresh, backlog) =
            self.shared.ask(|state| (state.fresh(), state.backlog(workload, link)));
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
        let jobs = self.shared.tell(|state| state.plan(planned, BTreeMap::new(), events));
        if jobs == 0 {
            return true;
        }
        let at = self.shared.now();
        let uplink = match reach {
            Reach::Lost => None,
            Reach::Connected(uplink) => Some(uplink),
        };
        let predicted = at + makespan;
        log::info!("{cause}: a new plan for {jobs} jobs, {offloaded} of them offloaded");
        self.collected.execution.change_count += 1;
        let changes = &mut self.collected.execution.changes;
        if changes.len() < CHANGES_LISTED_MAX {
            let cause = cause.to_owned();
            changes.push(PlanChange { at, cause, jobs, offloaded, uplink, predicted });
        }
        true
    }

    /// Lets in the jobs that have arrived, as far as there is room; returns when to look again.
    fn let_in(&mut self) -> Option<Time> {
        loop {
            if self.shared.ask(|state| state.session.is_cancelled()) {
                return None;
            }
            let now = self.shared.now();
            let in_system = self.shared.ask(|state| state.session.in_system());
            let has_room = self.gate.has_room(in_system, now);
            match self.source.as_mut()?.poll(now, has_room) {
                Arrival::Job { model, arrived, inputs } => {
                    self.gate.let_in(arrived, now);
                    self.plan_arrived(model, arrived, inputs);
                }
                Arrival::Later(again) => return again,
                Arrival::End => {
                    self.source = None;
                    self.shared.tell(|state| state.session.handle_last());
                }
            }
        }
    }

    fn plan_arrived(&mut self, model: ModelId, arrived: Time, inputs: Inputs) {
        let job = JobId(self.next_job);
        self.next_job = self.next_job.wrapping_add(1);
        self.collected.arrive(job, arrived);
        if let Err(error) = self.expected.check_inputs(model, &inputs) {
            log::error!("job {}: {error:?}", job.0);
            return self.collected.fail(job, format!("{error:?}"));
        }
        let is_lost = self.shared.ask(|state| state.session.lost().is_some());
        let reach = if is_lost { Reach::Lost } else { Reach::Connected(self.drift.planned()) };
        let planner = self.planner.as_deref_mut();
        let (link, workload) = (self.drift.planned(), self.shared.workload);
        let backlog = self.shared.ask(|state| state.backlog(workload, link));
        let standing = Standing { reach, backlog, cuts: Vec::new() };
        let planned = planner.map(|planner| planner.plan(&[(job, model)], &standing));
        match planned.transpose().map(Option::flatten) {
            Ok(Some(planned)) => {
                let inputs = [(job, Arc::new(Held::given(inputs)))].into();
                let events = &self.events;
                self.shared.tell(|state| state.plan(planned, inputs, events));
            }
            Ok(None) => self.collected.fail(job, "there is no plan for it".to_owned()),
            Err(error) => {
                log::warn!("job {}: {error:?}", job.0);
                self.collected.fail(job, format!("{error:?}"));
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
