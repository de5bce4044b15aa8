//! Who owes what to whom: the state of every job of a run, as a state machine without I/O.
//!
//! The threads of a run report what happened with `handle_*` and ask what to do with `poll_*`; time
//! is an argument and must not run backwards. The rules: a job is complete once, whoever completes
//! it first; a job whose part on the device is done and whose server is lost, or refuses it, is
//! finished on the device; a server that owes a reply and says nothing for `patience` is lost.

use cutpoint_plan::units::Time;
use cutpoint_plan::workload::JobId;
use std::collections::VecDeque;

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
    /// It is done, by whomever.
    Done,
}

/// The state of a run.
#[derive(Clone, Debug)]
pub struct Session {
    device_done: Vec<bool>,
    server_part: Vec<ServerPart>,
    ended: Vec<bool>,
    ended_count: usize,
    unsent_count: usize,
    owed_count: usize,
    to_finish: VecDeque<JobId>,
    lost: Option<String>,
    is_cancelled: bool,
    patience: Time,
    heard: Time,
    fallbacks: Vec<Fallback>,
}

/// A job that the device finished in the server's stead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Which.
    pub job: JobId,
    /// Why.
    pub cause: String,
}

impl Session {
    /// A run of jobs that are offloaded or not; a silent server is lost after `patience`.
    pub fn new(is_offloaded: &[bool], patience: Time) -> Session {
        let part = |&offloaded| if offloaded { ServerPart::Unsent } else { ServerPart::None };
        Session {
            device_done: vec![false; is_offloaded.len()],
            server_part: is_offloaded.iter().map(part).collect(),
            ended: vec![false; is_offloaded.len()],
            ended_count: 0,
            unsent_count: is_offloaded.iter().filter(|&&o| o).count(),
            owed_count: 0,
            to_finish: VecDeque::new(),
            lost: None,
            is_cancelled: false,
            patience,
            heard: Time::ZERO,
            fallbacks: Vec::new(),
        }
    }

    /// The device has done its planned part of a job; says whether the job is complete with that.
    pub fn handle_device_done(&mut self, job: JobId) -> bool {
        let j = job.index();
        self.device_done[j] = true;
        if self.server_part[j] == ServerPart::OnDevice && !self.is_cancelled {
            self.to_finish.push_back(job);
        }
        self.end_if_complete(job)
    }

    /// The last tensor of a job has left at `now`.
    pub fn handle_sent(&mut self, job: JobId, now: Time) {
        if self.server_part[job.index()] == ServerPart::Unsent {
            if self.owed_count == 0 {
                // The server owed nothing before, so its silence begins to count here.
                self.heard = self.heard.max(now);
            }
            self.set(job, ServerPart::Owed);
        }
    }

    /// A reply with outputs has come for a job at `now`; says whether they are wanted. They are not
    /// if the server's part is done, or if the device has been told to do it.
    pub fn handle_reply(&mut self, job: JobId, now: Time) -> bool {
        self.heard = self.heard.max(now);
        let is_wanted =
            matches!(self.server_part[job.index()], ServerPart::Unsent | ServerPart::Owed)
                && !self.is_cancelled;
        if is_wanted {
            self.set(job, ServerPart::Done);
            self.end_if_complete(job);
        }
        is_wanted
    }

    /// The server has answered a job at `now` with an error: the device will do the server's part.
    pub fn handle_refused(&mut self, job: JobId, cause: &str, now: Time) {
        self.heard = self.heard.max(now);
        self.fall_back(job, cause);
    }

    /// The connection broke: the device will do all that the server has not done.
    pub fn handle_lost(&mut self, cause: &str) {
        if self.lost.is_none() {
            self.lost = Some(cause.to_owned());
            (0..self.ended.len()).for_each(|job| self.fall_back(JobId::at(job), cause));
        }
    }

    /// The device has done the server's part of a job.
    pub fn handle_finished_on_device(&mut self, job: JobId) {
        if self.server_part[job.index()] == ServerPart::OnDevice {
            self.set(job, ServerPart::Done);
            self.end_if_complete(job);
        }
    }

    /// A job has failed for a reason of its own, which no other machine would change.
    pub fn handle_failed(&mut self, job: JobId) {
        self.set(job, ServerPart::Done);
        self.device_done[job.index()] = true;
        self.end_if_complete(job);
    }

    /// The run is given up: jobs that have not ended never will.
    pub fn handle_cancelled(&mut self) {
        self.is_cancelled |= self.ended_count < self.ended.len();
        self.to_finish.clear();
    }

    /// The next job whose server's part the device must do, its planned part being done.
    pub fn poll_fallback(&mut self) -> Option<JobId> {
        self.to_finish.pop_front()
    }

