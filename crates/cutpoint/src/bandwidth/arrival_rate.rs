//! How fast bytes reach the server, as its replies show.
//!
//! A tensor has left when the device's system has taken it. That may be long before it has crossed
//! the link: the system's window and the queues on the way fill first, and a slow link looks fast
//! until they are full. An answer comes a fixed time after the job's last tensor has arrived, apart
//! from what the server says it took. So between two answers exactly those bytes have crossed that
//! were sent between the two jobs' last tensors, if the device had something to send all the while.

use cutpoint_plan::units::Time;
use cutpoint_plan::workload::JobId;
use std::collections::VecDeque;

/// How many jobs may wait for a reply; beyond that the oldest are forgotten.
const WAITING_MAX: usize = 1024;

/// The greatest idle share of a device that still fills the link.
const IDLE_MAX: f64 = 0.05;

/// Pairs what was sent with the replies to it. A state machine without clock and I/O.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArrivalRate {
    /// In the order in which their last tensors so far have left.
    waiting: VecDeque<(JobId, Mark)>,
    sent: Mark,
    sent_until: Option<Time>,
    /// The last job known to have arrived, and when.
    arrived: Option<(Mark, Time)>,
}

/// Everything sent since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    bytes: u64,
    /// How long nothing was sent.
    idle: Time,
}

impl ArrivalRate {
    /// A tensor of a job left from `start` to `end`.
    pub(crate) fn handle_sent(&mut self, job: JobId, bytes: u64, start: Time, end: Time) {
        let since = self.sent_until.map_or(Time::ZERO, |until| start.saturating_sub(until));
        self.sent.bytes = self.sent.bytes.saturating_add(bytes);
        self.sent.idle += since;
        self.sent_until = Some(end);
        self.waiting.retain(|(known, _)| *known != job);
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((job, self.sent));
    }

    /// A job's last tensor had arrived at `at`, up to a constant offset for all jobs. Returns the
    /// bytes that have crossed since an earlier arrival, and the time that took, if there are at
    /// least `bytes_min` and the device always had something to send.
    pub(crate) fn handle_arrived(
        &mut self,
        job: JobId,
        at: Time,
        bytes_min: u64,
    ) -> Option<(u64, Time)> {
        let place = self.waiting.iter().position(|(known, _)| *known == job)?;
        let (_, mark) = self.waiting.remove(place)?;
        let Some((before, then)) = self.arrived.filter(|(before, _)| before.bytes < mark.bytes)
        else {
            // The first answer; one that was overtaken says nothing.
            self.arrived.get_or_insert((mark, at));
            return None;
        };
        let (bytes, time) = (mark.bytes - before.bytes, at.saturating_sub(then));
        let idle = mark.idle.saturating_sub(before.idle);
        if bytes < bytes_min && idle == Time::ZERO {
            return None;
        }
        self.arrived = Some((mark, at));
        let idle_max = time.nanoseconds() as f64 * IDLE_MAX;
        let is_filled = time > Time::ZERO && idle.nanoseconds() as f64 <= idle_max;
        (is_filled && bytes >= bytes_min).then_some((bytes, time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 200_000;

    fn ms(value: u64) -> Time {
        Time::from_nanoseconds(value * 1_000_000)
    }

    /// Jobs sent back to back, handed over in `handed` ms each, arriving every `apart` ms.
    fn samples(handed: u64, apart: u64, gap: u64) -> Vec<(u64, Time)> {
        let mut rate = ArrivalRate::default();
        for j in 0..6 {
            let start = ms(u64::from(j) * (handed + gap));
            rate.handle_sent(JobId(j), BYTES, start, start + ms(handed));
        }
        let arrived = |j: u32| rate.handle_arrived(JobId(j), ms(500 + u64::from(j) * apart), 1);
        (0..6).filter_map(arrived).collect()
    }

    #[test]
    fn a_filling_queue_does_not_change_the_estimated_rate() {
        assert_eq!(samples(10, 280, 0), [(BYTES, ms(280)); 5]);
    }

    #[test]
    fn an_idle_sender_gives_no_sample() {
        assert_eq!(samples(100, 280, 180), []);
        assert_eq!(samples(10, 280, 10).len(), 5, "a short rest is none");
    }

    #[test]
    fn small_jobs_share_a_sample_and_overtaken_ones_are_skipped() {
        let mut rate = ArrivalRate::default();
        for j in 0..5 {
            rate.handle_sent(JobId(j), 10, ms(j.into()), ms(u64::from(j) + 1));
        }
        let mut arrived = |j, at| rate.handle_arrived(JobId(j), ms(at), 20);
        assert_eq!(arrived(0, 100), None);
        assert_eq!(arrived(1, 110), None, "too few bytes");
        assert_eq!(arrived(3, 130), Some((30, ms(30))));
        assert_eq!(arrived(2, 140), None, "overtaken");
        assert_eq!(arrived(2, 150), None, "answered before");
        assert_eq!(arrived(9, 150), None, "never sent");
    }

    #[test]
    fn the_jobs_that_wait_for_answers_are_bounded() {
        let mut rate = ArrivalRate::default();
        for j in 0..5_000 {
            rate.handle_sent(JobId(j), 1, ms(0), ms(0));
        }
        assert_eq!(rate.waiting.len(), WAITING_MAX);
    }
}
