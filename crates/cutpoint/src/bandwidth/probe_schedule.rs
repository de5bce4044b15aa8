//! Decides when to probe the uplink. A link over which nothing is sent tells nothing, so a plan
//! that keeps all jobs on the device would never learn that the link has recovered. A state machine
//! without clock and I/O.
//!
//! Probes go in rounds, and only while the uplink is idle. While nothing is left to be sent, a round
//! begins [`WAIT_FIRST`] after the last transfer; each round that finds the bandwidth that plans
//! reckon with doubles the wait until the next, up to [`WAIT_MAX`], also where jobs arrive and send
//! meanwhile. So a stream whose transfers tell the bandwidth is soon not probed any more between its
//! jobs. While more will be sent, and what is sent is too little to tell the bandwidth, a round begins
//! each [`WAIT_MAX`].
//!
//! The first probe of a round is as long as should take half of [`TIME_ENOUGH`]. One that takes less
//! than [`TIME_ENOUGH`] is followed by one of [`GROWTH`] times its bytes, up to [`BYTES_MAX`], as it
//! says more about clocks than about the link. So a round sends no more than [`ROUND_BYTES_MAX`], and
//! on a link that is as slow as plans reckon with it is over after one probe.

use super::estimator::BandwidthEstimator;
use cutpoint_plan::units::{Bandwidth, Time};

/// The shortest wait between two rounds.
const WAIT_FIRST: Time = Time::from_nanoseconds(250_000_000);

/// The longest wait between two rounds.
const WAIT_MAX: Time = Time::from_nanoseconds(8_000_000_000);

/// How long a probe must take to tell the bandwidth.
const TIME_ENOUGH: Time = Time::from_nanoseconds(10_000_000);

/// The least bytes of a probe, and the most.
const BYTES_MIN: u64 = 1 << 10;
const BYTES_MAX: u64 = 64 << 10;

/// How much longer the next probe is when one was too short.
const GROWTH: u64 = 4;

/// The most probes of a round that are counted: as many as an estimate needs.
const COUNTED_MAX: usize = BandwidthEstimator::SAMPLES_MIN;

/// The most bytes of a round: the probes that grow, and those that are counted. Behind a window that
/// is too small for them, those of 16 KiB and more are sent twice.
#[cfg(test)]
const ROUND_BYTES_MAX: u64 = (1 + 4 + 16) * BYTES_MIN + COUNTED_MAX as u64 * BYTES_MAX;

/// The state of the uplink, as far as the plan knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UplinkState {
    /// A tensor is being sent, or can be.
    Busy,
    /// The next tensor does not exist yet.
    Waits,
    /// Nothing remains to be sent.
    Quiet,
}

/// Decides when to probe, and with how many bytes.
#[derive(Clone, Debug)]
pub(crate) struct ProbeSchedule {
    /// Since when nothing has been learnt about the bandwidth, and no round has ended.
    since: Time,
    wait: Time,
    /// Whether something remained to be sent at the last call.
    is_sending: bool,
    /// The bytes of the next probe of the round that has begun.
    next: Option<u64>,
    counted: usize,
    /// The bytes of the probe in flight.
    out: Option<u64>,
    is_disturbed: bool,
}

impl ProbeSchedule {
    /// Starts at time zero, before anything was sent.
    pub(crate) fn new() -> ProbeSchedule {
        ProbeSchedule {
            since: Time::ZERO,
            wait: WAIT_FIRST,
            is_sending: true,
            next: None,
            counted: 0,
            out: None,
            is_disturbed: false,
        }
    }

    /// The bytes of a probe to send now, if any. The caller reports the result with
    /// [`ProbeSchedule::handle_answer`] or [`ProbeSchedule::handle_no_answer`].
    pub(crate) fn poll(
        &mut self,
        now: Time,
        uplink: UplinkState,
        planned: Bandwidth,
    ) -> Option<u64> {
        let is_quiet = uplink == UplinkState::Quiet;
        if is_quiet && self.is_sending {
            self.since = now;
        }
        self.is_sending = !is_quiet;
        if uplink == UplinkState::Busy || self.out.is_some() {
            return None;
        }
        let wait = if is_quiet { self.wait } else { WAIT_MAX };
        if self.next.is_none() && now < self.since + wait {
            return None;
        }
        let bytes = self.next.take().unwrap_or_else(|| first_bytes(planned));
        (self.out, self.is_disturbed) = (Some(bytes), false);
        Some(bytes)
    }

