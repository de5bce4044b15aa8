//! Measured against requested rates and delays, and the targets.

use crate::testbed::emulator::EmulatorReport;
use crate::testbed::host::priority::Priority;
use crate::testbed::link_shape::{FRAME_OVERHEAD_BYTES, LinkShape, PipeShape};
use crate::testbed::probe::{Measured, PING_BYTES, Received};
use anyhow::ensure;
use serde::Serialize;
use std::time::Duration;

/// Largest allowed error of the rate.
const RATE_ERROR_TARGET: f64 = 0.01;
/// Largest allowed error of the median round trip.
const RTT_ERROR_MS_TARGET: f64 = 1.0;
/// Payload of a full TCP segment with timestamps, in packets of 1500 bytes.
const SEGMENT_BYTES: f64 = 1_448.0;
/// The same with IP, TCP and frame headers.
const SEGMENT_WIRE_BYTES: f64 = 1_500.0 + FRAME_OVERHEAD_BYTES as f64;
/// IP and UDP headers.
const UDP_OVERHEAD_BYTES: u64 = 28;

/// All links measured.
#[derive(Debug, Serialize)]
pub(super) struct Accuracy {
    rate_error_target: f64,
    rtt_error_ms_target: f64,
    within_targets: bool,
    links: Vec<Row>,
}

/// One link, measured.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    mbps: f64,
    rtt_ms: f64,
    uplink_rate_error: f64,
    downlink_rate_error: f64,
    /// The round trip asked for and the time to send the message at this rate, twice.
    rtt_expected_ms: f64,
    rtt_median_ms: f64,
    rtt_p5_ms: f64,
    rtt_p95_ms: f64,
    rtt_error_ms: f64,
    unanswered: usize,
    queue_drops: Option<u64>,
    late_mean_ms: Option<f64>,
    /// Share of one core that the emulator took.
    emulator_cpu: Option<f64>,
    emulator_priority: Option<Priority>,
}

impl Row {
    pub(super) fn new(
        shape: &LinkShape,
        measured: &Measured,
        carried: Option<&EmulatorReport>,
        wall: Duration,
    ) -> anyhow::Result<Row> {
        ensure!(!measured.rtt_ms.is_empty(), "no UDP message was answered");
        let rtt_ms = (shape.uplink.one_way + shape.downlink.one_way).milliseconds();
        let rtt_expected_ms = rtt_ms + ping_ms(&shape.uplink) + ping_ms(&shape.downlink);
        let rtt_median_ms = quantile(&measured.rtt_ms, 0.5);
        let ways = carried.map(|carried| [&carried.uplink, &carried.downlink]);
        Ok(Row {
            mbps: shape.uplink.bit_per_s as f64 / 1e6,
            rtt_ms,
            uplink_rate_error: rate_error(&shape.uplink, &measured.uplink.received),
            downlink_rate_error: rate_error(&shape.downlink, &measured.downlink.received),
            rtt_expected_ms,
            rtt_median_ms,
            rtt_p5_ms: quantile(&measured.rtt_ms, 0.05),
            rtt_p95_ms: quantile(&measured.rtt_ms, 0.95),
            rtt_error_ms: rtt_median_ms - rtt_expected_ms,
            unanswered: measured.unanswered,
            queue_drops: ways.map(|ways| ways.iter().map(|way| way.queue_drops).sum()),
            late_mean_ms: ways.map(|ways| {
                let late: f64 = ways.iter().map(|way| way.late_mean_ms * way.packets as f64).sum();
                late / ways.iter().map(|way| way.packets).sum::<u64>().max(1) as f64
            }),
            emulator_cpu: carried.map(|carried| carried.cpu_ms / 1e3 / wall.as_secs_f64()),
            emulator_priority: carried.map(|carried| carried.priority),
        })
    }

    fn is_within_targets(&self) -> bool {
        self.uplink_rate_error.abs() < RATE_ERROR_TARGET
            && self.downlink_rate_error.abs() < RATE_ERROR_TARGET
            && self.rtt_error_ms.abs() <= RTT_ERROR_MS_TARGET
    }
}

