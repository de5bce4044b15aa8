use super::*;
use proptest::prelude::*;

const PATIENCE: Time = Time::from_nanoseconds(100);

fn at(nanoseconds: u64) -> Time {
    Time::from_nanoseconds(nanoseconds)
}

/// A jobs whose jobs are offloaded or not, have steps on the device, and have begun.
fn begun(offloaded: &[bool]) -> JobStates {
    let mut jobs = JobStates::new(PATIENCE);
    for (j, &is_offloaded) in offloaded.iter().enumerate() {
        assert!(!jobs.handle_planned(JobId::at(j), true, is_offloaded));
        jobs.handle_begun(JobId::at(j));
    }
    jobs.handle_last();
    jobs
}

#[test]
fn a_late_reply_does_not_complete_a_job_twice() {
    let mut jobs = begun(&[true]);
    assert!(!jobs.handle_device_done(JobId(0)));
    jobs.handle_sent(JobId(0), at(10));
    assert!(jobs.handle_lost(0, "reset", at(11)));
    assert_eq!(jobs.poll_fallback(), Some(JobId(0)));
    // The reply of the server that was thought lost comes after all.
    assert!(!jobs.wants_reply(JobId(0)));
    assert!(!jobs.handle_reply(JobId(0), at(20)));
    assert!(jobs.handle_finished_on_device(JobId(0)));
    assert!(!jobs.handle_reply(JobId(0), at(30)));
    assert!(jobs.is_finished());
    assert_eq!(jobs.fallbacks.len(), 1);
}

#[test]
fn silence_counts_from_when_the_server_owes_something() {
    let mut jobs = begun(&[true, true]);
    assert_eq!(jobs.deadline(), None);
    jobs.handle_device_done(JobId(0));
    jobs.handle_sent(JobId(0), at(1_000));
    assert_eq!(jobs.deadline(), Some(at(1_100)));
    assert!(jobs.handle_reply(JobId(0), at(1_050)));
    assert_eq!(jobs.deadline(), None);
    jobs.handle_device_done(JobId(1));
    jobs.handle_sent(JobId(1), at(2_000));
    assert!(!jobs.poll_silence(at(2_099)));
    assert_eq!(jobs.lost(), None);
    assert!(jobs.poll_silence(at(2_100)));
    assert!(jobs.lost().is_some());
    assert_eq!(jobs.poll_fallback(), Some(JobId(1)));
}

#[test]
fn a_refused_job_is_finished_on_the_device_and_the_others_go_on() {
    let mut jobs = begun(&[true, true]);
    jobs.handle_device_done(JobId(0));
    jobs.handle_sent(JobId(0), at(1));
    jobs.handle_refused(JobId(0), "bad tensor", at(2));
    assert_eq!(jobs.poll_fallback(), Some(JobId(0)));
    assert_eq!(jobs.lost(), None);
    jobs.handle_device_done(JobId(1));
    jobs.handle_sent(JobId(1), at(3));
    assert!(jobs.handle_reply(JobId(1), at(4)));
}

#[test]
fn jobs_that_reach_the_link_after_it_is_lost_are_finished_on_the_device() {
    let mut jobs = begun(&[true, false]);
    jobs.handle_lost(0, "refused", at(1));
    assert_eq!(jobs.poll_fallback(), None);
    jobs.handle_device_done(JobId(0));
    assert_eq!(jobs.poll_fallback(), Some(JobId(0)));
    assert!(jobs.handle_device_done(JobId(1)));
    jobs.handle_finished_on_device(JobId(0));
    assert!(jobs.is_finished());
}

#[test]
fn a_cancelled_run_keeps_completed_jobs_and_owes_nothing() {
    let mut jobs = begun(&[true, true, false]);
    jobs.handle_device_done(JobId(0));
    jobs.handle_sent(JobId(0), at(1));
    assert!(jobs.handle_reply(JobId(0), at(2)));
    jobs.handle_device_done(JobId(1));
    jobs.handle_sent(JobId(1), at(3));
    jobs.handle_refused(JobId(1), "bad tensor", at(4));
    jobs.handle_cancelled();
    assert!(jobs.is_finished() && !jobs.needs_server());
    assert_eq!((jobs.deadline(), jobs.poll_fallback()), (None, None));
    assert!(!jobs.handle_reply(JobId(1), at(5)));
    let is_known = [0, 1, 2].map(|j| jobs.is_known(JobId(j)));
    assert_eq!(is_known, [false, true, true]);
}

