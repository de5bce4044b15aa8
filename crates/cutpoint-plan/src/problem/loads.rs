//! The load of a job on each machine.

use crate::problem::mode::Times;

/// Loads on device, uplink, server and downlink.
pub(crate) type Loads = [u64; 4];

/// Loads of one job in a mode; the server's as a share of all executors, rounded down.
pub(crate) fn loads(times: &Times, executors: Option<u64>) -> Loads {
    let server = executors.map_or(0, |k| times.server.nanoseconds() / k);
    let download = times.download.unwrap_or_default().nanoseconds();
    [times.device.nanoseconds(), times.uplink.nanoseconds(), server, download]
}

/// Loads weighted by prices.
pub(crate) fn weighted<const N: usize>(prices: [u64; N], loads: [u64; N]) -> u128 {
    prices.iter().zip(loads).map(|(&p, l)| u128::from(p) * u128::from(l)).sum()
}
