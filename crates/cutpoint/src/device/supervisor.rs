//! Supervision of a run, on the thread that began it: it lets jobs in, has them planned, looks after
//! the way to the server, and carries out commands.

use super::arrivals::{Arrival, Arrivals, Gate};
use super::control::JobNumbers;
use super::event::{Command, Event, Transferred};
use super::inputs::JobInputs;
use super::job::Job;
use super::monitor::{Monitor, time_of};
use super::options::{Access, Connection, ServerLink};
use super::planner::{Planned, Planner, Standing};
use super::program::{JobProgram, Segments};
use super::recorder::Recorder;
use crate::bandwidth::estimator::BandwidthEstimator;
use crate::bandwidth::probe_schedule::ProbeSchedule;
use crate::bandwidth::window::Acknowledgement;
use crate::error::Result;
use crate::input::Inputs;
use crate::tensor::Tensor;
use crate::trace::{Execution, PlanChange};
use cutpoint_plan::plan::{Operation, Partition};
use cutpoint_plan::units::count;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, ModelId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// The most changes of plan that are listed.
const CHANGES_LISTED_MAX: usize = 1000;

/// A job that was submitted and waits outside.
struct Submitted {
    job: JobId,
    model: ModelId,
    arrived: Time,
    inputs: Inputs,
}

/// The supervisor of a run.
pub(crate) struct Supervisor<'m, 'a, 's> {
    monitor: &'m Monitor<'m>,
    segments: Segments,
    planner: Option<&'a mut dyn Planner>,
    /// Until it says that no more jobs will come.
    arrivals: Option<&'a mut dyn Arrivals<'s>>,
    submitted: VecDeque<Submitted>,
    /// Whether jobs may still be submitted.
    accepts: bool,
    /// Whether more jobs may come, in one way or the other.
    is_open: bool,
    numbers: JobNumbers,
    gate: Gate,
    server: Option<Access>,
    estimator: BandwidthEstimator,
    probes: ProbeSchedule,
    follows_link: bool,
    /// The number of the connection.
    connection: u32,
    /// Whether the loss of that connection has been dealt with.
    is_loss_seen: bool,
    /// A connection that has no threads yet.
    opened: Option<(u32, Connection)>,
    recorder: Recorder,
    events: Sender<Event>,
}

impl<'m, 'a, 's> Supervisor<'m, 'a, 's> {
    pub(crate) fn new(
        monitor: &'m Monitor<'m>,
        segments: Segments,
        planner: Option<&'a mut dyn Planner>,
        arrivals: &'a mut dyn Arrivals<'s>,
        (numbers, accepts): (JobNumbers, bool),
        follows_link: bool,
        events: Sender<Event>,
    ) -> Supervisor<'m, 'a, 's> {
        let link = &monitor.workload.link();
        let acknowledgement = Acknowledgement::of(monitor.workload);
        Supervisor {
            monitor,
            segments,
            planner,
            arrivals: Some(arrivals),
            submitted: VecDeque::new(),
            accepts,
            is_open: true,
            numbers,
            gate: Gate::default(),
            server: None,
            estimator: BandwidthEstimator::new(link.uplink, acknowledgement, link.message_overhead),
            probes: ProbeSchedule::new(),
            follows_link,
            connection: 0,
            is_loss_seen: true,
            opened: None,
            recorder: Recorder::default(),
            events,
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
        let may_call = self.server.is_some() && self.planner.is_some();
        let deadline = self.monitor.ask(|state| {
            let jobs = &state.jobs;
            jobs.deadline().filter(|_| may_call || jobs.lost().is_none())
        });
        deadline.into_iter().chain(arrival).min()
    }