    /// A tensor has left; it and a probe in flight delayed each other.
    pub(crate) fn handle_transfer(&mut self) {
        self.is_disturbed = true;
    }

    /// Transfers told the bandwidth at `now`.
    pub(crate) fn handle_sample(&mut self, now: Time) {
        self.since = now;
    }

    /// Whether a probe is in flight.
    pub(crate) fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// The probe came through at `now`, and took this time on the uplink; passes it to `estimator`
    /// if it says something about the bandwidth.
    pub(crate) fn handle_answer(
        &mut self,
        now: Time,
        time: Time,
        estimator: &mut BandwidthEstimator,
    ) {
        let Some(bytes) = self.out.take() else { return };
        if self.is_disturbed {
            return self.end_round(now);
        }
        if time < TIME_ENOUGH && bytes < BYTES_MAX {
            self.next = Some((bytes * GROWTH).min(BYTES_MAX));
            return;
        }
        let is_news = estimator.handle_probe(bytes, time);
        self.counted += 1;
        if is_news && self.counted < COUNTED_MAX {
            self.next = Some(bytes);
            return;
        }
        self.end_round(now);
    }

    /// The probe was lost at `now`.
    pub(crate) fn handle_no_answer(&mut self, now: Time) {
        if self.out.take().is_some() {
            self.end_round(now);
        }
    }

    /// Since `now`, the plan assumes another bandwidth or transfers take another path.
    pub(crate) fn handle_changed(&mut self, now: Time) {
        *self = ProbeSchedule { since: now, is_sending: self.is_sending, ..ProbeSchedule::new() };
    }

    fn end_round(&mut self, now: Time) {
        (self.next, self.counted, self.since) = (None, 0, now);
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }
}

