//! The extra time of messages after the uplink's pauses in a stream.

use super::plan::StreamPlan;
use crate::error::Result;
use crate::session::device_side::DeviceSide;
use cutpoint_plan::units::Time;
use std::time::Duration;

/// After a pause shorter than this, the least retransmission timeout of TCP on Linux, a connection
/// goes on as it was.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// Longer pauses than this do not make a connection slower still.
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

/// Less than this, or than this share of a transfer, is left out of account.
const LONGER_MIN: Duration = Duration::from_millis(1);
const SHARE_MIN: f64 = 0.02;

/// What a job of a plan sends, if any does, and how long the uplink rests before.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rhythm {
    /// Of a job that sends something, the mean.
    bytes: u64,
    /// Mean tensors per job.
    tensors: f64,
    /// Their time on the uplink.
    transfer: Duration,
    pause: Duration,
}

impl Rhythm {
    /// `None` if the uplink rests for less than [`PAUSE_MIN`].
    fn of(stream: &StreamPlan) -> Option<Rhythm> {
        let StreamPlan { workload, plan, .. } = stream;
        let sent = workload.jobs().iter().zip(&plan.partitions).flat_map(|(&model, partition)| {
            partition.uploads.iter().map(move |upload| {
                let tensor = &workload.models()[model.index()].tensors[upload.tensor.index()];
                tensor.sent_bytes(upload.encoding)
            })
        });
        let (count, bytes) = sent.fold((0u32, 0u64), |(n, sum), b| (n + 1, sum.saturating_add(b)));
        let senders = plan.partitions.iter().filter(|p| !p.uploads.is_empty()).count();
        let offloaded = u32::try_from(senders).ok().filter(|&n| n > 0)?;
        let bytes = bytes / u64::from(offloaded);
        let tensors = f64::from(count) / f64::from(offloaded);
        let transfer = workload.link().uplink.transfer_time(bytes)?;
        let transfer = Duration::from_nanos(transfer.nanoseconds());
        let period = Duration::from_nanos(stream.stream.period.nanoseconds());
        let jobs = u32::try_from(workload.jobs().len()).ok()?;
        let pause = (period.checked_mul(jobs)? / offloaded).saturating_sub(transfer);
        let pause = pause.min(PAUSE_MAX);
        (pause >= PAUSE_MIN).then_some(Rhythm { bytes, tensors, transfer, pause })
    }
}

impl DeviceSide {
    /// What each message takes longer since the uplink rests before it, as is measured at the pace of a
    /// stream's plan; nothing if that is little, or if the uplink hardly rests. Blocks for up to 5 seconds
    /// and eleven transfers.
    ///
    /// # Errors
    /// Those of the connection.
    pub(in crate::session) fn measure_pauses(&self, stream: &StreamPlan) -> Result<Time> {
        let (Some(client), Some(rhythm)) = (&self.client, Rhythm::of(stream)) else {
            return Ok(Time::ZERO);
        };
        let Rhythm { bytes, tensors, transfer, pause } = rhythm;
        let longer = client.measure_pause(bytes, pause)?;
        log::debug!("{bytes} bytes take {longer:?} longer after a pause of {pause:?}");
        if longer < LONGER_MIN.max(transfer.mul_f64(SHARE_MIN)) {
            return Ok(Time::ZERO);
        }
        let hint = match restarts_after_idle() {
            true => "; set net.ipv4.tcp_slow_start_after_idle to 0 on this device to avoid it",
            false => "",
        };
        log::info!(
            "after a pause of {pause:.1?} a job's transfer takes {longer:.1?} longer; the plan accounts for it{hint}"
        );
        Ok(Time::from_nanoseconds((longer.as_nanos() as f64 / tensors) as u64))
    }
}

/// Whether TCP on this system restarts with a small window after a pause.
fn restarts_after_idle() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_slow_start_after_idle")
        .is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::parse_workload;
    use cutpoint_plan::options::{PlanOptions, Policy};

    #[test]
    fn the_uplink_rests_between_the_jobs_that_send_something() {
        // A job sends 100,000 bytes, which take 100 ms.
        let text = r#"{ "schema": "cutpoint.workload/1",
            "link": { "uplink_mbps": 8.0, "rtt_ms": 1.0 },
            "models": { "m": { "inputs": { "i": 60000, "k": 40000 }, "layers": [
                { "name": "a", "reads": ["i", "k"], "writes": { "x": 10 }, "device_ms": 4, "server_ms": 1 }
            ] } },
            "jobs": [ { "model": "m", "count": 4 } ] }"#;
        let workload = parse_workload(text, "test").unwrap();
        let of = |policy, period_ms: u64| {
            let period = Some(Time::from_nanoseconds(period_ms * 1_000_000));
            let options = PlanOptions::default();
            Rhythm::of(&StreamPlan::new(&workload, policy, &options, period).unwrap())
        };
        let ms = Duration::from_millis;
        let expected = Rhythm { bytes: 100_000, tensors: 2.0, transfer: ms(100), pause: ms(400) };
        assert_eq!(of(Policy::ServerOnly, 500), Some(expected));
        let longest = Rhythm { pause: PAUSE_MAX, ..expected };
        assert_eq!(of(Policy::ServerOnly, 9_000), Some(longest));
        assert_eq!(of(Policy::ServerOnly, 299), None, "TCP goes on as it was");
        assert_eq!(of(Policy::LocalOnly, 9_000), None, "nothing is sent");
    }
}