    /// Finds out whether the server has been silent for too long.
    pub fn poll_silence(&mut self, now: Time) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.handle_lost(&format!("the server said nothing for {}", self.patience));
        }
    }

    /// When the server will have been silent for too long, if it owes anything.
    pub fn deadline(&self) -> Option<Time> {
        (self.lost.is_none() && !self.is_cancelled && self.owed_count > 0)
            .then(|| self.heard + self.patience)
    }

    /// Whether a job has ended, complete or failed.
    pub fn has_ended(&self, job: JobId) -> bool {
        self.ended[job.index()]
    }

    /// Whether nothing is left to do: every job has ended, or the run is given up.
    pub fn is_finished(&self) -> bool {
        self.is_cancelled || self.ended_count == self.ended.len()
    }

    /// Whether the run was given up before every job had ended.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    /// Whether the server still has, or will have, a part in some job.
    pub fn needs_server(&self) -> bool {
        !self.is_cancelled && self.unsent_count + self.owed_count > 0
    }

    /// Why the server is lost, if it is.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// The jobs that the device finished in the server's stead, and why.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.fallbacks
    }

    fn fall_back(&mut self, job: JobId, cause: &str) {
        let j = job.index();
        if self.is_cancelled {
            return;
        }
        if matches!(self.server_part[j], ServerPart::Unsent | ServerPart::Owed) {
            self.set(job, ServerPart::OnDevice);
            self.fallbacks.push(Fallback { job, cause: cause.to_owned() });
            if self.device_done[j] {
                self.to_finish.push_back(job);
            }
        }
    }

    fn set(&mut self, job: JobId, part: ServerPart) {
        let old = std::mem::replace(&mut self.server_part[job.index()], part);
        self.unsent_count -= usize::from(old == ServerPart::Unsent);
        self.unsent_count += usize::from(part == ServerPart::Unsent);
        self.owed_count -= usize::from(old == ServerPart::Owed);
        self.owed_count += usize::from(part == ServerPart::Owed);
    }

    fn end_if_complete(&mut self, job: JobId) -> bool {
        let j = job.index();
        let is_complete = self.device_done[j]
            && matches!(self.server_part[j], ServerPart::None | ServerPart::Done);
        if is_complete && !self.ended[j] {
            self.ended[j] = true;
            self.ended_count += 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Time = Time::from_nanoseconds(100);

    fn at(nanoseconds: u64) -> Time {
        Time::from_nanoseconds(nanoseconds)
    }

    #[test]
    fn a_job_is_complete_once_whoever_is_first() {
        let mut session = Session::new(&[true], PATIENCE);
        assert!(!session.handle_device_done(JobId(0)));
        session.handle_sent(JobId(0), at(10));
        session.handle_lost("reset");
        assert_eq!(session.poll_fallback(), Some(JobId(0)));
        // The reply of the server that was thought lost comes after all.
        assert!(!session.handle_reply(JobId(0), at(20)));
        session.handle_finished_on_device(JobId(0));
        assert!(!session.handle_reply(JobId(0), at(30)));
        assert!(session.is_finished());
        assert_eq!(session.fallbacks().len(), 1);
    }

    #[test]
    fn silence_counts_from_when_the_server_owes_something() {
        let mut session = Session::new(&[true, true], PATIENCE);
        assert_eq!(session.deadline(), None);
        session.handle_device_done(JobId(0));
        session.handle_sent(JobId(0), at(1_000));
        assert_eq!(session.deadline(), Some(at(1_100)));
        assert!(session.handle_reply(JobId(0), at(1_050)));
        assert_eq!(session.deadline(), None);
        session.handle_device_done(JobId(1));
        session.handle_sent(JobId(1), at(2_000));
        session.poll_silence(at(2_099));
        assert_eq!(session.lost(), None);
        session.poll_silence(at(2_100));
        assert!(session.lost().is_some());
        assert_eq!(session.poll_fallback(), Some(JobId(1)));
    }

    #[test]
    fn a_refused_job_is_finished_on_the_device_and_the_others_go_on() {
        let mut session = Session::new(&[true, true], PATIENCE);
        session.handle_device_done(JobId(0));
        session.handle_sent(JobId(0), at(1));
        session.handle_refused(JobId(0), "bad tensor", at(2));
        assert_eq!(session.poll_fallback(), Some(JobId(0)));
        assert_eq!(session.lost(), None);
        session.handle_device_done(JobId(1));
        session.handle_sent(JobId(1), at(3));
        assert!(session.handle_reply(JobId(1), at(4)));
    }

    #[test]
    fn jobs_that_reach_the_link_after_it_is_lost_are_finished_on_the_device() {
        let mut session = Session::new(&[true, false], PATIENCE);
        session.handle_lost("refused");
        assert_eq!(session.poll_fallback(), None);
        session.handle_device_done(JobId(0));
        assert_eq!(session.poll_fallback(), Some(JobId(0)));
        assert!(session.handle_device_done(JobId(1)));
        session.handle_finished_on_device(JobId(0));
        assert!(session.is_finished());
    }

    #[test]
    fn a_run_that_is_given_up_owes_nothing_and_keeps_what_is_done() {
        let mut session = Session::new(&[true, true, false], PATIENCE);
        session.handle_device_done(JobId(0));
        session.handle_sent(JobId(0), at(1));
        assert!(session.handle_reply(JobId(0), at(2)));
        session.handle_device_done(JobId(1));
        session.handle_sent(JobId(1), at(3));
        session.handle_refused(JobId(1), "bad tensor", at(4));
        session.handle_cancelled();
        assert!(session.is_finished() && !session.needs_server());
        assert_eq!((session.deadline(), session.poll_fallback()), (None, None));
        assert!(!session.handle_reply(JobId(1), at(5)));
        let ended = [0, 1, 2].map(|j| session.has_ended(JobId(j)));
        assert_eq!(ended, [true, false, false]);
    }

    #[test]
    fn a_reply_before_the_device_is_done_does_not_complete_the_job() {
        let mut session = Session::new(&[true], PATIENCE);
        session.handle_sent(JobId(0), at(1));
        assert!(session.handle_reply(JobId(0), at(2)));
        assert!(!session.is_finished());
        assert!(session.handle_device_done(JobId(0)));
        assert!(session.is_finished());
    }
}
