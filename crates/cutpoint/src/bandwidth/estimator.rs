//! Estimates the uplink's bandwidth from transfers and replies, and decides whether it has changed
//! enough to re-plan the remaining jobs. A state machine without clock and I/O.
//!
//! Transfers are gathered into samples of at least [`SAMPLE_BYTES_MIN`] and [`SAMPLE_TIME_MIN`]:
//! what is shorter says more about timers and buffers than about the link. An estimate is the
//! median of the last [`WINDOW`] samples, so that fewer than half of them may be off by any factor.
//! There are two: of how fast tensors left, and of how fast they arrived ([`ArrivalRate`]). The system's
//! window and the queues on the way take tensors faster than the link until they are full, so a link is
//! faster only if both say so. And one that leaves faster than the link makes the next ones wait: what
//! tensors are ahead of the plan's link is paid back before they count as slow. Without that, a link on
//! which they leave by turns in 16 and 29 ms instead of 22 looks slower in every other median.
//!
//! A plan is due when the estimate differs from the bandwidth that the last plan reckoned with by
//! more than [`DRIFT`], and after a plan that was due to a change in one direction, by more than
//! [`DRIFT_BACK`] in the other direction: a link that swings between two bandwidths does not have
//! the jobs planned to and fro.

use super::arrival_rate::ArrivalRate;
use super::window::{Acknowledgement, time_in_flight};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::JobId;
use std::collections::VecDeque;

/// The least payload of a sample.
const SAMPLE_BYTES_MIN: u64 = 48 << 10;

/// The least time on the uplink of a sample.
const SAMPLE_TIME_MIN: Time = Time::from_nanoseconds(2_000_000);

/// How many samples an estimate uses.
const WINDOW: usize = 5;

/// A change by more than this factor is acted on.
const DRIFT: f64 = 1.3;

/// The same for a change opposite to the last one that was acted on.
const DRIFT_BACK: f64 = 1.6;

/// How far tensors may leave ahead of the link, as a multiple of the window: systems count a
/// socket's bytes in their own way.
const AHEAD_MAX: u64 = 2;

/// Estimates the bandwidth of the uplink.
#[derive(Clone, Debug)]
pub(crate) struct BandwidthEstimator {
    planned: Bandwidth,
    acknowledgement: Acknowledgement,
    overhead: Time,
    /// How much earlier tensors have left than they can have crossed the link.
    ahead: Time,
    /// How fast tensors left.
    left: Samples,
    /// The same without what the ones before were ahead.
    left_late: Samples,
    /// How fast they arrived.
    arrived: Samples,
    arrival_rate: ArrivalRate,
    open_bytes: u64,
    open_time: Time,
    open_late: Time,
    /// Whether the last change that was acted on was upwards.
    went_up: Option<bool>,
}

impl BandwidthEstimator {
    /// The fewest samples for an estimate.
    pub(crate) const SAMPLES_MIN: usize = 3;

    /// The fewest remaining jobs for a new plan.
    pub(crate) const JOBS_MIN: usize = 2;

    /// Watches a link whose plan assumes a bandwidth and a time for each message on top of its
    /// bytes.
    pub(crate) fn new(
        planned: Bandwidth,
        acknowledgement: Acknowledgement,
        overhead: Time,
    ) -> BandwidthEstimator {
        BandwidthEstimator {
            planned,
            acknowledgement,
            overhead,
            ahead: Time::ZERO,
            left: Samples::default(),
            left_late: Samples::default(),
            arrived: Samples::default(),
            arrival_rate: ArrivalRate::default(),
            open_bytes: 0,
            open_time: Time::ZERO,
            open_late: Time::ZERO,
            went_up: None,
        }
    }

    /// A message of a job, of `bytes`, left from `start` to `end`; returns whether that completes a
    /// sample.
    pub(crate) fn handle_transfer(
        &mut self,
        job: JobId,
        bytes: u64,
        start: Time,
        end: Time,
    ) -> bool {
        self.arrival_rate.handle_sent(job, bytes, start, end);
        self.open_bytes = self.open_bytes.saturating_add(bytes);
        let took = end.saturating_sub(start).saturating_sub(self.overhead);
        self.open_time += took;
        let late = self.late(bytes, took);
        self.open_late += late;
        if self.open_bytes < SAMPLE_BYTES_MIN || self.open_time < SAMPLE_TIME_MIN {
            return false;
        }
        self.left.push(rate(self.open_bytes, self.open_time));
        self.left_late.push(rate(self.open_bytes, self.open_late.max(SAMPLE_TIME_MIN)));
        (self.open_bytes, self.open_time, self.open_late) = (0, Time::ZERO, Time::ZERO);
        true
    }

