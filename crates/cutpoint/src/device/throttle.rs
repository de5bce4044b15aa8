//! A slower device on a fast machine: after each piece of work the compute thread rests in
//! proportion, so that over time it works at a fraction of the machine's speed.

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

    /// Rests until work that began at `start` and is done now has taken its stretched time.
    pub fn rest_after(self, start: Instant) {
        let busy = start.elapsed();
        let rest = (start + self.stretch(busy)).saturating_duration_since(Instant::now());
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }
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
    fn nonsense_is_no_fraction() {
        for fraction in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert_eq!(SpeedFraction::new(fraction), None);
        }
    }
}
