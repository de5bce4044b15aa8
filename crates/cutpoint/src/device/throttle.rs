//! A slower device on a fast machine: after each piece of work the compute thread rests in
//! proportion, so that over time it works at a fraction of the machine's speed.
//!
//! The rest is in proportion to what the machine worked, not to the time that passed: when another
//! program takes the processor away for a while, the device is late by that while and no more.

use std::time::{Duration, Instant};

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
    pub fn stretch(self, busy: Duration) -> Duration {
        busy.div_f64(self.0)
    }

    /// Rests for what a piece of work that is done now takes longer on the slower device.
    pub fn rest_after(self, stint: Stint) {
        let busy = stint.busy();
        let rest = self.stretch(busy).saturating_sub(busy);
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }
}

/// A piece of work that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Stint {
    start: Instant,
    processor: Option<Duration>,
}

impl Stint {
    /// Work that begins now.
    pub fn begin() -> Stint {
        Stint { start: Instant::now(), processor: processor_time() }
    }

    /// When it began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// How long the machine has worked on it: the time since it began, but no more than the
    /// processor time that the program has used.
    fn busy(&self) -> Duration {
        let elapsed = self.start.elapsed();
        match (self.processor, processor_time()) {
            (Some(before), Some(now)) => elapsed.min(now.saturating_sub(before)),
            _ => elapsed,
        }
    }
}

/// Processor time of all threads of this program.
#[cfg(unix)]
fn processor_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

#[cfg(not(unix))]
fn processor_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_speed_takes_four_times_as_long() {
        let quarter = SpeedFraction::new(0.25).expect("in range");
        assert_eq!(quarter.stretch(Duration::from_millis(10)), Duration::from_millis(40));
    }

    #[test]
    fn waiting_is_not_work() {
        let stint = Stint::begin();
        std::thread::sleep(Duration::from_millis(20));
        assert!(stint.start().elapsed() >= Duration::from_millis(20));
        // Other tests of this program may be at work meanwhile, on every core.
        assert!(stint.busy() <= stint.start().elapsed());
    }

    #[test]
    fn nonsense_is_no_fraction() {
        for fraction in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert_eq!(SpeedFraction::new(fraction), None);
        }
    }
}