    /// Takes note of what a thread reports, and carries out commands.
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
                    let round_trip = self.monitor.workload.link().round_trip;
                    self.recorder.cross(job, at.saturating_sub(round_trip));
                }
            }
            Event::Called(answer) => self.handle_called(answer),
            Event::Probed(connection, answer) => self.handle_probed(connection, answer),
            Event::Command(command) => self.carry_out(command),
            Event::Operation(operation) => self.recorder.operation(operation),
            Event::Part(job, outputs, at) => self.recorder.part(job, outputs, at),
            Event::Ended(job) => on_outputs(job, self.recorder.end(job)),
            Event::Failed(job, error) => self.recorder.fail(job, format!("{error:?}")),
            Event::Cancelled(job) => self.recorder.cancel(job),
            Event::Changed | Event::ThreadEnded => {}
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Submit { job, model, inputs, at } => {
                let arrived = self.monitor.at(at);
                self.submitted.push_back(Submitted { job, model, arrived, inputs });
            }
            Command::Cancel(job) => {
                let outside = self.submitted.iter().position(|waiting| waiting.job == job);
                match outside.and_then(|place| self.submitted.remove(place)) {
                    Some(_) => self.recorder.cancel(job),
                    None => self.monitor.tell(|state| state.drop_job(job, Event::Cancelled(job))),
                }
            }
            Command::CancelAll => self.cancel_all(),
            Command::Plan(planned) => {
                let planned = planned.unwrap_or_else(|| {
                    let fresh = self.monitor.ask(|state| state.fresh());
                    let jobs: Vec<_> =
                        fresh.iter().map(|(id, job)| (*id, job.program.model)).collect();
                    Planned::local(&self.segments, self.monitor.workload, &jobs)
                });
                self.put_in_force(planned, "a plan was given");
            }
            Command::Connect(server) => {
                self.disconnect("replaced by another server");
                self.connect(server);
            }
            Command::Disconnect => self.disconnect("disconnected on request"),
            Command::Close => self.accepts = false,
        }
    }

    /// Cancels the run.
    pub(crate) fn cancel_all(&self) {
        self.monitor.tell(|state| state.jobs.handle_cancelled());
    }

    /// Connects the run to a server.
    pub(crate) fn connect(&mut self, server: ServerLink) {
        let ServerLink { connection, access } = server;
        self.server = Some(access);
        self.handle_connected(connection, "a server is connected");
    }

    pub(crate) fn disconnect(&mut self, cause: &str) {
        self.server = None;
        let now = self.monitor.now();
        self.monitor.tell(|state| state.gone(cause, now));
        self.after_loss();
    }

    /// A connection that has no threads yet, and its number.
    pub(crate) fn take_opened(&mut self) -> Option<(u32, Connection)> {
        self.opened.take()
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
        // What shared the uplink with a probe says less about it.
        if !self.probes.is_out() && self.estimator.handle_transfer(job, sent, start, end) {
            self.probes.handle_sample(end);
        }
    }

    fn handle_called(&mut self, answer: Result<Connection>) {
        match answer {
            // Nobody waits for it if the server was taken away or replaced in the meantime.
            Ok(connection) => {
                if self.server.is_some() && self.uplink().is_none() {
                    log::info!("the server is back");
                    self.handle_connected(connection, "the server is back");
                }
            }
            Err(error) => {
                log::debug!("the server does not answer: {error:?}");
                let now = self.monitor.now();
                self.monitor.tell(|state| state.jobs.handle_no_answer(now));
            }
        }
    }

    fn handle_connected(&mut self, connection: Connection, cause: &str) {
        let now = self.monitor.now();
        self.connection = self.monitor.tell(|state| state.jobs.handle_connected(now));
        self.is_loss_seen = false;
        self.estimator.handle_connected();
        self.probes.handle_changed(now);
        self.opened = Some((self.connection, connection));
        self.plan_fresh(cause);
    }

    fn handle_probed(&mut self, connection: u32, answer: Result<Duration>) {
        if connection != self.connection {
            return;
        }
        let now = self.monitor.now();
        match answer {
            Ok(time) => self.probes.handle_answer(now, time_of(time), &mut self.estimator),
            Err(error) => {
                log::debug!("a probe was lost: {error:?}");
                self.probes.handle_no_answer(now);
            }
        }
    }

    /// The measured execution.
    pub(crate) fn into_execution(self) -> Execution {
        let mut execution = self.recorder.into_execution(self.gate.waits);
        self.monitor.ask(|state| {
            execution.is_cancelled = state.jobs.is_cancelled();
            execution.fallbacks = state.jobs.fallbacks.clone();
            execution.fallback_count = state.jobs.fallback_count;
        });
        execution
    }

    /// The bandwidth that a plan made now reckons with; `None` without a connection.
    fn uplink(&self) -> Option<Bandwidth> {
        let is_lost = self.monitor.ask(|state| state.jobs.lost().is_some());
        (!is_lost).then(|| self.estimator.planned())
    }

    /// After a loss, jobs that have not begun are planned without the server, or begin as they are.
    fn after_loss(&mut self) {
        if self.is_loss_seen {
            return;
        }
        let Some(cause) = self.monitor.ask(|state| state.jobs.lost().map(str::to_owned)) else {
            return;
        };
        self.is_loss_seen = true;
        if !self.plan_fresh(&format!("the server was lost: {cause}")) {
            self.monitor.tell(|state| state.begin_all());
        }
    }

    fn call_again(&mut self, now: Time) {
        let Some(access) = self.server.as_ref().filter(|_| self.planner.is_some()) else { return };
        if self.uplink().is_none() && self.monitor.tell(|state| state.jobs.poll_call(now)) {
            let call = access.call.clone();
            self.detach(move || Event::Called(call()));
        }
    }

    /// Does what may take longer than all that is left to do, so not on a thread of the run.
    fn detach(&self, work: impl FnOnce() -> Event + Send + 'static) {
        let events = self.events.clone();
        std::thread::spawn(move || {
            let _ = events.send(work());
        });
    }

    /// How many jobs could be re-planned, as far as that matters; none without a planner or a server,
    /// or if the link is not followed.
    fn jobs_to_replan(&self) -> usize {
        if !self.follows_link || self.planner.is_none() || self.uplink().is_none() {
            return 0;
        }
        match self.is_open {
            true => usize::MAX,
            false => {
                self.monitor.ask(|s| s.jobs.fresh().take(BandwidthEstimator::JOBS_MIN).count())
            }
        }
    }

    /// Has the jobs re-planned if the uplink's bandwidth has changed.
    fn follow_link(&mut self) {
        if self.estimator.estimate().is_none() {
            return;
        }
        let Some(uplink) = self.estimator.poll_change(self.jobs_to_replan()) else { return };
        let [before, after] = [self.estimator.planned(), uplink].map(Bandwidth::mbit_per_s);
        self.estimator.handle_planned(uplink);
        if let Some(access) = &self.server {
            (access.expect)(uplink);
        }
        self.probes.handle_changed(self.monitor.now());
        self.plan_fresh(&format!("the uplink went from {before:.2} to {after:.2} Mbit/s"));
    }

    /// Has a probe sent if the idle uplink is due for one.
    fn probe(&mut self, now: Time) {
        let may_replan = self.jobs_to_replan() >= BandwidthEstimator::JOBS_MIN;
        let Some(access) = self.server.as_ref().filter(|_| may_replan) else { return };
        let uplink = self.monitor.ask(|state| state.uplink());
        let Some(bytes) = self.probes.poll(now, uplink, self.estimator.planned()) else { return };
        let (probe, connection) = (access.probe.clone(), self.connection);
        self.detach(move || Event::Probed(connection, probe(bytes)));
    }

    /// A plan of the planner's for some jobs, which are cut in a way so far or new.
    fn ask_planner(
        &mut self,
        jobs: &[(JobId, ModelId)],
        cuts: Vec<Arc<Partition>>,
    ) -> Result<Option<Planned>> {
        let (uplink, link) = (self.uplink(), self.estimator.planned());
        let Some(planner) = self.planner.as_deref_mut() else { return Ok(None) };
        let workload = self.monitor.workload;
        let backlog = self.monitor.ask(|state| state.backlog(workload, link));
        planner.plan(jobs, &Standing { uplink, backlog, cuts })
    }

    /// Has the jobs that have not begun re-planned; returns whether there is a plan for them.
    fn plan_fresh(&mut self, cause: &str) -> bool {
        let fresh = self.monitor.ask(|state| state.fresh());
        if fresh.is_empty() {
            return true;
        }
        let jobs: Vec<(JobId, ModelId)> =
            fresh.iter().map(|(id, job)| (*id, job.program.model)).collect();
        let cuts = fresh.iter().map(|(_, job)| job.program.partition.clone()).collect();
        match self.ask_planner(&jobs, cuts) {
            Ok(Some(planned)) if is_same(&fresh, &planned) => true,
            Ok(Some(planned)) => {
                self.put_in_force(planned, cause);
                true
            }
            Ok(None) => false,
            Err(error) => {
                log::warn!("the remaining jobs keep their plan: {error:?}");
                false
            }
        }
    }

    fn put_in_force(&mut self, planned: Planned, cause: &str) {
        let offloaded = planned.program.jobs.iter().filter(|job| job.is_offloaded).count();
        let makespan = planned.makespan;
        let jobs = self.monitor.tell(|state| state.plan(planned, BTreeMap::new()));
        if jobs == 0 {
            return;
        }
        let (at, uplink) = (self.monitor.now(), self.uplink());
        let predicted = at + makespan;
        let left = count(jobs, "job");
        log::info!("{cause}: a new plan for {left}, {offloaded} offloaded");
        self.recorder.execution.change_count += 1;
        let changes = &mut self.recorder.execution.changes;
        if changes.len() < CHANGES_LISTED_MAX {
            let cause = cause.to_owned();
            changes.push(PlanChange { at, cause, jobs, offloaded, uplink, predicted });
        }
    }

    /// Lets in the jobs that have arrived, as far as there is room; returns when to look again.
    pub(crate) fn let_in(&mut self) -> Option<Time> {
        while self.is_open && !self.monitor.ask(|state| state.jobs.is_cancelled()) {
            let now = self.monitor.now();
            let in_system = self.monitor.ask(|state| state.jobs.in_system());
            let has_room = self.gate.has_room(in_system, now);
            if let Some(submitted) = self.submitted.pop_front_if(|_| has_room) {
                self.plan_arrived(submitted, now);
                continue;
            }
            match self.arrivals.as_mut().map(|arrivals| arrivals.poll(now, has_room)) {
                Some(Arrival::Job { model, arrived, inputs }) => {
                    let job = self.numbers.next();
                    self.plan_arrived(Submitted { job, model, arrived, inputs }, now);
                }
                Some(Arrival::Planned(planned)) => self.begin_batch(planned),
                Some(Arrival::Later(again)) => return again,
                Some(Arrival::End) => self.arrivals = None,
                None if self.accepts || !self.submitted.is_empty() => return None,
                None => {
                    self.is_open = false;
                    self.monitor.tell(|state| state.jobs.handle_last());
                }
            }
        }
        None
    }

    fn begin_batch(&mut self, mut planned: Planned) {
        let jobs: Vec<JobId> = planned.program.jobs.iter().map(|_| self.numbers.next()).collect();
        planned.program.renumber(&jobs);
        self.recorder.expect(&jobs);
        let inputs = |(number, job)| (job, Arc::new(JobInputs::supplied(number)));
        let inputs = jobs.into_iter().enumerate().map(inputs).collect();
        self.monitor.tell(|state| state.plan(planned, inputs));
    }

    fn plan_arrived(&mut self, submitted: Submitted, now: Time) {
        let Submitted { job, model, arrived, inputs } = submitted;
        self.gate.let_in(arrived, now);
        self.recorder.arrive(job, arrived);
        if let Err(error) = self.monitor.checks.check_inputs(model, &inputs) {
            log::error!("job {}: {error:?}", job.0);
            return self.recorder.fail(job, format!("{error:?}"));
        }
        let planned = self.ask_planner(&[(job, model)], Vec::new()).unwrap_or_else(|error| {
            log::warn!("job {}: no plan, stays on the device: {error:?}", job.0);
            None
        });
        let workload = self.monitor.workload;
        let planned =
            planned.unwrap_or_else(|| Planned::local(&self.segments, workload, &[(job, model)]));
        let inputs = [(job, Arc::new(JobInputs::given(inputs)))].into();
        self.monitor.tell(|state| state.plan(planned, inputs));
    }
}

/// Whether a new plan cuts the jobs as the one in force does, whichever job is cut in which way.
fn is_same(fresh: &[(JobId, Arc<Job>)], planned: &Planned) -> bool {
    let mut counts: HashMap<(ModelId, &Partition), i64> = HashMap::new();
    let before = fresh.iter().map(|(_, job)| (&job.program, 1));
    let after = planned.program.jobs.iter().map(|job| (job, -1));
    for (JobProgram { model, partition, .. }, by) in before.chain(after) {
        *counts.entry((*model, &**partition)).or_default() += by;
    }
    counts.into_values().all(|count| count == 0)
}
