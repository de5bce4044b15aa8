//! The emulator's counters, reported at its end.

use crate::testbed::host::priority::Priority;
use cutpoint_plan::units::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one direction, written by its thread and read by another.
#[derive(Debug, Default)]
pub(super) struct Counters {
    packets: AtomicU64,
    bytes: AtomicU64,
    queue_drops: AtomicU64,
    losses: AtomicU64,
    write_errors: AtomicU64,
    late_ns: AtomicU64,
    late_ns_max: AtomicU64,
}

impl Counters {
    pub(super) fn shared() -> Arc<Counters> {
        Arc::default()
    }

    pub(super) fn delivered(&self, bytes: usize, late: Time) {
        self.packets.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.late_ns.fetch_add(late.nanoseconds(), Relaxed);
        self.late_ns_max.fetch_max(late.nanoseconds(), Relaxed);
    }

    pub(super) fn queue_drop(&self) {
        self.queue_drops.fetch_add(1, Relaxed);
    }

    pub(super) fn loss(&self) {
        self.losses.fetch_add(1, Relaxed);
    }

    pub(super) fn write_error(&self) {
        self.write_errors.fetch_add(1, Relaxed);
    }

    pub(super) fn report(&self) -> DirectionReport {
        let packets = self.packets.load(Relaxed);
        DirectionReport {
            packets,
            bytes: self.bytes.load(Relaxed),
            queue_drops: self.queue_drops.load(Relaxed),
            losses: self.losses.load(Relaxed),
            write_errors: self.write_errors.load(Relaxed),
            late_mean_ms: self.late_ns.load(Relaxed) as f64 / 1e6 / packets.max(1) as f64,
            late_max_ms: self.late_ns_max.load(Relaxed) as f64 / 1e6,
        }
    }
}

/// The traffic of one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DirectionReport {
    /// Packets delivered.
    pub(crate) packets: u64,
    /// Bytes of the IP packets delivered.
    pub(crate) bytes: u64,
    /// Packets that found the queue full.
    pub(crate) queue_drops: u64,
    /// Packets lost at random.
    pub(crate) losses: u64,
    /// Packets that the receiving kernel refused.
    pub(crate) write_errors: u64,
    /// How much later than computed packets were delivered, on average.
    pub(crate) late_mean_ms: f64,
    /// The latest of them.
    pub(crate) late_max_ms: f64,
}

/// The emulator's traffic and effort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EmulatorReport {
    /// From device to server.
    pub(crate) uplink: DirectionReport,
    /// From server to device.
    pub(crate) downlink: DirectionReport,
    /// Processor time that the emulator took.
    pub(crate) cpu_ms: f64,
    /// Whether it ran before other programs; late wake-ups are its only error.
    pub(crate) priority: Priority,
}