impl Accuracy {
    pub(super) fn new(links: Vec<Row>) -> Accuracy {
        Accuracy {
            rate_error_target: RATE_ERROR_TARGET,
            rtt_error_ms_target: RTT_ERROR_MS_TARGET,
            within_targets: links.iter().all(Row::is_within_targets),
            links,
        }
    }
}

/// The rate measured on the wire over the rate asked for, less one.
fn rate_error(shape: &PipeShape, received: &Received) -> f64 {
    let wire_bytes = received.measured_bytes as f64 * SEGMENT_WIRE_BYTES / SEGMENT_BYTES;
    wire_bytes * 8e3 / received.measured_ms / shape.bit_per_s as f64 - 1.0
}

fn ping_ms(shape: &PipeShape) -> f64 {
    let wire_bytes = PING_BYTES as u64 + UDP_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES;
    wire_bytes as f64 * 8e3 / shape.bit_per_s as f64
}

/// The value at this share of an ascending list that is not empty, nearest rank.
fn quantile(ascending: &[f64], share: f64) -> f64 {
    ascending[((ascending.len() - 1) as f64 * share).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::emulator::DirectionReport;
    use crate::testbed::probe::Bulk;
    use cutpoint_plan::units::Time;

    fn pipe() -> PipeShape {
        PipeShape {
            bit_per_s: 1_000_000,
            one_way: Time::from_nanoseconds(10_000_000),
            queue_bytes: 1,
            loss: 0.0,
            jitter: Time::ZERO,
        }
    }

    /// 1000 segments of 1514 bytes on the wire, 12.112 ms each at 1 Mbit/s.
    fn bulk(measured_ms: f64) -> Bulk {
        let received = Received { bytes: 2_000_000, measured_bytes: 1_448_000, measured_ms };
        Bulk { sent_bytes: None, received }
    }

    fn row(measured_ms: f64, rtt_ms: Vec<f64>) -> Row {
        let way = DirectionReport {
            packets: 10,
            bytes: 1,
            queue_drops: 1,
            losses: 0,
            write_errors: 0,
            late_mean_ms: 0.5,
            late_max_ms: 1.0,
        };
        let carried = EmulatorReport {
            uplink: way.clone(),
            downlink: DirectionReport { late_mean_ms: 0.1, packets: 30, ..way },
            cpu_ms: 500.0,
            priority: Priority::Realtime,
        };
        let shape = LinkShape { uplink: pipe(), downlink: pipe(), seed: 1 };
        let measured =
            Measured { uplink: bulk(measured_ms), downlink: bulk(12_112.0), rtt_ms, unanswered: 0 };
        Row::new(&shape, &measured, Some(&carried), Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn errors_are_relative_to_the_link_rate_on_the_wire() {
        // A ping is 106 bytes on the wire, 0.848 ms each way.
        let row = row(12_112.0 / 1.005, vec![21.0, 21.696, 22.0]);
        assert!((row.uplink_rate_error - 0.005).abs() < 1e-9);
        assert!(row.downlink_rate_error.abs() < 1e-9);
        assert!((row.rtt_expected_ms - 21.696).abs() < 1e-9);
        assert!(row.rtt_error_ms.abs() < 1e-9);
        assert_eq!(row.queue_drops, Some(2));
        assert!((row.late_mean_ms.unwrap() - 0.2).abs() < 1e-9);
        assert!((row.emulator_cpu.unwrap() - 0.05).abs() < 1e-9);
    }

    #[test]
    fn a_single_miss_fails_the_targets() {
        let good = || row(12_112.0, vec![21.7]);
        assert!(Accuracy::new(vec![good(), good()]).within_targets);
        let slow = row(12_112.0 * 1.011, vec![21.7]);
        assert!(!Accuracy::new(vec![good(), slow]).within_targets);
        let late = row(12_112.0, vec![22.8]);
        assert!(!Accuracy::new(vec![good(), late]).within_targets);
    }
}
