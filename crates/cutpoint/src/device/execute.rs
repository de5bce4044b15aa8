//! Execution on the device: one thread for each machine of the flow shop (compute, send, receive),
//! joined by the agenda. The running program is the picture of the flow shop.

use super::ahead::{Held, load_ahead, load_first};
use super::cancel::Cancel;
use super::compute::Compute;
use super::expected::Expected;
use super::plan_anew::{Planned, Planner};
use super::prepare::Prepared;
use super::session::Session;
use super::shared::Shared;
use super::source::Source;
use super::supervise::{Calls, Supervisor};
use super::transfer::{receive, send};
use crate::encoding::Encoder;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Supply;
use crate::link::{StreamReceiver, StreamSender};
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::plan::Operation;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, Workload};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// As a rule this is the most of tensors that wait for the uplink before the device waits too, and as
/// much may be sent and not answered before the uplink waits.
pub const HELD_BYTES_MAX: usize = 256 << 20;

/// How often it is looked whether the receiver is still needed, and whether the run is cancelled.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Both ends of a stream of jobs.
pub type Connection = (StreamSender, StreamReceiver);

/// How to execute.
#[derive(Clone, Debug)]
pub struct ExecuteOptions {
    /// A server that owes a reply and says nothing for so long is lost.
    pub patience: Duration,
    /// The round trip of the link, for the time at which the server's work is drawn.
    pub round_trip: Time,
    /// Whether a change of the uplink's bandwidth makes a new plan.
    pub follows_link: bool,
    /// The most bytes of tensors that wait for the uplink, and as many that were sent and whose jobs
    /// are not answered. A single job may have more.
    pub held_bytes_max: usize,
    /// Stops the run.
    pub cancel: Cancel,
}

