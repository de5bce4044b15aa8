//! Weighted loads: what a job adds at least to weighted sums that bound the makespan.

use crate::problem::{Mode, loads};

/// Weights with a part for the server.
const WITH_SERVER: [[u64; 3]; 8] =
    [[0, 0, 16], [8, 0, 8], [0, 8, 8], [5, 5, 6], [8, 4, 4], [4, 8, 4], [4, 4, 8], [12, 0, 4]];

/// Weights of device, uplink and server (in sixteenths) whose weighted loads bound the makespan.
pub(super) fn weights() -> [[u64; 3]; 25] {
    let without_server = (0..=16).map(|device| [device, 16 - device, 0]);
    let mut all = without_server.chain(WITH_SERVER);
    std::array::from_fn(|_| all.next().unwrap_or_default())
}

/// Device, uplink and server load of a mode.
pub(super) fn load(mode: &Mode, executors: Option<u64>) -> [u64; 3] {
    let [device, uplink, server, _] = loads(mode, executors);
    [device, uplink, server]
}
