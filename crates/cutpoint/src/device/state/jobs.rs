//! Job states: what each job still needs from the device and the server, and the state of the
//! connection, as a state machine without I/O.
//!
//! The threads of a run report what happened with `handle_*` and ask what to do with `poll_*`; time
//! is an argument and must not run backwards. The rules:
//!
//! - a job is complete once, by the device or the server, whichever is first;
//! - a job has begun once a step of it runs or a tensor of it is sent. A job that has not begun may
//!   be re-planned; one that has is carried on as it was planned;
//! - a job that has begun, whose server is lost or refuses it, is finished on the device;
//! - a server that owes a reply and says nothing for `patience` is lost;
//! - a server that is lost is called again after a time that doubles with each loss and each call
//!   in vain, from [`CALL_AGAIN_FIRST`] to [`CALL_AGAIN_MAX`], until it has answered a job.

#[cfg(test)]
mod tests;

use cutpoint_plan::units::Time;
use cutpoint_plan::workload::JobId;
use std::collections::{BTreeMap, VecDeque};

/// How long after its first loss a server is called again.
const CALL_AGAIN_FIRST: Time = Time::from_nanoseconds(250_000_000);

/// The longest time between two calls of a server that is lost.
const CALL_AGAIN_MAX: Time = Time::from_nanoseconds(8_000_000_000);

/// The most jobs that are listed as finished in place of the server; beyond they are counted.
const FALLBACKS_LISTED_MAX: usize = 10_000;

/// How far the server's part of a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerPart {
    /// The server has no part in it.
    None,
    /// Some of its tensors are still to be sent.
    Unsent,
    /// The server has all it needs and has not answered.
    Owed,
    /// The device is to do it.
    OnDevice,
    /// Done, by the server or the device.
    Done,
}

/// A job that has not ended.
#[derive(Clone, Copy, Debug)]
struct Job {
    has_begun: bool,
    is_device_done: bool,
    server_part: ServerPart,
}

/// The server, as far as is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Server {
    /// There is a connection.
    Connected,
    /// No connection; the next call is due at `at`, or in progress if `None`.
    Lost { cause: String, at: Option<Time> },
}

/// The state of a run.
#[derive(Clone, Debug)]
pub(crate) struct JobStates {
    jobs: BTreeMap<JobId, Job>,
    is_open: bool,
    is_cancelled: bool,
    to_finish: VecDeque<JobId>,
    server: Server,
    /// The number of the connection, from 0.
    connection: u32,
    /// How long to wait after the next loss.
    call_again: Time,
    patience: Time,
    heard: Time,
    /// The jobs that the device finished in place of the server, and why; of very many the first
    /// [`FALLBACKS_LISTED_MAX`].
    pub(crate) fallbacks: Vec<(JobId, String)>,
    /// How many those are.
    pub(crate) fallback_count: usize,
}

impl JobStates {
    /// A run without jobs, connected, to which jobs may be added until [`JobStates::handle_last`]; a
    /// silent server is lost after `patience`.
    pub(crate) fn new(patience: Time) -> JobStates {
        JobStates {
            jobs: BTreeMap::new(),
            is_open: true,
            is_cancelled: false,
            to_finish: VecDeque::new(),
            server: Server::Connected,
            connection: 0,
            call_again: CALL_AGAIN_FIRST,
            patience,
            heard: Time::ZERO,
            fallbacks: Vec::new(),
            fallback_count: 0,
        }
    }

    /// A job is planned, for the first time or again: the device has steps of it or not, the server
    /// a part in it or not. Nothing changes for a job that has begun. Returns whether the job is
    /// complete with that.
    pub(crate) fn handle_planned(
        &mut self,
        job: JobId,
        has_steps: bool,
        is_offloaded: bool,
    ) -> bool {
        if self.jobs.get(&job).is_some_and(|known| known.has_begun) {
            return false;
        }
        let server_part = if is_offloaded { ServerPart::Unsent } else { ServerPart::None };
        let planned = Job { has_begun: false, is_device_done: !has_steps, server_part };
        self.jobs.insert(job, planned);
        self.end_if_complete(job)
    }

    /// No more jobs will be added.
    pub(crate) fn handle_last(&mut self) {
        self.is_open = false;
    }

    /// A job begins, as it was planned. If the server is lost, the device will do its part; returns
    /// whether that was decided just now.
    pub(crate) fn handle_begun(&mut self, job: JobId) -> bool {
        let Some(state) = self.jobs.get_mut(&job).filter(|state| !state.has_begun) else {
            return false;
        };
        state.has_begun = true;
        let Server::Lost { cause, .. } = &self.server else { return false };
        let cause = cause.clone();
        self.fall_back(job, &cause)
    }