    /// The time that a message took to leave, less the head start of the messages before it.
    fn late(&mut self, bytes: u64, took: Time) -> Time {
        let Some(foreseen) = self.planned.transfer_time(bytes) else { return took };
        if took <= foreseen {
            self.ahead = (self.ahead + (foreseen - took)).min(self.ahead_max());
            return took;
        }
        let back = self.ahead.min(took - foreseen);
        self.ahead -= back;
        took - back
    }

    fn ahead_max(&self) -> Time {
        time_in_flight(self.planned, self.acknowledgement) * AHEAD_MAX
    }

    /// The server's reply shows that a job's last message had arrived at `at`, up to a constant
    /// offset for all jobs.
    pub(crate) fn handle_arrival(&mut self, job: JobId, at: Time) {
        if let Some((bytes, time)) = self.arrival_rate.handle_arrived(job, at, SAMPLE_BYTES_MIN) {
            self.arrived.push(rate(bytes, time.max(SAMPLE_TIME_MIN)));
        }
    }

    /// A probe of `bytes` crossed the uplink in this time: a sample of its own. Returns whether it
    /// alone would cause a new plan.
    pub(crate) fn handle_probe(&mut self, bytes: u64, time: Time) -> bool {
        // What takes no longer than a timer can tell is at least so fast: no reason to think of a link
        // as slower than the plan's.
        let mbit_per_s = match time < SAMPLE_TIME_MIN {
            true => rate(bytes, SAMPLE_TIME_MIN).max(self.planned.mbit_per_s()),
            false => rate(bytes, time),
        };
        self.left.push(mbit_per_s);
        self.left_late.push(mbit_per_s);
        self.arrived.push(mbit_per_s);
        self.is_change(mbit_per_s)
    }

    /// The bandwidth that the last samples show: below the plan's as tensors leave, or above it as
    /// they arrive. `None` with too few samples.
    pub(crate) fn estimate(&self) -> Option<Bandwidth> {
        let (left, planned) = (self.left.median()?, self.planned.mbit_per_s());
        if left <= planned {
            let late = self.left_late.median()?;
            return Bandwidth::from_mbit_per_s(if self.is_change(late) { left } else { late });
        }
        Bandwidth::from_mbit_per_s(left.min(self.arrived.median()?).max(planned))
    }

    /// The bandwidth to plan with, if the `jobs_left` should be re-planned.
    pub(crate) fn poll_change(&self, jobs_left: usize) -> Option<Bandwidth> {
        let estimate = self.estimate().filter(|_| jobs_left >= BandwidthEstimator::JOBS_MIN)?;
        self.is_change(estimate.mbit_per_s()).then_some(estimate)
    }

    fn is_change(&self, mbit_per_s: f64) -> bool {
        let factor = mbit_per_s / self.planned.mbit_per_s();
        let is_up = factor > 1.0;
        let limit = match self.went_up {
            Some(went_up) if went_up != is_up => DRIFT_BACK,
            _ => DRIFT,
        };
        factor.max(1.0 / factor) > limit
    }

    /// The bandwidth that the current plan assumes.
    pub(crate) fn planned(&self) -> Bandwidth {
        self.planned
    }

    /// The plan assumes another bandwidth from now on; earlier samples are dropped.
    pub(crate) fn handle_planned(&mut self, uplink: Bandwidth) {
        self.went_up = Some(uplink.mbit_per_s() > self.planned.mbit_per_s());
        self.planned = uplink;
        self.handle_connected();
    }

    /// Transfers take another path from now on; earlier samples are dropped.
    pub(crate) fn handle_connected(&mut self) {
        let went_up = self.went_up;
        let fresh = BandwidthEstimator::new(self.planned, self.acknowledgement, self.overhead);
        *self = BandwidthEstimator { went_up, ..fresh };
    }
}

/// The last bandwidths seen, in millions of bits per second, the latest last.
#[derive(Clone, Debug, Default)]
struct Samples(VecDeque<f64>);

impl Samples {
    fn push(&mut self, mbit_per_s: f64) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(mbit_per_s);
    }

    /// `None` of fewer than [`BandwidthEstimator::SAMPLES_MIN`].
    fn median(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        (sorted.len() >= BandwidthEstimator::SAMPLES_MIN).then(|| sorted[sorted.len() / 2])
    }
}

