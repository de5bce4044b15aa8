//! One direction's input and output: read a packet, keep it until it arrives, write it.

use super::pipe::{Fate, Pipe};
use crate::testbed::link_shape::{FRAME_OVERHEAD_BYTES, HELD_BYTES_MAX};
use cutpoint_plan::units::Time;
use rustix::event::{PollFd, PollFlags, poll};
use serde::Serialize;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The largest IP packet.
const PACKET_BYTES_MAX: usize = 65_536;
/// Packets read before due ones are looked for again.
const READS_IN_A_ROW: usize = 32;

/// The traffic of one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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

/// One direction of the link.
pub(super) struct Forward {
    from: File,
    to: File,
    pipe: Pipe,
    /// Packets on their way, in the order of their arrival.
    in_flight: VecDeque<(Time, Vec<u8>)>,
    in_flight_bytes: u64,
    report: DirectionReport,
    late: Time,
}

impl Forward {
    pub(super) fn new(from: File, to: File, pipe: Pipe) -> Forward {
        let (in_flight, report) = (VecDeque::new(), DirectionReport::default());
        Forward { from, to, pipe, in_flight, in_flight_bytes: 0, report, late: Time::ZERO }
    }

    /// Forwards packets until the other end of `stop` closes, and reports what it did.
    pub(super) fn run(mut self, stop: &UnixStream) -> anyhow::Result<DirectionReport> {
        let epoch = Instant::now();
        let now = || Time::from_nanoseconds(epoch.elapsed().as_nanos() as u64);
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        loop {
            self.deliver_due(now);
            let [is_readable, is_stopped] = self.wait(stop, now())?;
            if is_stopped {
                let packets = self.report.packets.max(1) as f64;
                let late_mean_ms = self.late.milliseconds() / packets;
                return Ok(DirectionReport { late_mean_ms, ..self.report });
            }
            for _ in 0..if is_readable { READS_IN_A_ROW } else { 0 } {
                match self.from.read(&mut buffer) {
                    Ok(size) => self.accept(&buffer[..size], now()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    /// Waits for a packet, for the end, or until the next packet arrives; returns which of the first
    /// two came.
    fn wait(&self, stop: &UnixStream, now: Time) -> anyhow::Result<[bool; 2]> {
        let next = self.in_flight.front().map(|(due, _)| due.saturating_sub(now).nanoseconds());
        let limit = next.map(|limit| Duration::from_nanos(limit).try_into()).transpose()?;
        let mut files = [PollFd::new(&self.from, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut files, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(files.map(|file| !file.revents().is_empty()))
    }

    fn accept(&mut self, packet: &[u8], now: Time) {
        let bytes = packet.len() as u64;
        let fate = match self.in_flight_bytes + bytes > HELD_BYTES_MAX {
            true => Fate::Dropped,
            false => self.pipe.offer(bytes + FRAME_OVERHEAD_BYTES, now),
        };
        match fate {
            Fate::Arrives(due) => {
                self.in_flight_bytes += bytes;
                self.in_flight.push_back((due, packet.to_vec()));
            }
            Fate::Dropped => self.report.queue_drops += 1,
            Fate::Lost => self.report.losses += 1,
        }
    }

    fn deliver_due(&mut self, now: impl Fn() -> Time) {
        while let Some((due, packet)) = self.in_flight.pop_front_if(|(due, _)| *due <= now()) {
            self.in_flight_bytes -= packet.len() as u64;
            // A TUN device takes a packet whole or not at all.
            if self.to.write_all(&packet).is_err() {
                // The receiving kernel has no room, or its end of the link is down: the packet is
                // gone, as on a wire.
                self.report.write_errors += 1;
                continue;
            }
            let late = now().saturating_sub(due);
            self.late += late;
            self.report.packets += 1;
            self.report.bytes += packet.len() as u64;
            self.report.late_max_ms = self.report.late_max_ms.max(late.milliseconds());
        }
    }
}