    /// The device has done its planned part of a job; returns whether the job is complete with that.
    pub(crate) fn handle_device_done(&mut self, job: JobId) -> bool {
        let Some(state) = self.jobs.get_mut(&job) else { return false };
        state.is_device_done = true;
        if state.server_part == ServerPart::OnDevice && !self.is_cancelled {
            self.to_finish.push_back(job);
        }
        self.end_if_complete(job)
    }

    /// The last tensor of a job has left at `now`.
    pub(crate) fn handle_sent(&mut self, job: JobId, now: Time) {
        if self.server_part(job) == Some(ServerPart::Unsent) {
            if !self.owes_answers() {
                // The server owed nothing before, so its silence begins to count here.
                self.heard = self.heard.max(now);
            }
            self.set(job, ServerPart::Owed);
        }
    }

    /// Whether a job waits for a tensor to be sent.
    pub(crate) fn is_unsent(&self, job: JobId) -> bool {
        self.server_part(job) == Some(ServerPart::Unsent)
    }

    /// Whether the server's outputs for a job are still wanted. They are not if the server's part
    /// is done, or if the device has been told to do it.
    pub(crate) fn wants_reply(&self, job: JobId) -> bool {
        !self.is_cancelled
            && matches!(self.server_part(job), Some(ServerPart::Unsent | ServerPart::Owed))
    }

    /// A reply with outputs that are wanted has come for a job at `now`; returns whether the job is
    /// complete with that.
    pub(crate) fn handle_reply(&mut self, job: JobId, now: Time) -> bool {
        self.heard = self.heard.max(now);
        if !self.wants_reply(job) {
            return false;
        }
        self.call_again = CALL_AGAIN_FIRST;
        self.set(job, ServerPart::Done);
        self.end_if_complete(job)
    }

    /// The server has answered a job at `now` with an error: the device will do the server's part.
    pub(crate) fn handle_refused(&mut self, job: JobId, cause: &str, now: Time) {
        self.heard = self.heard.max(now);
        self.fall_back(job, cause);
    }

    /// Connection number `connection` broke at `now`: the device will do all that the server has
    /// not done of the jobs that have begun. Returns whether it was connected.
    pub(crate) fn handle_lost(&mut self, connection: u32, cause: &str, now: Time) -> bool {
        if connection != self.connection || self.is_lost() || self.is_cancelled {
            return false;
        }
        self.server = Server::Lost { cause: cause.to_owned(), at: Some(self.next_call(now)) };
        let begun: Vec<JobId> =
            self.jobs.iter().filter(|(_, state)| state.has_begun).map(|(&job, _)| job).collect();
        for job in begun {
            self.fall_back(job, cause);
        }
        true
    }

    /// There is no server from `now` on, and it is not to be called.
    pub(crate) fn handle_gone(&mut self, cause: &str, now: Time) {
        self.handle_lost(self.connection, cause, now);
        self.call_again = CALL_AGAIN_FIRST;
        if let Server::Lost { at, .. } = &mut self.server {
            *at = None;
        }
    }

    /// Whether the server is to be called again now. After the answer `true` the caller reports
    /// what came of it, with [`JobStates::handle_connected`] or [`JobStates::handle_no_answer`].
    pub(crate) fn poll_call(&mut self, now: Time) -> bool {
        if !self.may_offload_again() {
            return false;
        }
        match &mut self.server {
            Server::Lost { at, .. } if at.is_some_and(|at| now >= at) => {
                *at = None;
                true
            }
            _ => false,
        }
    }

    /// A call failed at `now`.
    pub(crate) fn handle_no_answer(&mut self, now: Time) {
        let next = self.next_call(now);
        if let Server::Lost { at, .. } = &mut self.server {
            *at = Some(next);
        }
    }

    /// When a server that does not answer at `now` is called again; each time it takes twice as long.
    fn next_call(&mut self, now: Time) -> Time {
        let at = now + self.call_again;
        self.call_again = (self.call_again * 2).min(CALL_AGAIN_MAX);
        at
    }

    /// There is a new connection, at `now`; the result is its number.
    pub(crate) fn handle_connected(&mut self, now: Time) -> u32 {
        self.server = Server::Connected;
        self.connection += 1;
        self.heard = self.heard.max(now);
        self.connection
    }

    /// The device has done the server's part of a job; returns whether the job is complete with that.
    pub(crate) fn handle_finished_on_device(&mut self, job: JobId) -> bool {
        if self.server_part(job) != Some(ServerPart::OnDevice) {
            return false;
        }
        self.set(job, ServerPart::Done);
        self.end_if_complete(job)
    }

