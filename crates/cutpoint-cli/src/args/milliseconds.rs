//! Times on the command line.

use cutpoint_plan::units::Time;

/// Parses a number of milliseconds.
pub(crate) fn parse_milliseconds(text: &str) -> Result<Time, String> {
    let time = text.parse().ok().and_then(Time::from_milliseconds);
    time.ok_or_else(|| {
        "expected a number of milliseconds, at least 0 and at most 2.3e12".to_string()
    })
}
