//! Computes how many bytes a stream may have in flight: enough to fill the link, and few enough
//! that replies do not wait behind them.
//!
//! Without a limit a sender keeps every queue on the path full. Replies are acknowledged through
//! the same queue, so a reply of more than a few packets takes several times as long as the queue
//! takes to empty: on a link of 18.88 Mbit/s with a queue of 1 MiB, half a second each. Once
//! bandwidth and round trip are known, what the link holds is enough; the rest waits on the device,
//! where it delays nobody.
//!
//! Acknowledgements of tensors in turn wait behind replies, so the window grows by what the link
//! carries while a reply arrives; otherwise the link stands idle beside large replies
//! (docs/wire.md).

use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{Link, ModelGraph, Workload};

/// What may be in flight beyond the unacknowledged bytes: a time of sending, while the sender waits
/// for a processor, and some bytes.
const SPARE: Time = Time::from_nanoseconds(10_000_000);
const SPARE_BYTES: u64 = 16_384;

/// Beyond this no limit is set: systems seldom let a program ask for more.
const BYTES_MAX: u64 = 262_144;

/// How long an acknowledgement takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The round trip of an empty message.
    pub round_trip: Time,
    /// The longest time that a job's results take on the downlink.
    pub answer: Time,
}

impl Acknowledgement {
    /// For the link of a workload, beside the largest results of its models.
    pub fn of(workload: &Workload) -> Acknowledgement {
        let Link { round_trip, downlink, .. } = workload.link();
        let answer = |model: &ModelGraph| {
            let bytes = model.outputs.iter().map(|t| model.tensors[t.index()].bytes);
            downlink?.transfer_time(bytes.fold(0, u64::saturating_add))
        };
        let answer = workload.models().iter().filter_map(answer).max().unwrap_or_default();
        Acknowledgement { round_trip, answer }
    }
}

/// How many bytes fill a link; `None` if no limit is needed.
pub(crate) fn bytes_for(uplink: Bandwidth, acknowledgement: Acknowledgement) -> Option<usize> {
    let Acknowledgement { round_trip, answer } = acknowledgement;
    let bytes_per_ms = uplink.mbit_per_s() * 1e3 / 8.0;
    let bytes = bytes_per_ms * (round_trip * 2 + SPARE).milliseconds() + SPARE_BYTES as f64;
    let most = BYTES_MAX as f64;
    let beside_answers = bytes + bytes_per_ms * answer.milliseconds();
    (bytes <= most && bytes_per_ms > 0.0).then_some(beside_answers.min(most) as usize)
}

/// How long a full window takes to cross a link.
pub(crate) fn time_in_flight(uplink: Bandwidth, acknowledgement: Acknowledgement) -> Time {
    let crossing = |bytes| uplink.transfer_time(bytes).unwrap_or_default();
    match bytes_for(uplink, acknowledgement) {
        Some(bytes) => crossing(bytes as u64),
        None => acknowledgement.round_trip * 2 + SPARE + crossing(SPARE_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::format::read_workload;

    /// A round trip and an answer, in milliseconds.
    fn behind(round_trip: u64, answer: u64) -> Acknowledgement {
        let ms = |value| Time::from_nanoseconds(value * 1_000_000);
        Acknowledgement { round_trip: ms(round_trip), answer: ms(answer) }
    }

    fn mbps(value: f64) -> Bandwidth {
        Bandwidth::from_mbit_per_s(value).unwrap()
    }

    #[test]
    fn the_window_fills_the_link_and_little_more() {
        for (uplink, round_trip) in [(1.1, 100), (5.85, 50), (18.88, 5)] {
            let holds = uplink * 1e3 / 8.0 * round_trip as f64;
            let bytes = bytes_for(mbps(uplink), behind(round_trip, 0)).unwrap() as f64;
            assert!(bytes > 2.0 * holds && bytes < 2.0 * holds + 64_000.0, "{uplink}: {bytes}");
            let time = time_in_flight(mbps(uplink), behind(round_trip, 0));
            let crossing = mbps(uplink).transfer_time(bytes as u64).unwrap().milliseconds();
            assert!((time.milliseconds() - crossing).abs() < 0.1, "{uplink}: {time}");
        }
        assert_eq!(bytes_for(mbps(400.0), behind(5, 0)), None);
        assert_eq!(bytes_for(mbps(0.0), behind(5, 0)), None);
    }

    #[test]
    fn acknowledgements_wait_behind_the_largest_answer() {
        let text = |link: &str| {
            format!(
                r#"{{ "schema": "cutpoint.workload/1",
                "link": {{ "uplink_mbps": 8.0, "rtt_ms": 1.0 {link} }},
                "models": {{ "m": {{ "inputs": {{ "i": 9000 }}, "layers": [
                    {{ "name": "a", "reads": ["i"], "writes": {{ "x": 6000, "y": 2000 }}, "device_ms": 4, "server_ms": 1 }}
                ] }}, "n": {{ "inputs": {{ "i": 9000 }}, "layers": [
                    {{ "name": "a", "reads": ["i"], "writes": {{ "x": 1000 }}, "device_ms": 4, "server_ms": 1 }}
                ] }} }},
                "jobs": [ {{ "model": "m" }}, {{ "model": "n" }} ] }}"#
            )
        };
        let of = |link: &str| Acknowledgement::of(&read_workload(text(link).as_bytes()).unwrap());
        assert_eq!(of(""), behind(1, 0));
        assert_eq!(of(r#", "downlink_mbps": 16.0"#), behind(1, 4));
        let [without, with] = [0, 27].map(|answer| bytes_for(mbps(18.88), behind(5, answer)));
        assert_eq!(with.unwrap() - without.unwrap(), (18.88e6 / 8.0 * 0.027) as usize);
        let long = bytes_for(mbps(18.88), behind(5, 3_000)).unwrap() as u64;
        assert_eq!(long, BYTES_MAX, "large results do not remove the limit");
    }
}
