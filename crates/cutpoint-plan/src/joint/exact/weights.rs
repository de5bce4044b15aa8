//! Weighted loads: what a job adds at least to weighted sums that bound the makespan.

use crate::problem::Mode;
use crate::units::Time;

/// Weights of device, uplink and server (in sixteenths) whose weighted loads bound the makespan.
pub(super) const WEIGHTS: [[u64; 3]; 25] = {
    let mut weights = [[0; 3]; 25];
    let mut n = 0;
    let mut i = 0;
    while i <= 16 {
        weights[n] = [i, 16 - i, 0];
        n += 1;
        i += 1;
    }
    let with_server: [[u64; 3]; 8] =
        [[0, 0, 16], [8, 0, 8], [0, 8, 8], [5, 5, 6], [8, 4, 4], [4, 8, 4], [4, 4, 8], [12, 0, 4]];
    let mut i = 0;
    while i < 8 {
        weights[n] = with_server[i];
        n += 1;
        i += 1;
    }
    weights
};

/// Device, uplink and server load of a mode; the server's share rounded down.
pub(super) fn load(mode: &Mode, executors: Option<u64>) -> [Time; 3] {
    let server = match executors {
        None => Time::ZERO,
        Some(k) => Time::from_nanoseconds(mode.server.nanoseconds() / k),
    };
    [mode.device, mode.uplink, server]
}

pub(super) fn weighted(weights: &[u64; 3], loads: [Time; 3]) -> u128 {
    weights.iter().zip(loads).map(|(&w, t)| u128::from(w) * u128::from(t.nanoseconds())).sum()
}
