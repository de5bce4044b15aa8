//! Axes: where the marks are, and how times, sizes and shares are written.

use cutpoint_plan::units::{Bandwidth, Time};
use std::fmt;

/// Marks at round numbers from 0 to at most `end`: about `count` of them, and the distance between
/// two. Nothing but the zero for an axis without length.
pub(super) fn ticks(end: f64, count: usize) -> (Vec<f64>, f64) {
    if !(end.is_finite() && end > 0.0) {
        return (vec![0.0], 1.0);
    }
    let rough = end / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .find(|&s| s >= rough * 0.999_999)
        .unwrap_or(power * 10.0);
    let marks = (0..=count * 2).map(|i| i as f64 * step).take_while(|&t| t <= end * 1.000_001);
    (marks.collect(), step)
}

/// A position or length as a share of an axis, for SVG attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Percent(pub f64);

impl Percent {
    /// How far `value` is along an axis that ends at `end`.
    pub(super) fn of(value: Time, end: Time) -> Percent {
        Percent(100.0 * value.nanoseconds() as f64 / end.nanoseconds().max(1) as f64)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", self.0);
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        write!(f, "{text}%")
    }
}

/// No time, for people. Numbers and units are never parted by the end of a line.
const NOTHING: &str = "0\u{a0}ms";

/// A time for people: four figures at most behind a unit that fits.
pub(super) fn time(time: Time) -> String {
    let ms = time.milliseconds();
    match ms {
        ..0.000_05 => NOTHING.to_owned(),
        ..0.1 => format!("{:.1}\u{a0}µs", ms * 1e3),
        ..10.0 => format!("{ms:.2}\u{a0}ms"),
        ..1e3 => format!("{ms:.1}\u{a0}ms"),
        ..1e5 => format!("{:.3}\u{a0}s", ms / 1e3),
        _ => format!("{:.1}\u{a0}s", ms / 1e3),
    }
}

/// `after - before` for people, with its sign.
pub(super) fn difference(before: Time, after: Time) -> String {
    let apart = time(after.saturating_sub(before) + before.saturating_sub(after));
    match apart.as_str() {
        NOTHING => apart,
        _ if after >= before => format!("+{apart}"),
        _ => format!("−{apart}"),
    }
}

/// A size for people, in powers of 1000.
pub(super) fn bytes(bytes: u64) -> String {
    let size = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes}\u{a0}B"),
        1_000..100_000 => format!("{:.1}\u{a0}kB", size / 1e3),
        100_000..1_000_000 => format!("{:.0}\u{a0}kB", size / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2}\u{a0}MB", size / 1e6),
        _ => format!("{:.2}\u{a0}GB", size / 1e9),
    }
}

/// A bandwidth for people.
pub(super) fn bandwidth(bandwidth: Bandwidth) -> String {
    let mbit_per_s = bandwidth.mbit_per_s();
    match mbit_per_s {
        ..0.1 => format!("{mbit_per_s}\u{a0}Mbit/s"),
        ..100.0 => format!("{mbit_per_s:.2}\u{a0}Mbit/s"),
        _ => format!("{mbit_per_s:.0}\u{a0}Mbit/s"),
    }
}

/// A share for people.
pub(super) fn share(share: f64) -> String {
    format!("{:.1}\u{a0}%", share * 100.0)
}

/// A relative change for people, with its sign.
pub(super) fn change(before: Time, after: Time) -> String {
    let (before, after) = (before.nanoseconds() as f64, after.nanoseconds() as f64);
    let change = 100.0 * (after - before) / before.max(1.0);
    let sign = if change < -0.05 { "−" } else { "+" };
    format!("{sign}{:.1}\u{a0}%", change.abs())
}

/// The unit in which an axis that ends at `end` is labelled: its name, its length in milliseconds.
pub(super) fn axis_unit(end: Time) -> (&'static str, f64) {
    match end.milliseconds() {
        ..2.0 => ("µs", 1e-3),
        ..10_000.0 => ("ms", 1.0),
        _ => ("s", 1e3),
    }
}

/// A mark's number, with as many decimals as the step between marks needs.
pub(super) fn mark(value: f64, step: f64) -> String {
    let decimals = if step >= 1.0 && (step.fract()).abs() < 1e-9 {
        0
    } else if (step * 10.0).fract().abs() < 1e-6 {
        1
    } else {
        3
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: f64) -> Time {
        Time::from_milliseconds(milliseconds).unwrap()
    }

    #[test]
    fn marks_are_round_and_end_inside_the_axis() {
        assert_eq!(ticks(100.0, 5), (vec![0.0, 20.0, 40.0, 60.0, 80.0, 100.0], 20.0));
        assert_eq!(ticks(1234.5, 6).0, [0.0, 250.0, 500.0, 750.0, 1000.0]);
        assert_eq!(ticks(0.7, 4), (vec![0.0, 0.2, 0.4, 0.6000000000000001], 0.2));
        assert_eq!(ticks(0.0, 4).0, [0.0]);
        assert_eq!(ticks(f64::NAN, 4).0, [0.0]);
    }

    #[test]
    fn positions_are_shares_of_the_axis() {
        assert_eq!(Percent::of(ms(25.0), ms(100.0)).to_string(), "25%");
        assert_eq!(Percent::of(ms(1.0), ms(3.0)).to_string(), "33.333%");
        assert_eq!(Percent::of(ms(0.0), ms(0.0)).to_string(), "0%");
    }

    #[test]
    fn numbers_have_units_and_signs() {
        let times = [0.0, 0.0125, 9.5, 123.456, 4213.4, 123_456.0].map(|t| time(ms(t)));
        let plain = times.map(|t| t.replace('\u{a0}', " "));
        assert_eq!(plain, ["0 ms", "12.5 µs", "9.50 ms", "123.5 ms", "4.213 s", "123.5 s"]);
        assert_eq!(difference(ms(10.0), ms(7.5)), "−2.50\u{a0}ms");
        assert_eq!(difference(ms(7.5), ms(10.0)), "+2.50\u{a0}ms");
        assert_eq!(change(ms(200.0), ms(190.0)), "−5.0\u{a0}%");
        let rates =
            [0.01, 18.625_389, 4069.41].map(|r| bandwidth(Bandwidth::from_mbit_per_s(r).unwrap()));
        assert_eq!(rates, ["0.01\u{a0}Mbit/s", "18.63\u{a0}Mbit/s", "4069\u{a0}Mbit/s"]);
        let sizes = [48, 12_544, 602_112, 12_845_056].map(bytes);
        assert_eq!(
            sizes.map(|s| s.replace('\u{a0}', " ")),
            ["48 B", "12.5 kB", "602 kB", "12.85 MB"]
        );
        assert_eq!([mark(2.5, 2.5), mark(20.0, 20.0), mark(0.25, 0.25)], ["2.5", "20", "0.250"]);
    }
}
