//! Execution of a plan on the device: one thread for each machine of the flow shop (compute, send,
//! receive), joined by a bounded outbox. The running program is the picture of the flow shop.

use super::ahead::decode_ahead;
use super::cancel::Cancel;
use super::compute::Compute;
use super::expected::Expected;
use super::outbox::{Outbox, Taken};
use super::prepare::Prepared;
use super::program::Program;
use super::session::Session;
use crate::encoding::Encoder;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Inputs;
use crate::link::{InferRequest, Part, StreamReceiver, StreamReply, StreamSender, Waited};
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::plan::{Machine, Operation, Schedule, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, Workload};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The most bytes of tensors that wait for the uplink before the compute thread waits too.
pub const OUTBOX_BYTES_MAX: usize = 512 << 20;

/// How often it is looked whether the receiver is still needed, and whether the run is cancelled.
const TICK: Duration = Duration::from_millis(50);

/// How to execute.
#[derive(Clone, Debug)]
pub struct ExecuteOptions {
    /// A server that owes a reply and says nothing for so long is lost.
    pub patience: Duration,
    /// The round trip of the link, for the time at which the server's work is drawn.
    pub round_trip: Time,
    /// Stops the run.
    pub cancel: Cancel,
}

/// What happened, as the threads report it.
pub(super) enum Event {
    /// A machine has done something.
    Operation(Operation),
    /// A tensor has left: its bytes as it is, and in the form in which it was sent.
    Sent {
        /// As it is.
        raw: usize,
        /// As it was sent.
        sent: usize,
    },
    /// The device's planned part, or the server's part, of a job is done, with these outputs.
    Part(JobId, Vec<(String, Tensor)>, Time),
    /// A job cannot be computed.
    Failed(JobId, Error),
    /// The session has changed.
    Changed,
}

/// What the threads share.
pub(super) struct Shared<'a> {
    pub(super) workload: &'a Workload,
    pub(super) inputs: &'a [Inputs],
    pub(super) outbox: Outbox,
    session: Mutex<Session>,
    changed: Condvar,
    epoch: Instant,
}

