//! How long transfers take, worked out apart from the planner.

use crate::units::{Bandwidth, TIME_MAX, Time};

/// Eight bits a byte, to the nearest nanosecond; `None` where a link without bandwidth should
/// carry something.
pub(super) fn transfer_time(bandwidth: Bandwidth, bytes: u64) -> Option<Time> {
    let nanoseconds = exact(bandwidth, bytes).round();
    let is_possible = nanoseconds <= TIME_MAX.nanoseconds() as f64;
    is_possible.then(|| Time::from_nanoseconds(nanoseconds as u64))
}

/// The same, where half a nanosecond may have been rounded down: no shorter transfer is right.
pub(super) fn shortest_transfer(bandwidth: Bandwidth, bytes: u64) -> Option<Time> {
    transfer_time(bandwidth, bytes)?;
    let shortest = exact(bandwidth, bytes) * (1.0 - 4.0 * f64::EPSILON);
    Some(Time::from_nanoseconds(shortest.round() as u64))
}

/// In nanoseconds.
fn exact(bandwidth: Bandwidth, bytes: u64) -> f64 {
    if bytes == 0 { 0.0 } else { bytes as f64 * 8000.0 / bandwidth.mbit_per_s() }
}
