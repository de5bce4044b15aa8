//! Decides when the next bytes may leave, if the uplink has a given bandwidth: a virtual link,
//! without a clock of its own, so that a test can drive it.

use cutpoint_plan::units::Bandwidth;
use std::time::{Duration, Instant};

/// How far the virtual link may lag behind the clock and still catch up. A real link goes on
/// sending from the socket's buffer while the sending thread waits for its timer or for a
/// processor, and so must this one.
const CATCH_UP: Duration = Duration::from_millis(100);

/// A pause shorter than this between two writes is the writer's, not the link's: on a real link
/// the socket's buffer bridges it.
const BRIDGED: Duration = Duration::from_micros(500);

/// The slowest link that the pacer can hold.
pub(crate) const MBIT_PER_S_MIN: f64 = 0.001;

/// A virtual link that carries bytes one after the other.
#[derive(Debug)]
pub(crate) struct Pacer {
    nanoseconds_per_byte: f64,
    /// When the last reserved byte has passed, on the virtual link.
    free_at: Option<Instant>,
    /// The part of a nanosecond by which `free_at` is too early.
    remainder: f64,
    /// When the writer learnt that its last bytes had passed.
    released_at: Option<Instant>,
    /// How long there was nothing to send before the next bytes, if that is known.
    pause: Option<Duration>,
}

impl Pacer {
    /// A link of this bandwidth; `None` below [`MBIT_PER_S_MIN`].
    pub(crate) fn new(bandwidth: Bandwidth) -> Option<Pacer> {
        let mbit_per_s = bandwidth.mbit_per_s();
        (mbit_per_s >= MBIT_PER_S_MIN).then(|| Pacer {
            nanoseconds_per_byte: 8e3 / mbit_per_s,
            free_at: None,
            remainder: 0.0,
            released_at: None,
            pause: None,
        })
    }

    /// Bytes reserved from now on pass at another bandwidth; returns whether the pacer can hold it.
    pub(crate) fn set_bandwidth(&mut self, bandwidth: Bandwidth) -> bool {
        let Some(other) = Pacer::new(bandwidth) else { return false };
        self.nanoseconds_per_byte = other.nanoseconds_per_byte;
        true
    }

    /// Puts `bytes` on the virtual link; returns when the last of them has passed it.
    pub(crate) fn reserve(&mut self, now: Instant, bytes: usize) -> Instant {
        let pause = self.pause.take();
        let start = match self.free_at {
            None => now,
            Some(free_at) if free_at >= now => free_at,
            Some(free_at) => {
                let quiet_since = self.released_at.map_or(free_at, |r| r.max(free_at));
                let quiet = now.saturating_duration_since(quiet_since);
                let earliest = now.checked_sub(CATCH_UP).unwrap_or(free_at);
                match pause {
                    Some(pause) => (free_at + pause).max(earliest).min(now),
                    None if quiet <= BRIDGED => free_at.max(earliest),
                    None => now,
                }
            }
        };
        let nanoseconds = bytes as f64 * self.nanoseconds_per_byte + self.remainder;
        self.remainder = nanoseconds.fract();
        let end = start + Duration::from_nanos(nanoseconds as u64);
        self.free_at = Some(end);
        end
    }

    /// Notes for how long nothing was to be sent before the next bytes. The rest of the pause went
    /// by while threads woke each other, which on a real link happens while the socket's buffer is
    /// sent.
    pub(crate) fn pause(&mut self, pause: Duration) {
        self.pause = Some(pause);
    }