impl Shared<'_> {
    pub(super) fn at(&self, instant: Instant) -> Time {
        let since = instant.saturating_duration_since(self.epoch);
        Time::from_nanoseconds(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Applies what happened to the session, and wakes whoever waits for a change of it.
    pub(super) fn tell<T>(&self, handle: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.session();
        let result = handle(&mut session);
        if !session.needs_server() {
            self.outbox.close();
        }
        drop(session);
        self.changed.notify_all();
        result
    }

    /// Waits for a job whose server's part the device must do; `None` once all jobs have ended.
    pub(super) fn wait_for_fallback(&self) -> Option<JobId> {
        let mut session = self.session();
        loop {
            if let Some(job) = session.poll_fallback() {
                return Some(job);
            }
            if session.is_finished() {
                return None;
            }
            session =
                self.changed.wait(session).expect("no thread panics while it holds this lock");
        }
    }

    /// Whether a job has ended, complete or failed.
    pub(super) fn has_ended(&self, job: JobId) -> bool {
        self.session().has_ended(job)
    }

    /// Whether the run is given up.
    pub(super) fn is_cancelled(&self) -> bool {
        self.session().is_cancelled()
    }

    /// Gives up a job for a reason of its own.
    pub(super) fn fail(&self, job: JobId, error: Error, events: &Sender<Event>) {
        log::error!("job {}: {error:?}", job.0);
        self.outbox.abandon(job);
        let _ = events.send(Event::Failed(job, error));
        self.tell(|session| session.handle_failed(job));
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().expect("no thread panics while it holds this lock")
    }
}

/// Executes the plan that was prepared, on one set of inputs for each job; `on_outputs` is called
/// on this thread with all the outputs of each job as it completes.
///
/// A server that is lost costs time, not jobs: the device does the rest. A job whose own
/// inputs do not fit or whose own computation fails is reported in [`Execution::failures`], and the others go on. A run that is
/// cancelled ends after the operation in progress; jobs that are not complete by then have no
/// completion and no failure.
///
/// # Errors
/// [`ErrorKind::Usage`] if the inputs do not fit the jobs, or if jobs are offloaded and there is no
/// connection.
pub fn execute(
    prepared: &mut Prepared,
    workload: &Workload,
    inputs: &[Inputs],
    connection: Option<(StreamSender, StreamReceiver)>,
    options: ExecuteOptions,
    mut on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
) -> Result<Execution> {
    let count = workload.jobs.len();
    if inputs.len() != count {
        let message = format!("{count} jobs are planned, found inputs for {}", inputs.len());
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let is_offloaded: Vec<bool> = prepared.program.jobs.iter().map(|j| j.is_offloaded).collect();
    if connection.is_none() && is_offloaded.contains(&true) {
        return Err(Error::new(ErrorKind::Usage, "the plan has a server's part, and no server"));
    }
    let encoder = Encoder::new()?;
    decode_ahead(&prepared.program, workload, inputs);
    let patience = u64::try_from(options.patience.as_nanos()).unwrap_or(u64::MAX / 4);
    let shared = Shared {
        workload,
        inputs,
        outbox: Outbox::new(OUTBOX_BYTES_MAX),
        session: Mutex::new(Session::new(&is_offloaded, Time::from_nanoseconds(patience))),
        changed: Condvar::new(),
        epoch: Instant::now(),
    };
    let (events, reported) = channel();
    let Prepared { program, device, server_models } = prepared;
    let (program, server_models) = (&*program, &*server_models);
    let expected = Expected::new(workload, program, device);
    for (job, given) in (0..).map(JobId).zip(inputs) {
        if let Err(error) = expected.check_inputs(job, given) {
            shared.fail(job, error, &events);
        }
    }
    std::thread::scope(|scope| {
        let shared = &shared;
        if let Some((sender, receiver)) = connection {
            let to_main = events.clone();
            scope.spawn(move || send(shared, program, server_models, sender, &to_main));
            let to_main = events.clone();
            let expected = &expected;
            scope.spawn(move || receive(shared, expected, receiver, options.round_trip, &to_main));
        }
        scope.spawn(move || Compute::new(shared, program, device, encoder, events).run());

        let mut collected = Collected::new(&is_offloaded);
        loop {
            if options.cancel.is_cancelled() {
                shared.tell(Session::handle_cancelled);
            }
            let deadline = shared.session().deadline();
            match next_event(shared, &reported, deadline) {
                Ok(event) => collected.add(event, &mut on_outputs),
                Err(RecvTimeoutError::Timeout) => {
                    shared.tell(|session| session.poll_silence(shared.at(Instant::now())));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(collected.into_execution(&shared.session()))
    })
}

fn next_event(
    shared: &Shared<'_>,
    reported: &Receiver<Event>,
    deadline: Option<Time>,
) -> Result<Event, RecvTimeoutError> {
    let until = |deadline: Time| deadline.saturating_sub(shared.at(Instant::now())).nanoseconds();
    let wait = deadline.map_or(TICK, |deadline| TICK.min(Duration::from_nanos(until(deadline))));
    reported.recv_timeout(wait)
}

/// The sender: tensors leave one at a time, in the plan's order.
fn send(
    shared: &Shared<'_>,
    program: &Program,
    server_models: &[Option<String>],
    mut sender: StreamSender,
    events: &Sender<Event>,
) {
    for departure in &program.sends {
        if shared.is_cancelled() {
            break;
        }
        let job = departure.job;
        if shared.has_ended(job) {
            continue;
        }
        let name = &shared.workload.model_of(job).tensors[departure.tensor.index()].name;
        let value = if departure.is_there {
            match shared.inputs[job.index()][name].tensor() {
                Ok(tensor) => tensor.clone().into(),
                Err(error) => {
                    shared.fail(job, error, events);
                    continue;
                }
            }
        } else {
            match shared.outbox.take(job, departure.tensor) {
                Taken::Tensor(value) => value,
                Taken::Abandoned => continue,
                Taken::Closed => break,
            }
        };
        let bytes = Event::Sent { raw: value.raw_bytes(), sent: value.bytes().len() };
        let part = (departure.parts > 1)
            .then_some(Part { index: departure.part as u32, count: departure.parts as u32 });
        let request = InferRequest {
            model: server_models[job.index()].clone().expect("offloaded jobs have one"),
            id: job.0.to_string(),
            part,
            tensors: vec![(name.clone(), value)],
        };
        match sender.send(&request) {
            Ok(sent) => {
                let (start, end) = (shared.at(sent.start), shared.at(sent.end));
                let work = Work::Transfer(departure.tensor);
                let _ = events.send(bytes);
                let _ = events.send(Event::Operation(Operation { job, work, start, end }));
                if departure.part + 1 == departure.parts {
                    shared.tell(|session| session.handle_sent(job, end));
                    let _ = events.send(Event::Changed);
                }
            }
            // The receiver has closed the stream on purpose.
            Err(_) if shared.is_cancelled() => break,
            Err(error) => {
                log::warn!("{error:?}; the device finishes the jobs itself");
                shared.tell(|session| session.handle_lost(&error.to_string()));
                let _ = events.send(Event::Changed);
                break;
            }
        }
    }
}

/// The receiver: replies in any order.
fn receive(
    shared: &Shared<'_>,
    expected: &Expected,
    mut receiver: StreamReceiver,
    round_trip: Time,
    events: &Sender<Event>,
) {
    while shared.tell(|session| session.needs_server()) {
        let cause = match receiver.recv_timeout(TICK) {
            Ok(Waited::Nothing) => continue,
            Ok(Waited::Reply(reply)) => {
                accept(shared, expected, reply, round_trip, events);
                let _ = events.send(Event::Changed);
                continue;
            }
            Ok(Waited::Ended) => "the server ended the stream".to_owned(),
            Err(error) => error.to_string(),
        };
        let is_news = shared.tell(|session| {
            let is_news = session.needs_server();
            session.handle_lost(&cause);
            is_news
        });
        if is_news {
            log::warn!("{cause}; the device finishes the jobs itself");
        }
        let _ = events.send(Event::Changed);
        return;
    }
}

fn accept(
    shared: &Shared<'_>,
    expected: &Expected,
    reply: StreamReply,
    round_trip: Time,
    events: &Sender<Event>,
) {
    let id = match &reply {
        StreamReply::Done(reply) => &reply.id,
        StreamReply::Failed { id, .. } => id,
    };
    let job = id.parse().ok().map(JobId).filter(|job| job.index() < shared.inputs.len());
    let Some(job) = job else {
        log::warn!("the server answered job {id:?}, which nobody asked for");
        return;
    };
    let refuse = |message: &str, received| {
        log::warn!("job {}: {message}; the device finishes it itself", job.0);
        shared.tell(|session| session.handle_refused(job, message, shared.at(received)));
    };
    match reply {
        StreamReply::Done(reply) => {
            let outputs = match expected.take_outputs(job, reply.outputs) {
                Ok(outputs) => outputs,
                Err(error) => return refuse(&error.to_string(), reply.received),
            };
            let now = shared.at(reply.received);
            if !shared.tell(|session| session.handle_reply(job, now)) {
                log::debug!("job {}: an answer that is no longer wanted", job.0);
                return;
            }
            let end = now.saturating_sub(round_trip.half());
            let busy = u64::try_from(reply.compute.as_nanos()).unwrap_or(u64::MAX);
            let start = end.saturating_sub(Time::from_nanoseconds(busy));
            let operation = Operation { job, work: Work::Suffix, start, end };
            let _ = events.send(Event::Operation(operation));
            let _ = events.send(Event::Part(job, outputs, now));
        }
        StreamReply::Failed { message, received, .. } => refuse(&message, received),
    }
}

/// What has been reported so far.
struct Collected {
    parts_left: Vec<u8>,
    outputs: Vec<Vec<(String, Tensor)>>,
    latest: Vec<Time>,
    execution: Execution,
}

impl Collected {
    fn new(is_offloaded: &[bool]) -> Collected {
        let count = is_offloaded.len();
        Collected {
            parts_left: is_offloaded.iter().map(|&o| 1 + u8::from(o)).collect(),
            outputs: vec![Vec::new(); count],
            latest: vec![Time::ZERO; count],
            execution: Execution { completions: vec![None; count], ..Execution::default() },
        }
    }

    fn add(&mut self, event: Event, on_outputs: &mut impl FnMut(JobId, Vec<(String, Tensor)>)) {
        match event {
            Event::Operation(operation) => {
                let schedule: &mut Schedule = &mut self.execution.schedule;
                match operation.work.machine() {
                    Machine::Device => schedule.device.push(operation),
                    Machine::Uplink => schedule.uplink.push(operation),
                    Machine::Server => schedule.server.push(operation),
                    Machine::Downlink => schedule.downlink.push(operation),
                }
            }
            Event::Sent { raw, sent } => {
                self.execution.raw_bytes += raw as u64;
                self.execution.sent_bytes += sent as u64;
            }
            Event::Part(job, outputs, time) => {
                let j = job.index();
                self.outputs[j].extend(outputs);
                self.latest[j] = self.latest[j].max(time);
                self.parts_left[j] = self.parts_left[j].saturating_sub(1);
                if self.parts_left[j] == 0 {
                    self.execution.completions[j] = Some(self.latest[j]);
                    self.execution.makespan = self.execution.makespan.max(self.latest[j]);
                    on_outputs(job, std::mem::take(&mut self.outputs[j]));
                }
            }
            Event::Failed(job, error) => {
                self.outputs[job.index()].clear();
                // A job that is under way on two machines may fail on both.
                if self.execution.failures.iter().all(|(known, _)| *known != job) {
                    self.execution.failures.push((job, format!("{error:?}")));
                }
            }
            Event::Changed => {}
        }
    }

    fn into_execution(mut self, session: &Session) -> Execution {
        let schedule = &mut self.execution.schedule;
        for operations in [&mut schedule.device, &mut schedule.uplink, &mut schedule.server] {
            operations.sort_by_key(|o| (o.start, o.end));
        }
        self.execution.is_cancelled = session.is_cancelled();
        self.execution.fallbacks = session.fallbacks().to_vec();
        self.execution
    }
}