    /// A job is dropped: it has failed for a reason of its own, which no other machine would change, or
    /// is cancelled. Returns whether it had not ended.
    pub(crate) fn handle_dropped(&mut self, job: JobId) -> bool {
        let Some(state) = self.jobs.get_mut(&job) else { return false };
        state.is_device_done = true;
        self.set(job, ServerPart::Done);
        self.end_if_complete(job)
    }

    /// The run is given up: jobs that have not ended never will.
    pub(crate) fn handle_cancelled(&mut self) {
        self.is_cancelled |= self.is_open || !self.jobs.is_empty();
        self.to_finish.clear();
    }

    /// The next job whose server's part the device must do, its planned part being done.
    pub(crate) fn poll_fallback(&mut self) -> Option<JobId> {
        while let Some(job) = self.to_finish.pop_front() {
            if self.server_part(job) == Some(ServerPart::OnDevice) {
                return Some(job);
            }
        }
        None
    }

    /// Gives up a server that has been silent for too long; returns whether it just did.
    pub(crate) fn poll_silence(&mut self, now: Time) -> bool {
        if self.silent_at().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let cause = format!("the server said nothing for {}", self.patience);
        self.handle_lost(self.connection, &cause, now)
    }

    /// When to ask again, should nothing happen until then: the server will
    /// have been silent for too long, or is to be called again.
    pub(crate) fn deadline(&self) -> Option<Time> {
        match &self.server {
            Server::Connected => self.silent_at(),
            Server::Lost { at, .. } => at.filter(|_| self.may_offload_again()),
        }
    }

    fn silent_at(&self) -> Option<Time> {
        (!self.is_lost() && !self.is_cancelled && self.owes_answers())
            .then(|| self.heard + self.patience)
    }

    /// Whether a job is planned or carried out, and has not ended.
    pub(crate) fn is_known(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// Whether a job has begun, or ended.
    pub(crate) fn has_begun(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_none_or(|state| state.has_begun)
    }

    /// The jobs that have not begun.
    pub(crate) fn fresh(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.iter().filter(|(_, state)| !state.has_begun).map(|(&job, _)| job)
    }

    /// How many jobs have not ended.
    pub(crate) fn in_system(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nothing is left to do: every job has ended and no more will be added, or the run is
    /// given up.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_cancelled || (!self.is_open && self.jobs.is_empty())
    }

    /// Whether the run was given up before every job had ended.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    /// Whether the server has a part in some job, or may come to have one.
    pub(crate) fn needs_server(&self) -> bool {
        let has_part = |job: &Job| matches!(job.server_part, ServerPart::Unsent | ServerPart::Owed);
        !self.is_cancelled && (self.jobs.values().any(has_part) || self.may_offload_again())
    }

    /// Whether the server has all of some job and has not answered.
    pub(crate) fn owes_answers(&self) -> bool {
        self.jobs.values().any(|job| job.server_part == ServerPart::Owed)
    }

    /// The number of the connection, if there is one.
    pub(crate) fn connection(&self) -> Option<u32> {
        (!self.is_lost()).then_some(self.connection)
    }

    /// Why the server is lost, if it is.
    pub(crate) fn lost(&self) -> Option<&str> {
        match &self.server {
            Server::Connected => None,
            Server::Lost { cause, .. } => Some(cause),
        }
    }

    fn is_lost(&self) -> bool {
        self.lost().is_some()
    }

    /// Whether a plan may yet give the server a part in a job.
    pub(crate) fn may_offload_again(&self) -> bool {
        !self.is_cancelled && (self.is_open || self.fresh().next().is_some())
    }

    fn server_part(&self, job: JobId) -> Option<ServerPart> {
        self.jobs.get(&job).map(|state| state.server_part)
    }

    fn fall_back(&mut self, job: JobId, cause: &str) -> bool {
        let is_news = self.wants_reply(job);
        if is_news {
            self.set(job, ServerPart::OnDevice);
            self.fallback_count += 1;
            if self.fallbacks.len() < FALLBACKS_LISTED_MAX {
                self.fallbacks.push((job, cause.to_owned()));
            }
            if self.jobs[&job].is_device_done {
                self.to_finish.push_back(job);
            }
        }
        is_news
    }

    fn set(&mut self, job: JobId, part: ServerPart) {
        if let Some(state) = self.jobs.get_mut(&job) {
            state.server_part = part;
        }
    }

    fn end_if_complete(&mut self, job: JobId) -> bool {
        let is_complete = self.jobs.get(&job).is_some_and(|state| {
            state.is_device_done && matches!(state.server_part, ServerPart::None | ServerPart::Done)
        });
        if is_complete {
            self.jobs.remove(&job);
        }
        is_complete
    }
}
