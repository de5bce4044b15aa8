//! Commands to a run that is under way, from any thread.

#![cfg_attr(not(test), expect(dead_code, reason = "sessions that take jobs one by one need it"))]

use super::event::{Command, Event};
use super::options::ServerLink;
use super::planner::Planned;
use crate::input::Inputs;
use cutpoint_plan::workload::{JobId, ModelId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

/// A handle on a run, from before it begins. Commands are messages: each is carried out in its turn,
/// and none waits for that. Once the last clone is dropped, or [`Control::close`] is called, the run
/// ends when its jobs have.
#[derive(Clone)]
pub(crate) struct Control(Arc<Handle>);

struct Handle {
    events: Sender<Event>,
    numbers: JobNumbers,
}

/// The run's end of its commands, and of what its threads report.
pub(crate) struct Inbox {
    pub(crate) events: Sender<Event>,
    pub(crate) reported: Receiver<Event>,
    pub(crate) numbers: JobNumbers,
    /// Whether jobs may be submitted.
    pub(crate) is_open: bool,
}

/// Numbers the jobs of a run, wherever they come from.
#[derive(Clone, Default)]
pub(crate) struct JobNumbers(Arc<AtomicU32>);

impl JobNumbers {
    pub(crate) fn next(&self) -> JobId {
        JobId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Inbox {
    /// For a run that takes no commands.
    pub(crate) fn closed() -> Inbox {
        let (events, reported) = channel();
        Inbox { events, reported, numbers: JobNumbers::default(), is_open: false }
    }

    /// For a run that takes commands through the handle.
    pub(crate) fn open() -> (Control, Inbox) {
        let inbox = Inbox { is_open: true, ..Inbox::closed() };
        let handle = Handle { events: inbox.events.clone(), numbers: inbox.numbers.clone() };
        (Control(Arc::new(handle)), inbox)
    }
}

impl Control {
    /// Submits a job. It is planned once there is room for it; without a planner, or a plan, it stays
    /// on the device. The result is its number in outputs, failures and the trace.
    pub(crate) fn submit(&self, model: ModelId, inputs: Inputs) -> JobId {
        let job = self.0.numbers.next();
        self.send(Command::Submit { job, model, inputs, at: Instant::now() });
        job
    }

    /// Cancels a job. One that has not begun never will; of one that is under way the remaining steps
    /// are dropped, and a reply that comes late is ignored. Without effect on one that has ended.
    pub(crate) fn cancel(&self, job: JobId) {
        self.send(Command::Cancel(job));
    }

    /// Cancels the run after the operation in progress.
    pub(crate) fn cancel_all(&self) {
        self.send(Command::CancelAll);
    }

    /// Puts a plan in force for those of its jobs that have not begun. With `None` they stay on the
    /// device.
    pub(crate) fn plan(&self, planned: Option<Planned>) {
        self.send(Command::Plan(planned));
    }

    /// Connects the run to a server, in place of the one that it has.
    pub(crate) fn connect(&self, server: ServerLink) {
        self.send(Command::Connect(server));
    }

    /// Takes the server away: the device finishes what has begun.
    pub(crate) fn disconnect(&self) {
        self.send(Command::Disconnect);
    }

    /// No more jobs will be submitted.
    pub(crate) fn close(&self) {
        self.send(Command::Close);
    }

    fn send(&self, command: Command) {
        // The run may have ended.
        let _ = self.0.events.send(Event::Command(command));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Command(Command::Close));
    }
}