#[test]
fn a_reply_before_the_device_is_done_does_not_complete_the_job() {
    let mut jobs = begun(&[true]);
    jobs.handle_sent(JobId(0), at(1));
    assert!(!jobs.handle_reply(JobId(0), at(2)));
    assert!(!jobs.is_finished());
    assert!(jobs.handle_device_done(JobId(0)));
    assert!(jobs.is_finished());
}

#[test]
fn only_jobs_that_have_not_begun_are_replanned() {
    let mut jobs = JobStates::new(PATIENCE);
    jobs.handle_planned(JobId(0), true, true);
    jobs.handle_planned(JobId(1), false, true);
    jobs.handle_begun(JobId(0));
    assert_eq!(jobs.fresh().collect::<Vec<_>>(), [JobId(1)]);
    jobs.handle_planned(JobId(0), true, false);
    jobs.handle_planned(JobId(1), true, false);
    // Job 0 still waits for the server, job 1 no longer does.
    assert!(!jobs.handle_device_done(JobId(0)));
    jobs.handle_begun(JobId(1));
    assert!(jobs.handle_device_done(JobId(1)));
}

#[test]
fn a_lost_server_is_called_with_increasing_pauses_until_it_answers_a_job() {
    let mut jobs = JobStates::new(PATIENCE);
    jobs.handle_planned(JobId(0), true, true);
    jobs.handle_lost(0, "reset", at(0));
    // Jobs that have not begun are not finished on the device; they are to be re-planned.
    assert!(jobs.fallbacks.is_empty());
    let mut now = Time::ZERO;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let due = jobs.deadline().expect("it is to be called");
        assert!(!jobs.poll_call(due.saturating_sub(at(1))));
        assert!(jobs.poll_call(due));
        assert!(!jobs.poll_call(due), "one call at a time");
        waits.push(due.saturating_sub(now).milliseconds());
        now = due;
        jobs.handle_no_answer(now);
    }
    assert_eq!(waits, [250.0, 500.0, 1e3, 2e3, 4e3, 8e3, 8e3, 8e3]);
    let due = jobs.deadline().expect("it is to be called");
    assert!(jobs.poll_call(due));
    assert_eq!(jobs.handle_connected(due), 1);
    // The loss of the connection before is no news.
    assert!(!jobs.handle_lost(0, "late", due));
    jobs.handle_begun(JobId(0));
    jobs.handle_device_done(JobId(0));
    jobs.handle_sent(JobId(0), due);
    assert!(jobs.handle_reply(JobId(0), due));
    jobs.handle_lost(1, "reset", due);
    assert_eq!(jobs.deadline(), Some(due + CALL_AGAIN_FIRST));
}

#[test]
fn a_lost_server_is_not_called_when_no_job_needs_it() {
    let mut jobs = begun(&[true]);
    jobs.handle_lost(0, "reset", at(0));
    assert_eq!(jobs.deadline(), None);
    assert!(!jobs.poll_call(CALL_AGAIN_MAX));
}

/// Something that happens to a run, of job `.0` where it concerns one.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Begin(u32),
    DeviceDone(u32),
    Sent(u32),
    Reply(u32),
    Refuse(u32),
    Fail(u32),
    Replan(u32, bool),
    Lose(u32),
    Silence,
    Call,
    Answer,
    NoAnswer,
    Finish,
}

fn arb_fault(jobs: u32) -> impl Strategy<Value = Fault> {
    let job = 0..jobs;
    prop_oneof![
        4 => job.clone().prop_map(Fault::Begin),
        4 => job.clone().prop_map(Fault::DeviceDone),
        4 => job.clone().prop_map(Fault::Sent),
        4 => job.clone().prop_map(Fault::Reply),
        1 => job.clone().prop_map(Fault::Refuse),
        1 => job.clone().prop_map(Fault::Fail),
        2 => (job, any::<bool>()).prop_map(|(job, is_offloaded)| Fault::Replan(job, is_offloaded)),
        1 => (0u32..3).prop_map(Fault::Lose),
        1 => Just(Fault::Silence),
        2 => Just(Fault::Call),
        2 => Just(Fault::Answer),
        1 => Just(Fault::NoAnswer),
        3 => Just(Fault::Finish),
    ]
}

/// A run under faults: the jobs, and what the machines around it have done.
struct Run {
    jobs: JobStates,
    now: Time,
    is_calling: bool,
    begun: Vec<bool>,
    device_done: Vec<bool>,
    offloaded: Vec<bool>,
    finishing: Vec<JobId>,
    ended: Vec<u32>,
}

