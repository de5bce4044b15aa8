//! A slower device on a fast machine: after each piece of work the compute thread rests in
//! proportion, so that over time it works at a fraction of the machine's speed.
//!
//! The rest is in proportion to what the machine worked, not to the time that passed: when another
//! program takes the processor away for a while, the device is late by that while and no more. Nor
//! does the work of the threads that send and receive count, where the engine can tell its own from
//! theirs. And where the machine itself works more slowly for a while, as virtual ones do, the rest is
//! what it is as a rule: it would make of each disturbance one several times as long.

use crate::engine::{Engine, EngineOptions};
use crate::profile::median;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Work that takes longer than this factor of what it takes as a rule was disturbed.
const DISTURBED: f64 = 1.1;

/// How many recent times the usual time is the median of; at least [`USUAL_MIN`] are needed.
const USUAL_MAX: usize = 31;
const USUAL_MIN: usize = 3;

/// A fraction of the machine's speed, more than 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeedFraction(f64);

impl SpeedFraction {
    /// The machine's own speed.
    pub const FULL: SpeedFraction = SpeedFraction(1.0);

    /// `fraction` of the machine's speed; `None` unless it is at least 0.001 and at most 1.
    pub fn new(fraction: f64) -> Option<SpeedFraction> {
        (0.001..=1.0).contains(&fraction).then_some(SpeedFraction(fraction))
    }

    /// The fraction.
    pub fn value(self) -> f64 {
        self.0
    }

    /// What takes `busy` on the machine takes this long on the slower device.
    pub(crate) fn stretch(self, busy: Duration) -> Duration {
        busy.div_f64(self.0)
    }

    /// Rests for what a piece of work that is done now takes longer on the slower device.
    pub(crate) fn rest_after(self, stint: Stint, clock: ComputeClock<'_>) {
        self.rest_for(stint.busy(clock));
    }

    /// Rests for what work that took `busy` takes longer on the slower device.
    pub(super) fn rest_for(self, busy: Duration) {
        let rest = self.stretch(busy).saturating_sub(busy);
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }
}

/// Recent times of pieces of work, by their names.
#[derive(Debug)]
pub(crate) struct Usual<N>(BTreeMap<N, VecDeque<Duration>>);

impl<N: Ord> Usual<N> {
    pub(crate) fn new() -> Usual<N> {
        Usual(BTreeMap::new())
    }

    /// Of a piece of work that took `busy`, the part without a disturbance.
    pub(super) fn undisturbed(&mut self, name: N, busy: Duration) -> Duration {
        let times = self.0.entry(name).or_default();
        let most = (times.len() >= USUAL_MIN).then(|| {
            let seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
            Duration::from_secs_f64(median(&seconds) * DISTURBED)
        });
        if times.len() == USUAL_MAX {
            times.pop_front();
        }
        times.push_back(busy);
        most.map_or(busy, |most| busy.min(most))
    }
}

/// Tells the processor time of whoever computes.
#[derive(Clone, Copy)]
pub(crate) struct ComputeClock<'e> {
    engine: &'e dyn Engine,
    options: EngineOptions,
}

impl<'e> ComputeClock<'e> {
    /// For what the calling thread has an engine compute, in sessions with these options.
    pub(crate) fn new(engine: &'e dyn Engine, options: EngineOptions) -> ComputeClock<'e> {
        ComputeClock { engine, options }
    }

    /// Of the computing threads, or of the whole program where the engine cannot tell.
    fn read(self) -> Option<Duration> {
        self.engine.processor_time(self.options).or_else(of_program)
    }
}

/// A piece of work that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stint {
    start: Instant,
    processor: Option<Duration>,
}

impl Stint {
    /// Work that begins now.
    pub(crate) fn begin(clock: ComputeClock<'_>) -> Stint {
        Stint { start: Instant::now(), processor: clock.read() }
    }

    /// When it began.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// How long the machine has worked on it: the time since it began, but no more than the
    /// processor time that was used for it.
    pub(super) fn busy(&self, clock: ComputeClock<'_>) -> Duration {
        let elapsed = self.start.elapsed();
        match (self.processor, clock.read()) {
            (Some(before), Some(now)) => elapsed.min(now.saturating_sub(before)),
            _ => elapsed,
        }
    }
}

/// Processor time of all threads of this program.
#[cfg(unix)]
fn of_program() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

#[cfg(not(unix))]
fn of_program() -> Option<Duration> {
    None
}

#[cfg(test)]
#[cfg(feature = "rten")]
mod tests {
    use super::*;
    use crate::engine::rten::Rten;
    use std::num::NonZeroUsize;

    #[test]
    fn a_quarter_of_the_speed_takes_four_times_as_long() {
        let quarter = SpeedFraction::new(0.25).expect("in range");
        assert_eq!(quarter.stretch(Duration::from_millis(10)), Duration::from_millis(40));
    }

    #[test]
    fn waiting_and_other_threads_do_not_count_as_work() {
        let (engine, options) = (Rten::new(), EngineOptions { threads: NonZeroUsize::MIN });
        let clock = ComputeClock::new(&engine, options);
        let stint = Stint::begin(clock);
        let worked = std::thread::spawn(|| {
            let begin = of_program().expect("the system tells");
            while of_program().expect("the system tells") < begin + Duration::from_millis(20) {}
        });
        worked.join().expect("it only counts");
        assert!(stint.busy(clock) < stint.start().elapsed() / 2, "{stint:?}");
    }

    #[test]
    fn the_throttle_stretches_lasting_slowdowns_but_not_single_disturbances() {
        let mut usual = Usual::new();
        let ms = Duration::from_millis;
        for _ in 0..USUAL_MIN {
            assert_eq!(usual.undisturbed("a", ms(10)), ms(10));
        }
        assert_eq!(usual.undisturbed("a", ms(18)), ms(11));
        assert_eq!(usual.undisturbed("b", ms(18)), ms(18), "other work has its own rule");
        assert_eq!(usual.undisturbed("a", ms(9)), ms(9));
        let slower = (0..USUAL_MAX).filter(|_| usual.undisturbed("a", ms(18)) < ms(18)).count();
        assert!((1..USUAL_MAX).contains(&slower), "{slower}");
        assert_eq!(usual.undisturbed("a", ms(18)), ms(18));
    }

    #[test]
    fn a_fraction_out_of_range_is_refused() {
        for fraction in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert_eq!(SpeedFraction::new(fraction), None);
        }
    }
}
