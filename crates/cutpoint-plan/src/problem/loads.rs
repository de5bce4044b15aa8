//! What a job loads each machine with.

use crate::problem::mode::Mode;

/// Loads on device, uplink, server and downlink.
pub(crate) type Loads = [u64; 4];

/// Loads of one job in a mode; the server's as a share of all executors, rounded down.
pub(crate) fn loads(mode: &Mode, executors: Option<u64>) -> Loads {
    let server = executors.map_or(0, |k| mode.server.nanoseconds() / k);
    let download = mode.download.unwrap_or_default().nanoseconds();
    [mode.device.nanoseconds(), mode.uplink.nanoseconds(), server, download]
}

/// The loads of one job in a mode, weighted by prices.
pub(crate) fn weighted_loads(mode: &Mode, executors: Option<u64>, prices: Loads) -> u128 {
    weighted(prices, loads(mode, executors))
}

/// Loads weighted by prices.
pub(crate) fn weighted(prices: Loads, loads: Loads) -> u128 {
    prices.iter().zip(loads).map(|(&p, l)| u128::from(p) * u128::from(l)).sum()
}
