//! One direction's input and output: read a packet, keep it until it arrives, write it.

use super::counters::Counters;
use super::pipe::{Fate, Pipe};
use crate::testbed::link_shape::{FRAME_OVERHEAD_BYTES, HELD_BYTES_MAX};
use cutpoint_plan::units::Time;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

/// The largest IP packet.
const PACKET_BYTES_MAX: usize = 65_536;
/// Packets read before due ones are looked for again.
const READS_IN_A_ROW: usize = 32;

/// One direction of the link.
pub(super) struct Forward {
    pub(super) from: File,
    pub(super) to: File,
    pub(super) pipe: Pipe,
    pub(super) counters: Arc<Counters>,
}

/// Packets on their way, in the order of their arrival.
#[derive(Default)]
struct InFlight {
    packets: VecDeque<(Time, Vec<u8>)>,
    bytes: u64,
}

impl Forward {
    /// Forwards packets; returns only where reading or waiting fails.
    pub(super) fn run(mut self) -> io::Result<()> {
        let epoch = Instant::now();
        let now = || Time::from_nanoseconds(epoch.elapsed().as_nanos() as u64);
        let mut in_flight = InFlight::default();
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        loop {
            self.deliver_due(&mut in_flight, now);
            let wait = in_flight.packets.front().map(|(due, _)| due.saturating_sub(now()));
            if wait_readable(&self.from, wait)? {
                for _ in 0..READS_IN_A_ROW {
                    match self.from.read(&mut buffer) {
                        Ok(size) => self.accept(&buffer[..size], now(), &mut in_flight),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    fn accept(&mut self, packet: &[u8], now: Time, in_flight: &mut InFlight) {
        let bytes = packet.len() as u64;
        if in_flight.bytes + bytes > HELD_BYTES_MAX {
            return self.counters.queue_drop();
        }
        match self.pipe.offer(bytes + FRAME_OVERHEAD_BYTES, now) {
            Fate::Arrives(due) => {
                in_flight.bytes += bytes;
                in_flight.packets.push_back((due, packet.to_vec()));
            }
            Fate::Dropped => self.counters.queue_drop(),
            Fate::Lost => self.counters.loss(),
        }
    }

    fn deliver_due(&mut self, in_flight: &mut InFlight, now: impl Fn() -> Time) {
        while let Some((due, packet)) = in_flight.packets.pop_front_if(|(due, _)| *due <= now()) {
            in_flight.bytes -= packet.len() as u64;
            // A TUN device takes a packet whole or not at all.
            match self.to.write_all(&packet) {
                Ok(()) => self.counters.delivered(packet.len(), now().saturating_sub(due)),
                // The receiving kernel has no room, or its end of the link is down: the packet is
                // gone, as on a wire.
                Err(_) => self.counters.write_error(),
            }
        }
    }
}

/// Whether `file` can be read; waits for it at most `limit`, or for ever.
fn wait_readable(file: &File, limit: Option<Time>) -> io::Result<bool> {
    let limit = limit.map(|limit| Timespec {
        tv_sec: (limit.nanoseconds() / 1_000_000_000) as i64,
        tv_nsec: (limit.nanoseconds() % 1_000_000_000) as _,
    });
    let mut files = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut files, limit.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
