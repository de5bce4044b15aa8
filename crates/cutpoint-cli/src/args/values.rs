//! Values on the command line: what their text means, or else what was expected.

use cutpoint::SpeedFraction;
use cutpoint_plan::units::{Bandwidth, Time};
use std::time::Duration;

/// A value that could be read, or the sentence that says what was expected.
type Parsed<T> = Result<T, &'static str>;

fn number<T>(
    text: &str,
    convert: impl FnOnce(f64) -> Option<T>,
    expected: &'static str,
) -> Parsed<T> {
    text.parse().ok().and_then(convert).ok_or(expected)
}

/// A bandwidth in Mbit/s; at 0 nothing passes.
pub(crate) fn bandwidth_or_none(text: &str) -> Parsed<Bandwidth> {
    number(text, Bandwidth::from_mbit_per_s, "expected a number, 0 or more")
}

/// A time in seconds.
pub(crate) fn seconds(text: &str) -> Parsed<Duration> {
    let duration = |seconds| Duration::try_from_secs_f64(seconds).ok();
    number(text, duration, "expected a number of seconds, 0 or more")
}

/// A time in milliseconds.
pub(crate) fn milliseconds(text: &str) -> Parsed<Time> {
    let expected = "expected a number of milliseconds, at least 0 and at most 2.3e12";
    number(text, Time::from_milliseconds, expected)
}

/// A bandwidth in Mbit/s.
pub(crate) fn bandwidth(text: &str) -> Parsed<Bandwidth> {
    let positive = |mbps| Bandwidth::from_mbit_per_s(mbps).filter(|found| found.mbit_per_s() > 0.0);
    number(text, positive, "expected a bandwidth in Mbit/s above 0")
}

/// A fraction of this machine's speed.
pub(crate) fn speed(text: &str) -> Parsed<SpeedFraction> {
    number(text, SpeedFraction::new, "expected a fraction of 0.001 to 1")
}

/// One finite number for each channel.
pub(crate) fn channels(text: &str) -> Parsed<[f32; 3]> {
    let finite = |v: &str| v.trim().parse().ok().filter(|v: &f32| v.is_finite());
    let values: Option<Vec<f32>> = text.split(',').map(finite).collect();
    let three = values.and_then(|values| values.try_into().ok());
    three.ok_or("expected three numbers, as in 0.485,0.456,0.406")
}

/// One number above 0 for each channel.
pub(crate) fn deviations(text: &str) -> Parsed<[f32; 3]> {
    let values = channels(text)?;
    values.iter().all(|&v| v > 0.0).then_some(values).ok_or("expected numbers above 0")
}

/// The name of an input and its shape.
pub(crate) fn shape(text: &str) -> Parsed<(String, Vec<usize>)> {
    let parse = || {
        let (name, dims) = text.rsplit_once('=').filter(|(name, _)| !name.is_empty())?;
        let dims = dims.split('x').map(|dim| dim.parse().ok().filter(|&d| d > 0));
        Some((name.to_owned(), dims.collect::<Option<_>>()?))
    };
    parse().ok_or("expected NAME=DIM or NAME=DIMxDIM..., each at least 1")
}
