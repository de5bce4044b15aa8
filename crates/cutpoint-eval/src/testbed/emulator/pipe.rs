//! The model of one direction of a link: when each packet arrives, or why it does not.
//!
//! A packet waits in a drop-tail queue of bytes, is sent at the link's rate, one at a time, and
//! arrives after a fixed delay and a random one. No input or output and no clock: the caller says
//! when a packet came, so every figure can be checked.

use crate::testbed::link_shape::PipeShape;
use cutpoint_plan::units::Time;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::collections::VecDeque;

/// The fate of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives at this time. Arrivals never overtake one another.
    Arrives(Time),
    /// It found the queue full.
    Dropped,
    /// It was sent, taking the link's time, and then lost.
    Lost,
}

/// The state of one direction. Packets are offered in the order of time.
#[derive(Debug)]
pub(crate) struct Pipe {
    shape: PipeShape,
    random: ChaCha8Rng,
    busy: BusyPeriod,
    waiting: VecDeque<Waiting>,
    waiting_bytes: u64,
    last_arrival: Time,
}

#[derive(Debug)]
struct Waiting {
    starts: Time,
    bytes: u64,
}

/// The time since the link was last idle. Its end is computed from all its bytes at once, so that
/// rounding to nanoseconds does not add up.
#[derive(Debug, Default)]
struct BusyPeriod {
    since: Time,
    bytes: u64,
}

impl BusyPeriod {
    fn end(&self, bit_per_s: u64) -> Time {
        let nanoseconds = (u128::from(self.bytes) * 8_000_000_000).div_ceil(u128::from(bit_per_s));
        let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX / 2);
        self.since + Time::from_nanoseconds(nanoseconds)
    }
}

impl Pipe {
    /// An idle pipe.
    pub(crate) fn new(shape: PipeShape, seed: u64) -> Pipe {
        Pipe {
            shape,
            random: ChaCha8Rng::seed_from_u64(seed),
            busy: BusyPeriod::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_arrival: Time::ZERO,
        }
    }

    /// The fate of a packet of `bytes` (all that the link carries for it) that comes at `now`.
    ///
    /// A packet that finds the link idle is sent whatever the queue's size; any other is dropped if
    /// the bytes that wait before it and its own exceed the queue. O(1) amortised.
    pub(crate) fn offer(&mut self, bytes: u64, now: Time) -> Fate {
        let starts = self.busy.end(self.shape.bit_per_s);
        self.forget_started(now);
        if starts <= now {
            self.busy = BusyPeriod { since: now, bytes };
        } else {
            if self.waiting_bytes + bytes > self.shape.queue_bytes {
                return Fate::Dropped;
            }
            self.busy.bytes += bytes;
            self.waiting.push_back(Waiting { starts, bytes });
            self.waiting_bytes += bytes;
        }
        let sent = self.busy.end(self.shape.bit_per_s);
        if self.shape.loss > 0.0 && self.random.random::<f64>() < self.shape.loss {
            return Fate::Lost;
        }
        self.last_arrival = self.last_arrival.max(sent + self.shape.one_way + self.jitter());
        Fate::Arrives(self.last_arrival)
    }

    fn forget_started(&mut self, now: Time) {
        while let Some(first) = self.waiting.front().filter(|first| first.starts <= now) {
            self.waiting_bytes -= first.bytes;
            self.waiting.pop_front();
        }
    }

    fn jitter(&mut self) -> Time {
        match self.shape.jitter.nanoseconds() {
            0 => Time::ZERO,
            most => Time::from_nanoseconds(self.random.random_range(0..=most)),
        }
    }
}

#[cfg(test)]
mod tests;