impl Run {
    fn new(offloaded: &[bool]) -> Run {
        let mut jobs = JobStates::new(PATIENCE);
        for (j, &is_offloaded) in offloaded.iter().enumerate() {
            jobs.handle_planned(JobId::at(j), true, is_offloaded);
        }
        jobs.handle_last();
        let none = vec![false; offloaded.len()];
        Run {
            jobs,
            now: Time::ZERO,
            is_calling: false,
            begun: none.clone(),
            device_done: none,
            offloaded: offloaded.to_vec(),
            finishing: Vec::new(),
            ended: vec![0; offloaded.len()],
        }
    }

    fn count(&mut self, job: JobId, is_ended: bool) {
        self.ended[job.index()] += u32::from(is_ended);
    }

    fn step(&mut self, fault: Fault) {
        let now = self.now;
        let jobs = &mut self.jobs;
        match fault {
            Fault::Begin(j) => {
                jobs.handle_begun(JobId(j));
                self.begun[j as usize] = true;
            }
            Fault::DeviceDone(j) if self.begun[j as usize] && !self.device_done[j as usize] => {
                self.device_done[j as usize] = true;
                let is_ended = jobs.handle_device_done(JobId(j));
                self.count(JobId(j), is_ended);
            }
            Fault::Sent(j) if self.begun[j as usize] => jobs.handle_sent(JobId(j), now),
            // A server may answer anything at any time, and more than once.
            Fault::Reply(j) if self.begun[j as usize] && self.offloaded[j as usize] => {
                let is_ended = jobs.handle_reply(JobId(j), now);
                self.count(JobId(j), is_ended);
            }
            Fault::Refuse(j) if self.begun[j as usize] => {
                jobs.handle_refused(JobId(j), "no", now);
            }
            Fault::Fail(j) if self.begun[j as usize] => {
                let is_ended = jobs.handle_dropped(JobId(j));
                self.count(JobId(j), is_ended);
            }
            Fault::Replan(j, is_offloaded) if jobs.is_known(JobId(j)) => {
                if !self.begun[j as usize] {
                    self.offloaded[j as usize] = is_offloaded;
                }
                assert!(!jobs.handle_planned(JobId(j), true, is_offloaded));
            }
            Fault::Lose(connection) => {
                jobs.handle_lost(connection, "reset", now);
            }
            Fault::Silence => {
                jobs.poll_silence(now + PATIENCE);
            }
            Fault::Call => self.is_calling |= jobs.poll_call(now),
            Fault::Answer if std::mem::take(&mut self.is_calling) => {
                jobs.handle_connected(now);
            }
            Fault::NoAnswer if std::mem::take(&mut self.is_calling) => {
                jobs.handle_no_answer(now);
            }
            Fault::Finish => match self.finishing.pop() {
                Some(job) => {
                    let is_ended = self.jobs.handle_finished_on_device(job);
                    self.count(job, is_ended);
                }
                None => self.finishing.extend(jobs.poll_fallback()),
            },
            _ => {}
        }
    }

    /// What is left, without further faults: the device does its part, a server that is there
    /// answers, and the device does the rest.
    fn end(&mut self) {
        for j in 0..self.ended.len() {
            let j = u32::try_from(j).expect("few");
            [Fault::Begin(j), Fault::DeviceDone(j), Fault::Sent(j), Fault::Reply(j)]
                .into_iter()
                .for_each(|fault| self.step(fault));
        }
        for _ in 0..=2 * self.ended.len() {
            self.step(Fault::Finish);
        }
    }
}

proptest! {
    #[test]
    fn each_job_ends_exactly_once_under_any_events(
        offloaded in proptest::collection::vec(any::<bool>(), 1..6),
        faults in proptest::collection::vec((arb_fault(5), 0u64..600_000_000), 0..60),
    ) {
        let mut run = Run::new(&offloaded);
        let jobs = u32::try_from(offloaded.len()).expect("few");
        for (fault, later) in faults {
            run.now += Time::from_nanoseconds(later);
            let is_of = match fault {
                Fault::Begin(j) | Fault::DeviceDone(j) | Fault::Sent(j) | Fault::Reply(j)
                | Fault::Refuse(j) | Fault::Fail(j) | Fault::Replan(j, _) => j < jobs,
                _ => true,
            };
            if is_of {
                run.step(fault);
            }
            let in_system = run.ended.iter().filter(|&&count| count == 0).count();
            prop_assert_eq!(run.jobs.in_system(), in_system);
        }
        run.end();
        prop_assert!(run.ended.iter().all(|&count| count == 1), "{:?}", run.ended);
        prop_assert!(run.jobs.is_finished());
        let fallbacks = &run.jobs.fallbacks;
        let is_twice = |job| fallbacks.iter().filter(|(other, _)| *other == job).count() > 1;
        prop_assert!(!fallbacks.iter().any(|(job, _)| is_twice(*job)));
    }
}
