//! Execution on the device: one thread for each machine of the flow shop (compute, send, receive),
//! joined by the agenda. The running program is the picture of the flow shop.

use super::arrivals::Arrivals;
use super::event::Event;
use super::inputs::JobInputs;
use super::monitor::Monitor;
use super::options::{Connection, ExecuteOptions, Jobs, ServerLink, TICK};
use super::planner::{Planned, Planner};
use super::prepared::Prepared;
use super::state::jobs::JobStates;
use super::supervisor::{Calls, Supervisor};
use super::tensor_checks::TensorChecks;
use super::threads::compute::Compute;
use super::threads::load_inputs::{load_ahead, load_first};
use super::threads::receive::receive;
use super::threads::send::send;
use crate::encoding::Encoder;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Supply;
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, Workload};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

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
    server: Option<ServerLink>,
    planner: Option<&'a mut dyn Planner>,
    options: ExecuteOptions,
    mut on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
) -> Result<Execution> {
    let encoder = Encoder::new()?;
    let First { planned, supply, source } =
        first_plan(prepared, jobs, server.is_some(), planner.is_some())?;
    let count = planned.as_ref().map_or(0, |planned| planned.program.jobs.len());
    let checks = TensorChecks::new(workload, &prepared.device);
    let patience = u64::try_from(options.patience.as_nanos()).unwrap_or(u64::MAX / 4);
    let jobs_state = JobStates::new(Time::from_nanoseconds(patience));
    let mut monitor = Monitor::new(&checks, supply, jobs_state, options.held_bytes_max);
    let (events, reported) = channel();
    if let Some(planned) = planned {
        let jobs = planned.program.jobs.iter();
        let inputs = jobs.map(|job| (job.job, Arc::new(JobInputs::supplied()))).collect();
        monitor.tell(|state| state.plan(planned, inputs, &events));
    }
    if source.is_none() {
        monitor.tell(|state| state.jobs.handle_last());
    }
    let loaded = load_first(&monitor);
    monitor.start();
    let is_plain = prepared.suffixes.is_plain();
    let segments = prepared.program.segments.clone();
    let device = &mut prepared.device;
    std::thread::scope(|scope| {
        let (monitor, checks) = (&monitor, &checks);
        let connect = |number: u32, (sender, receiver): Connection, events: &Sender<Event>| {
            let (of_sender, of_receiver) = (events.clone(), events.clone());
            scope.spawn(move || send(monitor, is_plain, number, sender, &of_sender));
            let round_trip = options.round_trip;
            scope.spawn(move || {
                receive(monitor, checks, number, receiver, round_trip, &of_receiver)
            });
        };
        let mut threads = 1;
        let mut calls = None;
        if let Some(server) = server {
            connect(0, server.connection, &events);
            threads += 2;
            calls = Some(Calls { again: server.call, probe: server.probe, expect: server.expect });
        }
        scope.spawn(move || load_ahead(monitor, loaded));
        // After those of the connection: on a device with one processor a new thread waits until the
        // one that computes is interrupted.
        let of_compute = events.clone();
        scope.spawn(move || Compute::new(monitor, segments, device, encoder, of_compute).run());
        let mut supervisor = Supervisor::new(
            (monitor, checks),
            planner,
            source,
            calls,
            options.follows_link,
            &events,
        );
        while threads > 0 {
            if options.cancel.is_cancelled() {
                monitor.tell(|state| state.jobs.handle_cancelled());
            }
            let wake = supervisor.act().map_or(TICK, |wake| until(wake, monitor.now()).min(TICK));
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
    source: Option<&'a mut dyn Arrivals>,
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