/// In millions of bits per second.
fn rate(bytes: u64, time: Time) -> f64 {
    bytes as f64 * 8e3 / time.nanoseconds() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const OVERHEAD: Time = Time::from_nanoseconds(300_000);
    const ACKNOWLEDGEMENT: Acknowledgement =
        Acknowledgement { round_trip: Time::from_nanoseconds(5_000_000), answer: Time::ZERO };

    fn mbps(value: f64) -> Bandwidth {
        Bandwidth::from_mbit_per_s(value).expect("not negative")
    }

    /// What a message takes at a bandwidth, off by a factor.
    fn time(bytes: u64, bandwidth: f64, factor: f64) -> Time {
        let exact = mbps(bandwidth).transfer_time(bytes).expect("finite") + OVERHEAD;
        Time::from_nanoseconds((exact.nanoseconds() as f64 * factor) as u64)
    }

    /// A link over which messages follow each other without a pause.
    #[derive(Default)]
    struct Busy {
        now: Time,
        job: u32,
    }

    impl Busy {
        /// A message leaves in this time, and arrives a while after it has left.
        fn send(&mut self, estimator: &mut BandwidthEstimator, bytes: u64, takes: Time) {
            let (start, job) = (self.now, JobId(self.job));
            self.now += takes;
            self.job += 1;
            estimator.handle_transfer(job, bytes, start, self.now);
            estimator.handle_arrival(job, self.now + Time::from_nanoseconds(40_000_000));
        }
    }

    /// Sends messages at a bandwidth until a plan is due; how many that took, if no more than `limit`.
    fn messages_until_due(
        estimator: &mut BandwidthEstimator,
        bandwidth: f64,
        noise: f64,
        limit: usize,
        random: &mut ChaCha8Rng,
    ) -> Option<usize> {
        let mut busy = Busy::default();
        // What was sent before is not what is looked at here.
        estimator.arrival_rate = ArrivalRate::default();
        (1..=limit).find(|_| {
            let bytes = random.random_range(60_000..400_000);
            let factor = random.random_range(1.0 - noise..=1.0 + noise);
            busy.send(estimator, bytes, time(bytes, bandwidth, factor));
            estimator.poll_change(10).is_some()
        })
    }

    #[test]
    fn noise_of_ten_percent_does_not_change_the_plan() {
        for seed in 0..20 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut estimator = BandwidthEstimator::new(mbps(18.88), ACKNOWLEDGEMENT, OVERHEAD);
            let due = messages_until_due(&mut estimator, 18.88, 0.1, 2_000, &mut random);
            assert_eq!(due, None, "seed {seed}");
        }
    }

    #[test]
    fn a_drop_to_a_quarter_is_noticed_within_a_window_and_then_holds() {
        for seed in 0..20 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut estimator = BandwidthEstimator::new(mbps(20.0), ACKNOWLEDGEMENT, OVERHEAD);
            assert_eq!(messages_until_due(&mut estimator, 20.0, 0.1, 50, &mut random), None);
            let due = messages_until_due(&mut estimator, 5.0, 0.1, 100, &mut random);
            assert!(
                due.is_some_and(|count| count <= BandwidthEstimator::SAMPLES_MIN),
                "seed {seed}: {due:?}"
            );
            let found = estimator.poll_change(10).expect("due");
            assert!((3.5..7.0).contains(&found.mbit_per_s()), "seed {seed}: {found:?}");
            estimator.handle_planned(found);
            let again = messages_until_due(&mut estimator, 5.0, 0.1, 500, &mut random);
            assert_eq!(again, None, "seed {seed}");
        }
    }

    #[test]
    fn a_link_that_swings_within_the_band_changes_the_plan_once() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut estimator = BandwidthEstimator::new(mbps(20.0), ACKNOWLEDGEMENT, Time::ZERO);
        let due = messages_until_due(&mut estimator, 13.0, 0.0, 10, &mut random);
        assert!(due.is_some());
        estimator.handle_planned(mbps(13.0));
        for round in 0..50 {
            let bandwidth = if round % 2 == 0 { 20.0 } else { 13.0 };
            let due = messages_until_due(&mut estimator, bandwidth, 0.02, 20, &mut random);
            assert_eq!(due, None, "round {round}");
        }
    }

    #[test]
    fn one_stalled_transfer_does_not_change_the_plan() {
        let (mut estimator, mut busy) =
            (BandwidthEstimator::new(mbps(10.0), ACKNOWLEDGEMENT, Time::ZERO), Busy::default());
        for stalled in 0..30 {
            let factor = if stalled % 5 == 0 { 50.0 } else { 1.0 };
            busy.send(&mut estimator, 100_000, time(100_000, 10.0, factor));
            assert_eq!(estimator.poll_change(10), None);
        }
    }

    /// Ends of transfers on a link of 18.88 Mbit/s, measured on the testbed.
    #[test]
    fn queued_tensors_do_not_lower_the_estimate() {
        let by_turns = [26.9, 16.0, 28.6, 15.8, 29.5, 14.6, 29.6, 15.7, 29.5, 18.7, 27.3];
        let after_a_large_one = [36.2, 36.0, 31.6, 21.7, 21.1, 17.8, 26.5, 23.6, 21.1, 16.3, 28.6];
        for (first_ms, others_ms) in [(133.5, by_turns), (134.5, after_a_large_one)] {
            let (mut estimator, mut busy) =
                (BandwidthEstimator::new(mbps(18.03), ACKNOWLEDGEMENT, OVERHEAD), Busy::default());
            let ms = |ms: f64| Time::from_nanoseconds((ms * 1e6) as u64);
            let mut arrival = ms(40.0);
            let others = others_ms.map(|took| (50_176, took));
            for (bytes, took) in [(401_408, first_ms)].into_iter().chain(others) {
                let (start, job) = (busy.now, JobId(busy.job));
                busy.now += ms(took);
                busy.job += 1;
                estimator.handle_transfer(job, bytes, start, busy.now);
                arrival += time(bytes, 18.03, 1.0);
                estimator.handle_arrival(job, arrival);
                assert_eq!(estimator.poll_change(10), None, "{took} ms");
            }
        }
    }

    #[test]
    fn small_messages_share_a_sample() {
        let (mut estimator, mut busy) =
            (BandwidthEstimator::new(mbps(10.0), ACKNOWLEDGEMENT, Time::ZERO), Busy::default());
        for _ in 0..10 {
            busy.send(&mut estimator, 5_000, time(5_000, 10.0, 1.0));
        }
        assert_eq!(estimator.left.0.len(), 1);
    }

    #[test]
    fn a_probe_too_short_to_time_never_makes_a_link_look_slower() {
        for (planned, is_change) in [(3_000.0, false), (300.0, false), (20.0, true)] {
            let mut estimator = BandwidthEstimator::new(mbps(planned), ACKNOWLEDGEMENT, OVERHEAD);
            let mut is_due = false;
            for _ in 0..WINDOW {
                is_due = estimator.handle_probe(65_536, Time::from_nanoseconds(400_000));
            }
            assert_eq!(is_due, is_change, "planned with {planned}");
            assert_eq!(estimator.poll_change(10).is_some(), is_change, "planned with {planned}");
        }
        let mut estimator = BandwidthEstimator::new(mbps(3_000.0), ACKNOWLEDGEMENT, OVERHEAD);
        assert!(
            estimator.handle_probe(65_536, Time::from_nanoseconds(20_000_000)),
            "it takes long"
        );
    }

    #[test]
    fn the_last_job_is_not_replanned() {
        let (mut estimator, mut busy) =
            (BandwidthEstimator::new(mbps(10.0), ACKNOWLEDGEMENT, Time::ZERO), Busy::default());
        for _ in 0..WINDOW {
            busy.send(&mut estimator, 100_000, time(100_000, 1.0, 1.0));
        }
        assert_eq!(estimator.poll_change(BandwidthEstimator::JOBS_MIN - 1), None);
        assert_eq!(
            estimator.poll_change(BandwidthEstimator::JOBS_MIN).map(|b| b.mbit_per_s().round()),
            Some(1.0)
        );
    }

    #[test]
    fn a_filling_queue_is_not_taken_for_a_faster_link() {
        let mut estimator = BandwidthEstimator::new(mbps(5.85), ACKNOWLEDGEMENT, Time::ZERO);
        let mut now = Time::ZERO;
        let crossing = mbps(5.85).transfer_time(200_000).expect("finite");
        let mut arrival = Time::from_nanoseconds(50_000_000);
        // Tensors leave up to three times as fast as they arrive.
        for (job, factor) in (0..20).zip([0.33, 0.5, 0.6, 0.7].into_iter().cycle()) {
            let start = now;
            now += Time::from_nanoseconds((crossing.nanoseconds() as f64 * factor) as u64);
            arrival += crossing;
            estimator.handle_transfer(JobId(job), 200_000, start, now);
            estimator.handle_arrival(JobId(job), arrival);
            assert_eq!(estimator.poll_change(10), None, "job {job}");
        }
    }

    #[test]
    fn a_faster_link_is_noticed_once_its_answers_come() {
        let (mut estimator, mut busy) =
            (BandwidthEstimator::new(mbps(5.0), ACKNOWLEDGEMENT, Time::ZERO), Busy::default());
        let mut random = ChaCha8Rng::seed_from_u64(3);
        assert_eq!(messages_until_due(&mut estimator, 20.0, 0.1, 50, &mut random), Some(4));
        let mut silent = BandwidthEstimator::new(mbps(5.0), ACKNOWLEDGEMENT, Time::ZERO);
        for job in 0..20 {
            let start = busy.now;
            busy.now += time(200_000, 20.0, 1.0);
            silent.handle_transfer(JobId(job), 200_000, start, busy.now);
        }
        assert_eq!(silent.poll_change(10), None);
    }
}