/// The bytes that should take half of what is enough, at the bandwidth that plans reckon with.
fn first_bytes(planned: Bandwidth) -> u64 {
    let bits = planned.mbit_per_s() * TIME_ENOUGH.nanoseconds() as f64 / 1e3;
    ((bits / 16.0) as u64).clamp(BYTES_MIN, BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bandwidth::window::Acknowledgement;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const fn ms(value: u64) -> Time {
        Time::from_nanoseconds(value * 1_000_000)
    }

    fn mbps(value: f64) -> Bandwidth {
        Bandwidth::from_mbit_per_s(value).expect("not negative")
    }

    /// A device and its link under a clock that jumps.
    struct World {
        schedule: ProbeSchedule,
        estimator: BandwidthEstimator,
        now: Time,
        /// What becomes of the probe on its way, and when.
        out: Option<(Time, Option<Time>)>,
        probes: Vec<(Time, u64)>,
        random: ChaCha8Rng,
    }

    impl World {
        fn new(planned: f64, seed: u64) -> World {
            World {
                schedule: ProbeSchedule::new(),
                estimator: BandwidthEstimator::new(
                    mbps(planned),
                    Acknowledgement::default(),
                    Time::ZERO,
                ),
                now: Time::ZERO,
                out: None,
                probes: Vec::new(),
                random: ChaCha8Rng::seed_from_u64(seed),
            }
        }

        /// Lets 20 ms go by on a link of a bandwidth that loses probes and delays them; the
        /// bandwidth to plan with, if that has changed.
        fn step(&mut self, mbit_per_s: f64, uplink: UplinkState, loss: f64) -> Option<Bandwidth> {
            self.now += ms(20);
            if let Some((at, time)) = self.out.filter(|(at, _)| *at <= self.now) {
                self.out = None;
                match time {
                    Some(time) => self.schedule.handle_answer(at, time, &mut self.estimator),
                    None => self.schedule.handle_no_answer(at),
                }
            }
            if let Some(bytes) = self.schedule.poll(self.now, uplink, self.estimator.planned()) {
                assert_eq!(self.out, None, "one probe at a time");
                assert_eq!(uplink, UplinkState::Quiet, "probes leave on an idle uplink");
                assert!((BYTES_MIN..=BYTES_MAX).contains(&bytes), "{bytes} bytes");
                self.probes.push((self.now, bytes));
                let exact = mbps(mbit_per_s).transfer_time(bytes).expect("finite");
                let late = Time::from_nanoseconds(self.random.random_range(0..3_000_000));
                self.out = Some(match self.random.random_bool(loss) {
                    true => (self.now + ms(5_000), None),
                    false => (self.now + exact + late, Some(exact + late)),
                });
            }
            let found = self.estimator.poll_change(10)?;
            self.estimator.handle_planned(found);
            self.schedule.handle_changed(self.now);
            Some(found)
        }

        fn bytes(&self) -> u64 {
            self.probes.iter().map(|(_, bytes)| bytes).sum()
        }
    }

    #[test]
    fn a_link_that_recovers_is_noticed_though_probes_are_lost_and_late() {
        for seed in 0..50 {
            let mut world = World::new(0.05, seed);
            for _ in 0..1_000 {
                assert_eq!(world.step(0.05, UplinkState::Quiet, 0.2), None, "seed {seed}");
            }
            let recovered = world.now;
            let found = (0..40_000).find_map(|_| world.step(20.0, UplinkState::Quiet, 0.2));
            let found = found.expect("noticed");
            // Lateness makes it look slower, and never faster.
            assert!((5.0..=20.1).contains(&found.mbit_per_s()), "seed {seed}: {found:?}");
            let probes = world.probes.iter().filter(|(at, _)| *at > recovered).count();
            assert!(probes <= 80, "seed {seed}: {probes} probes");
        }
    }

    #[test]
    fn a_link_that_stays_slow_gets_few_bytes() {
        let mut world = World::new(0.1, 1);
        // Ten minutes.
        for _ in 0..30_000 {
            assert_eq!(world.step(0.1, UplinkState::Quiet, 0.0), None);
        }
        let waits: Vec<Time> = world.probes.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(waits[0] < ms(1_000) && waits.iter().all(|wait| *wait < ms(9_000)), "{waits:?}");
        assert!(waits.windows(2).take(4).all(|pair| pair[1] > pair[0]), "{waits:?}");
        assert!((70..90).contains(&world.probes.len()), "{}", world.probes.len());
        assert_eq!(world.bytes(), world.probes.len() as u64 * BYTES_MIN);
    }

    #[test]
    fn probing_between_the_jobs_of_a_stream_soon_stops() {
        let mut world = World::new(18.88, 4);
        // One job each 1.5 s, of which 0.3 s on the uplink.
        for step in 0..7_500 {
            let uplink = if step % 75 < 15 { UplinkState::Busy } else { UplinkState::Quiet };
            assert_eq!(world.step(18.88, uplink, 0.0), None);
            if step % 75 == 14 {
                world.schedule.handle_transfer();
                world.schedule.handle_sample(world.now);
            }
        }
        let times: Vec<Time> = world.probes.iter().map(|(at, _)| *at).collect();
        assert!((1..=10).contains(&times.len()), "{times:?}");
        assert!(times.iter().all(|at| *at < ms(10_000)), "{times:?}");
    }

    #[test]
    fn a_round_is_bounded_in_bytes_however_fast_the_link_is() {
        let mut world = World::new(0.01, 2);
        let found = (0..1_000).find_map(|_| world.step(100_000.0, UplinkState::Quiet, 0.0));
        assert!(found.is_some());
        assert!(world.bytes() <= ROUND_BYTES_MAX, "{:?}", world.probes);
    }

    #[test]
    fn busy_uplinks_are_not_probed_and_idle_ones_rarely() {
        let mut world = World::new(10.0, 3);
        for _ in 0..10_000 {
            world.step(10.0, UplinkState::Busy, 0.0);
        }
        assert_eq!(world.probes, []);
        let mut schedule = ProbeSchedule::new();
        // Transfers that tell the bandwidth are all that is needed.
        for second in 1..100 {
            schedule.handle_sample(ms(1_000 * second));
            assert_eq!(
                schedule.poll(ms(1_000 * second + 900), UplinkState::Waits, mbps(10.0)),
                None
            );
        }
        assert!(schedule.poll(ms(99_000) + WAIT_MAX, UplinkState::Waits, mbps(10.0)).is_some());
    }

    #[test]
    fn a_probe_that_met_a_tensor_does_not_count() {
        let (mut schedule, mut estimator) = (
            ProbeSchedule::new(),
            BandwidthEstimator::new(mbps(10.0), Acknowledgement::default(), Time::ZERO),
        );
        for round in 0..10 {
            let now = WAIT_MAX * (2 * round + 1);
            assert_eq!(schedule.poll(now, UplinkState::Quiet, mbps(10.0)).is_some(), round > 0);
            schedule.handle_transfer();
            schedule.handle_answer(now + ms(900), ms(900), &mut estimator);
            assert!(!schedule.is_out());
        }
        assert_eq!(estimator.estimate(), None);
    }
}
