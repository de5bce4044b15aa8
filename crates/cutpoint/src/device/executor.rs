//! The executor: runs jobs as they arrive. One thread computes, one sends, one receives replies and
//! one loads inputs; the caller's thread runs the main loop.
//!
//! ```text
//!  Arrivals ──poll──┐                 ┌── Control (any thread; no session uses it yet):
//!  (batch, replay,  │                 │   submit, cancel, cancel_all, plan, connect, disconnect, close
//!   watched folder) ▼                 ▼ events
//!            ┌───────────────────────────────┐ plan   ┌─────────┐
//!            │ main loop: Supervisor,        │───────►│ Planner │
//!            │ gate, estimator, probes,      │◄───────└─────────┘
//!            │ Recorder ──► on_outputs       │
//!            └──────────┬────────────────────┘
//!            tell, ask  │               ▲ events
//!            ┌──────────▼───────────┐   ├── compute        runs steps, encodes, falls back
//!            │ Monitor: one lock on │   ├── send ──► server    one tensor at a time (a generic
//!            │ State: jobs and their│   │                      server: one message for each job)
//!            │ plans, job states,   │◄──┼── receive ◄── server
//!            │ agenda, retained     │   └── call, probe    detached, as they may take long
//!            └──────────────────────┘◄──── load inputs    of a batch; decodes images a few jobs ahead
//! ```
//!
//! Who owns what: the [`Monitor`] owns the state that threads share; threads change it there and wait
//! there for their next piece of work, and the state itself reports jobs that end, fail or are
//! cancelled. The compute thread owns the device and the intermediate tensors. Tensors that wait for
//! the uplink are in the agenda. Inputs belong to their job. Sender and receiver each own one end of
//! the stream. The main loop owns the supervisor and the recorder, which holds outputs until their job
//! is complete. Progress and commands are [`Event`]s to the main loop; a lost connection is a change
//! of state that the next pass of the loop finds.
//!
//! 1. Jobs that are there at time 0 are let in, and the inputs of the first few are loaded. Then the
//!    clock starts, and the threads.
//! 2. The main loop does what is due ([`Supervisor::act`]): it gives up a silent server; after a loss it
//!    has the jobs re-planned, or lets them begin as planned; with a planner it calls a lost server
//!    again, follows the link's bandwidth and probes an idle uplink; and it lets in jobs that have
//!    arrived. A batch arrives as a whole with its plan. Other jobs wait outside while the system is
//!    full; each is planned when it is let in, and stays on the device if there is no plan for it.
//! 3. It waits for an event, at most until something else is due or 50 ms have passed, and takes note
//!    of it ([`Supervisor::handle`]).
//! 4. A new connection gets a sender and a receiver. They end with the connection.
//! 5. Once no more jobs may come and all have ended, or the run is cancelled, each thread ends when it
//!    next asks for work. The loop ends with the last of compute, sender and receiver; then the loader
//!    is joined. Calls and probes are not waited for.
//!
//! A plan is replaced for the jobs that have not begun, unless its cuts stay the same: when the server
//! is connected, lost or back, when the uplink's bandwidth has changed, and when a command brings a
//! plan. A job that has begun is carried on as it was planned. The device does the server's part of jobs
//! whose server is lost, and of jobs that the server refuses.

use super::arrivals::Arrivals;
use super::control::Inbox;
use super::event::Event;
use super::monitor::{Monitor, time_of};
use super::options::{RunOptions, ServerLink, TICK};
use super::planner::Planner;
use super::prepared::Prepared;
use super::state::jobs::JobStates;
use super::supervisor::Supervisor;
use super::tensor_checks::TensorChecks;
use super::threads::compute::Compute;
use super::threads::load_inputs::{load_ahead, load_first};
use super::threads::receive::receive;
use super::threads::send::send;
use crate::encoding::Encoder;
use crate::error::Result;
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::workload::{JobId, Workload};
use std::time::Duration;

/// What a run begins with. Jobs, plans and the server may also come, change and go while it works,
/// through the inbox.
pub(crate) struct Executor<'a, 's> {
    /// The models, and what plans reckon with.
    pub(crate) workload: &'a Workload,
    /// Where jobs come from.
    pub(crate) arrivals: &'a mut dyn Arrivals<'s>,
    /// Plans jobs that arrive, and again those that have not begun.
    pub(crate) planner: Option<&'a mut dyn Planner>,
    /// The server.
    pub(crate) server: Option<ServerLink>,
    /// Commands.
    pub(crate) inbox: Inbox,
    /// How to execute.
    pub(crate) options: RunOptions,
}

impl Executor<'_, '_> {
    /// Executes until no more jobs may come and all have ended; `on_outputs` is called on this thread
    /// with all the outputs of each job as it completes.
    ///
    /// A server that is lost costs time, not jobs: the device does the rest. A job whose own
    /// computation fails is reported in [`Execution::failures`], as is one whose inputs do not fit, and
    /// the others go on. A run that is cancelled ends after the operation in progress; jobs that are
    /// not complete by then have no completion and no failure.
    ///
    /// # Errors
    /// If the encoder cannot be set up.
    pub(crate) fn run(
        self,
        prepared: &mut Prepared,
        mut on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
    ) -> Result<Execution> {
        let Executor { workload, arrivals, planner, server, inbox, options } = self;
        let Inbox { events, reported, numbers, is_open } = inbox;
        let encoder = Encoder::new()?;
        let is_plain = prepared.loaded.suffixes.is_plain;
        let segments = prepared.loaded.segments.clone();
        let device = &mut prepared.device;
        let checks = TensorChecks { workload, models: device.models.clone() };
        let jobs = JobStates::new(time_of(options.patience));
        let bytes_max = options.held_bytes_max;
        let monitor = Monitor::new(&checks, arrivals.supply(), jobs, bytes_max, events.clone());
        let mut supervisor = Supervisor::new(
            &monitor,
            segments.clone(),
            planner,
            arrivals,
            (numbers, is_open),
            options.follows_link,
            events,
        );
        match server {
            Some(server) => supervisor.connect(server),
            None => supervisor.disconnect("no server"),
        }
        supervisor.let_in();
        let loaded = load_first(&monitor);
        monitor.start();
        std::thread::scope(|scope| {
            let monitor = &monitor;
            let open_connection = |supervisor: &mut Supervisor<'_, '_, '_>| {
                let Some((number, (sender, receiver))) = supervisor.take_opened() else { return 0 };
                scope.spawn(move || send(monitor, is_plain, number, sender));
                scope.spawn(move || receive(monitor, number, receiver));
                2
            };
            let mut threads = 1 + open_connection(&mut supervisor);
            scope.spawn(move || load_ahead(monitor, loaded));
            // After those of the connection: on a device with one processor a new thread waits until
            // the one that computes is interrupted.
            scope.spawn(move || Compute::new(monitor, segments, device, encoder).run());
            while threads > 0 {
                if options.cancel.is_cancelled() {
                    supervisor.cancel_all();
                }
                let due = supervisor.act().map(|due| due.saturating_sub(monitor.now()));
                let due = due.map_or(TICK, |due| Duration::from_nanos(due.nanoseconds()).min(TICK));
                match reported.recv_timeout(due) {
                    Ok(Event::ThreadEnded) => threads -= 1,
                    Ok(event) => supervisor.handle(event, &mut on_outputs),
                    // Something is due.
                    Err(_) => {}
                }
                threads += open_connection(&mut supervisor);
            }
        });
        Ok(supervisor.into_execution())
    }
}
