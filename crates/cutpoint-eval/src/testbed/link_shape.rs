//! The requested link: rate, delay, queue, loss and jitter in each direction.

use anyhow::{Context, ensure};
use cutpoint_plan::units::Time;
use serde::Serialize;

/// The slowest rate accepted: one full packet in about 12 s.
const BIT_PER_S_MIN: f64 = 1_000.0;
/// The fastest rate accepted; a user-space link on two shared cores cannot keep up with more.
const BIT_PER_S_MAX: f64 = 1e9;
/// The longest round trip or jitter accepted, in milliseconds.
const DELAY_MS_MAX: f64 = 10_000.0;
/// The longest queue accepted.
const QUEUE_KIB_MAX: u64 = 64 * 1024;
/// The most bytes that one direction may hold, in its queue and in flight.
pub(crate) const HELD_BYTES_MAX: u64 = 256 << 20;
/// Bytes that a link adds to every IP packet: an Ethernet header.
pub(crate) const FRAME_OVERHEAD_BYTES: u64 = 14;

/// The link between device and server.
#[derive(Clone, Debug, PartialEq, clap::Args, Serialize)]
pub(crate) struct LinkArgs {
    /// Rate from device to server, in millions of bits per second (Ethernet header included).
    #[arg(long, value_name = "MBIT_PER_S", default_value_t = 18.88)]
    pub(crate) uplink_mbps: f64,
    /// Rate from server to device, in millions of bits per second.
    #[arg(long, value_name = "MBIT_PER_S", default_value_t = 40.0)]
    pub(crate) downlink_mbps: f64,
    /// Time for a packet of no bytes to go to the server and back.
    #[arg(long, value_name = "MS", default_value_t = 5.0)]
    pub(crate) rtt_ms: f64,
    /// Bytes that may wait in each direction, in units of 1024; packets beyond it are dropped.
    #[arg(long, value_name = "KIB", default_value_t = 128)]
    pub(crate) queue_kib: u64,
    /// Share of packets lost on the way, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) loss: f64,
    /// Further delay of each packet, each way: uniform between zero and this, never reordering.
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub(crate) jitter_ms: f64,
    /// Seed of the losses and of the jitter.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// One direction of a link, validated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PipeShape {
    /// Bits per second while a packet is sent.
    pub(crate) bit_per_s: u64,
    /// From the end of sending to arrival.
    pub(crate) one_way: Time,
    /// Bytes that may wait to be sent; the packet being sent does not count.
    pub(crate) queue_bytes: u64,
    /// Probability that a packet is lost after it was sent.
    pub(crate) loss: f64,
    /// Upper limit of the random part of the delay.
    pub(crate) jitter: Time,
}

/// A link, validated: both directions and the seed of their randomness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LinkShape {
    /// From device to server.
    pub(crate) uplink: PipeShape,
    /// From server to device.
    pub(crate) downlink: PipeShape,
    /// Seed of losses and jitter; each direction draws its own numbers.
    pub(crate) seed: u64,
}

impl LinkArgs {
    /// The link asked for.
    ///
    /// # Errors
    ///
    /// Where a value is out of its range, naming the flag and the limit.
    pub(crate) fn shape(&self) -> anyhow::Result<LinkShape> {
        ensure!(
            (0.0..=1.0).contains(&self.loss),
            "--loss is {}, expected a share from 0 to 1",
            self.loss
        );
        ensure!(
            self.queue_kib <= QUEUE_KIB_MAX,
            "--queue-kib is {}, the limit is {QUEUE_KIB_MAX}",
            self.queue_kib
        );
        let rtt = delay("--rtt-ms", self.rtt_ms)?;
        let jitter = delay("--jitter-ms", self.jitter_ms)?;
        let pipe = |flag, mbps, one_way: Time| {
            let bit_per_s = rate(flag, mbps)?;
            let queue_bytes = self.queue_kib * 1024;
            let flight = (one_way + jitter).milliseconds() / 1e3 * bit_per_s as f64 / 8.0;
            ensure!(
                flight as u64 + queue_bytes <= HELD_BYTES_MAX,
                "{flag} {mbps} with this delay keeps {flight:.0} bytes in flight, the limit is \
                 {HELD_BYTES_MAX} with the queue"
            );
            Ok(PipeShape { bit_per_s, one_way, queue_bytes, loss: self.loss, jitter })
        };
        Ok(LinkShape {
            uplink: pipe("--uplink-mbps", self.uplink_mbps, rtt.half())?,
            downlink: pipe("--downlink-mbps", self.downlink_mbps, rtt - rtt.half())?,
            seed: self.seed,
        })
    }
}

fn rate(flag: &str, mbps: f64) -> anyhow::Result<u64> {
    let bit_per_s = (mbps * 1e6).round();
    ensure!(
        (BIT_PER_S_MIN..=BIT_PER_S_MAX).contains(&bit_per_s),
        "{flag} is {mbps}, expected {} to {}",
        BIT_PER_S_MIN / 1e6,
        BIT_PER_S_MAX / 1e6
    );
    Ok(bit_per_s as u64)
}

fn delay(flag: &str, ms: f64) -> anyhow::Result<Time> {
    Time::from_milliseconds(ms)
        .filter(|_| ms <= DELAY_MS_MAX)
        .with_context(|| format!("{flag} is {ms}, expected 0 to {DELAY_MS_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        link: LinkArgs,
    }

    fn parse(flags: &[&str]) -> LinkArgs {
        Line::parse_from(std::iter::once("x").chain(flags.iter().copied())).link
    }

    #[test]
    fn flags_become_a_shape() {
        let shape = parse(&["--uplink-mbps=1.1", "--rtt-ms=100", "--queue-kib=64"]).shape();
        let uplink = shape.unwrap().uplink;
        assert_eq!(uplink.bit_per_s, 1_100_000);
        assert_eq!(uplink.one_way, Time::from_nanoseconds(50_000_000));
        assert_eq!(uplink.queue_bytes, 65_536);
    }

    #[test]
    fn an_odd_round_trip_is_not_rounded_away() {
        let shape = parse(&["--rtt-ms=0.000003"]).shape().unwrap();
        let sum = shape.uplink.one_way + shape.downlink.one_way;
        assert_eq!(sum, Time::from_nanoseconds(3));
    }

    #[test]
    fn values_out_of_range_are_refused_by_flag() {
        for (flag, wrong) in [
            ("--uplink-mbps", "0"),
            ("--uplink-mbps", "NaN"),
            ("--downlink-mbps", "1001"),
            ("--rtt-ms", "inf"),
            ("--rtt-ms", "10001"),
            ("--jitter-ms", "NaN"),
            ("--loss", "1.5"),
            ("--loss", "NaN"),
            ("--queue-kib", "65537"),
        ] {
            let refused = parse(&[&format!("{flag}={wrong}")]).shape().unwrap_err().to_string();
            assert!(refused.starts_with(flag), "{flag}={wrong}: {refused}");
        }
    }

    #[test]
    fn more_than_the_memory_limit_in_flight_is_refused() {
        let refused = parse(&["--uplink-mbps=1000", "--rtt-ms=10000"]).shape().unwrap_err();
        assert!(refused.to_string().contains("in flight"), "{refused}");
    }
}