    /// Notes that the writer went on at `now`, after waiting for its bytes to pass.
    pub(crate) fn release(&mut self, now: Instant) {
        self.released_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pacer(mbit_per_s: f64) -> Pacer {
        Pacer::new(Bandwidth::from_mbit_per_s(mbit_per_s).unwrap()).unwrap()
    }

    /// What a timer with a tick of one millisecond makes of a moment, plus `late`.
    fn fired(zero: Instant, due: Instant, late: Duration) -> Instant {
        let ticks = (due - zero).as_nanos().div_ceil(1_000_000) as u64;
        zero + Duration::from_millis(ticks) + late
    }

    #[test]
    fn a_transfer_takes_bytes_times_eight_by_bandwidth() {
        // 186,624 B x 8 = 1,492,992 bit; at 18.88 Mbit/s that is 79.077966 ms.
        let now = Instant::now();
        let end = pacer(18.88).reserve(now, 186_624);
        assert_eq!(end - now, Duration::from_nanos(79_077_966));
    }

    #[test]
    fn an_idle_link_sends_at_once() {
        let now = Instant::now();
        let mut pacer = pacer(8.0);
        let end = pacer.reserve(now, 1000);
        pacer.release(end);
        let later = end + Duration::from_millis(2);
        assert_eq!(pacer.reserve(later, 1000), later + Duration::from_millis(1));
    }

    #[test]
    fn a_late_timer_does_not_reduce_the_bandwidth() {
        let now = Instant::now();
        let mut pacer = pacer(8.0);
        let end = pacer.reserve(now, 1000);
        let late = end + Duration::from_millis(3);
        pacer.release(late);
        assert_eq!(pacer.reserve(late, 1000), end + Duration::from_millis(1));
    }

    #[test]
    fn between_messages_only_the_time_without_a_message_counts() {
        let now = Instant::now();
        let mut pacer = pacer(8.0);
        let end = pacer.reserve(now, 1000);
        pacer.release(end);
        pacer.pause(Duration::from_millis(1));
        let woken = end + Duration::from_millis(7);
        assert_eq!(pacer.reserve(woken, 1000), end + Duration::from_millis(2));
        // A pause that ends after the bytes came is no reason to hold them back.
        pacer.pause(Duration::from_millis(30));
        let soon = end + Duration::from_millis(10);
        assert_eq!(pacer.reserve(soon, 1000), soon + Duration::from_millis(1));
    }

    #[test]
    fn catching_up_is_bounded() {
        let now = Instant::now();
        let mut pacer = pacer(8.0);
        let end = pacer.reserve(now, 1000);
        let late = end + Duration::from_millis(300);
        pacer.release(late);
        assert_eq!(pacer.reserve(late, 1000), late - CATCH_UP + Duration::from_millis(1));
    }

    #[test]
    fn a_new_bandwidth_holds_for_later_bytes() {
        let now = Instant::now();
        let mut pacer = pacer(8.0);
        let end = pacer.reserve(now, 1000);
        assert!(pacer.set_bandwidth(Bandwidth::from_mbit_per_s(2.0).unwrap()));
        assert_eq!(pacer.reserve(now, 1000), end + Duration::from_millis(4));
        assert!(!pacer.set_bandwidth(Bandwidth::from_mbit_per_s(0.0).unwrap()));
    }

    #[test]
    fn too_slow_a_link_is_refused() {
        assert!(Pacer::new(Bandwidth::from_mbit_per_s(0.0).unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn a_busy_link_keeps_its_rate_under_a_coarse_timer(
            mbit_per_s in 0.5f64..2000.0,
            chunk in 512usize..16_384,
            late_us in proptest::collection::vec(0u64..60_000, 8),
        ) {
            let zero = Instant::now();
            let mut pacer = pacer(mbit_per_s);
            let mut now = zero;
            let mut bytes = 0u64;
            let mut end = zero;
            let mut late = late_us.iter().cycle();
            while now - zero < Duration::from_secs(2) {
                end = pacer.reserve(now, chunk);
                if end > now {
                    let late = Duration::from_micros(*late.next().expect("a cycle"));
                    now = fired(zero, end, late);
                    pacer.release(now);
                }
                bytes += chunk as u64;
            }
            let found = bytes as f64 * 8.0 / (end - zero).as_secs_f64() / 1e6;
            prop_assert!((found / mbit_per_s - 1.0).abs() < 0.005, "{found} Mbit/s");
            // What is late is late by one timer, and not by the sum of all.
            prop_assert!(now.saturating_duration_since(end) <= Duration::from_millis(61));
        }
    }
}