/// The jobs of a run.
pub enum Jobs<'a> {
    /// All are there: one set of inputs for each job of the plan that was prepared, which is asked
    /// for shortly before the job begins.
    AllThere(&'a dyn Supply),
    /// They arrive over time. Each is planned as it arrives, by the planner.
    Arriving(&'a mut dyn Source),
}

/// The way to the server.
pub struct Server {
    /// The connection.
    pub connection: Connection,
    /// Makes another one after that is lost, with all suffixes loaded; takes as long as it takes.
    pub call: Arc<dyn Fn() -> Result<Connection> + Send + Sync>,
    /// Sends so many bytes that are of no use, and says how long they took on the uplink.
    pub probe: Probe,
    /// Learns the bandwidth that plans reckon with.
    pub expect: Arc<dyn Fn(Bandwidth) + Send + Sync>,
}

/// Sends bytes that are of no use, to learn how long they take on the uplink.
pub type Probe = Arc<dyn Fn(u64) -> Result<Duration> + Send + Sync>;

/// What happened, as the threads report it.
pub(super) enum Event {
    /// A machine has done something.
    Operation(Operation),
    /// A tensor has left.
    Transferred(Transferred),
    /// By its answer, the server had all of a job at this time, give or take what is the same for all
    /// jobs of a connection, which has this number.
    Arrived(JobId, u32, Time),
    /// The device's planned part, or the server's part, of a job is done, with these outputs.
    Part(JobId, Vec<(String, Tensor)>, Time),
    /// All parts of a job are done.
    Ended(JobId),
    /// A job cannot be computed.
    Failed(JobId, Error),
    /// The server was called after it was lost.
    Called(Result<Connection>),
    /// A probe came through on a connection with this number, and took so long, or did not.
    Probed(u32, Result<Duration>),
    /// The session has changed.
    Changed,
    /// A thread has nothing more to do.
    ThreadEnded,
}

/// A tensor that has left.
pub(super) struct Transferred {
    pub(super) operation: Operation,
    pub(super) connection: u32,
    /// Its bytes as it is.
    pub(super) raw: u64,
    /// Its bytes in the form in which it was sent.
    pub(super) sent: u64,
}

/// Executes the plan that was prepared; `on_outputs` is called on this thread with all the outputs
/// of each job as it completes.
///
/// A server that is lost costs time, not jobs: the device does the rest. With a `planner`, jobs
/// that have not begun are planned anew when the server is lost, when it is back, and when the
/// bandwidth of the uplink has changed. A job whose own computation fails is reported in
/// [`Execution::failures`], as is one whose inputs do not fit, and the others go on. A run that is cancelled ends after the operation
/// in progress; jobs that are not complete by then have no completion and no failure.
///
/// # Errors
/// [`ErrorKind::Usage`] if the inputs do not fit the jobs, if jobs are offloaded and there is no
/// server, or if jobs arrive and there is no planner.
pub fn execute<'a>(
    prepared: &mut Prepared,
    workload: &Workload,
    jobs: Jobs<'a>,
    server: Option<Server>,
    planner: Option<&'a mut dyn Planner>,
    options: ExecuteOptions,
    mut on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
) -> Result<Execution> {
    let encoder = Encoder::new()?;
    let First { planned, supply, source } =
        first_plan(prepared, jobs, server.is_some(), planner.is_some())?;
    let count = planned.as_ref().map_or(0, |planned| planned.program.jobs.len());
    let expected = Expected::new(workload, &prepared.device);
    let patience = u64::try_from(options.patience.as_nanos()).unwrap_or(u64::MAX / 4);
    let session = Session::new(Time::from_nanoseconds(patience));
    let mut shared = Shared::new(&expected, supply, session, options.held_bytes_max);
    let (events, reported) = channel();
    if let Some(planned) = planned {
        let jobs = planned.program.jobs.iter();
        let inputs = jobs.map(|job| (job.job, Arc::new(Held::supplied()))).collect();
        shared.tell(|state| state.plan(planned, inputs, &events));
    }
    if source.is_none() {
        shared.tell(|state| state.session.handle_last());
    }
    let loaded = load_first(&shared);
    shared.start();
    let is_plain = prepared.suffixes.is_plain();
    let segments = prepared.program.segments.clone();
    let device = &mut prepared.device;
    std::thread::scope(|scope| {
        let (shared, expected) = (&shared, &expected);
        let connect = |number: u32, (sender, receiver): Connection, events: &Sender<Event>| {
            let (of_sender, of_receiver) = (events.clone(), events.clone());
            scope.spawn(move || send(shared, is_plain, number, sender, &of_sender));
            let round_trip = options.round_trip;
            scope.spawn(move || {
                receive(shared, expected, number, receiver, round_trip, &of_receiver)
            });
        };
        let mut threads = 1;
        let mut calls = None;
        if let Some(server) = server {
            connect(0, server.connection, &events);
            threads += 2;
            calls = Some(Calls { again: server.call, probe: server.probe, expect: server.expect });
        }
        scope.spawn(move || load_ahead(shared, loaded));
        // After those of the connection: on a device with one processor a new thread waits until the
        // one that computes is interrupted.
        let of_compute = events.clone();
        scope.spawn(move || Compute::new(shared, segments, device, encoder, of_compute).run());
        let mut supervisor = Supervisor::new(
            (shared, expected),
            planner,
            source,
            calls,
            options.follows_link,
            &events,
        );
        while threads > 0 {
            if options.cancel.is_cancelled() {
                shared.tell(|state| state.session.handle_cancelled());
            }
            let wake = supervisor.act().map_or(TICK, |wake| until(wake, shared.now()).min(TICK));
            let event = reported.recv_timeout(wake);
            match event {
                Ok(Event::ThreadEnded) => threads -= 1,
                Ok(Event::Called(answer)) => {
                    if let Some((number, connection)) = supervisor.answered(answer) {
                        connect(number, connection, &events);
                        threads += 2;
                    }
                }
                Ok(Event::Probed(number, answer)) => supervisor.probed(number, answer),
                Ok(event) => supervisor.handle(event, &mut on_outputs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(supervisor.into_execution(count))
    })
}

fn until(wake: Time, now: Time) -> Duration {
    Duration::from_nanos(wake.saturating_sub(now).nanoseconds())
}

/// What a run begins with: if all jobs are there, a plan, and where their inputs come from; if not,
/// the source of jobs.
struct First<'a> {
    planned: Option<Planned>,
    supply: Option<&'a dyn Supply>,
    source: Option<&'a mut dyn Source>,
}

fn first_plan<'a>(
    prepared: &Prepared,
    jobs: Jobs<'a>,
    has_server: bool,
    has_planner: bool,
) -> Result<First<'a>> {
    let program = &prepared.program;
    let supply = match jobs {
        Jobs::AllThere(supply) => supply,
        Jobs::Arriving(_) if !has_planner => {
            return Err(Error::new(ErrorKind::Usage, "jobs arrive, and nobody plans them"));
        }
        Jobs::Arriving(source) => {
            return Ok(First { planned: None, supply: None, source: Some(source) });
        }
    };
    let count = program.jobs.len();
    if supply.count() != count {
        let message = format!("{count} jobs are planned, found inputs for {}", supply.count());
        return Err(Error::new(ErrorKind::Usage, message));
    }
    if !has_server && program.jobs.iter().any(|job| job.is_offloaded) {
        return Err(Error::new(ErrorKind::Usage, "the plan has a server's part, and no server"));
    }
    let suffixes = program.jobs.iter().map(|job| prepared.suffixes.of_job(job)).collect();
    let planned = Planned { program: program.clone(), suffixes, makespan: Time::ZERO };
    Ok(First { planned: Some(planned), supply: Some(supply), source: None })
}
