use super::*;
use proptest::prelude::*;

fn ns(nanoseconds: u64) -> Time {
    Time::from_nanoseconds(nanoseconds)
}

/// 8 Mbit/s: a byte takes one microsecond.
fn shape() -> PipeShape {
    PipeShape {
        bit_per_s: 8_000_000,
        one_way: ns(5_000_000),
        queue_bytes: 3_000,
        loss: 0.0,
        jitter: Time::ZERO,
    }
}

#[test]
fn a_lone_packet_takes_its_bytes_over_the_rate_and_the_delay() {
    let mut pipe = Pipe::new(shape(), 1);
    // 1000 bytes: 1 ms; delay 5 ms.
    assert_eq!(pipe.offer(1_000, ns(7_000_000)), Fate::Arrives(ns(13_000_000)));
    // The link is idle again at 8 ms.
    assert_eq!(pipe.offer(500, ns(8_000_000)), Fate::Arrives(ns(13_500_000)));
}

#[test]
fn packets_are_sent_one_after_the_other_and_the_queue_drops_its_tail() {
    let mut pipe = Pipe::new(shape(), 1);
    assert_eq!(pipe.offer(1_500, ns(0)), Fate::Arrives(ns(6_500_000)));
    assert_eq!(pipe.offer(1_500, ns(0)), Fate::Arrives(ns(8_000_000)));
    assert_eq!(pipe.offer(1_500, ns(0)), Fate::Arrives(ns(9_500_000)));
    // Two wait, 3000 bytes: the queue is full, for small packets too.
    assert_eq!(pipe.offer(1_500, ns(0)), Fate::Dropped);
    assert_eq!(pipe.offer(40, ns(1_499_999)), Fate::Dropped);
    // At 1.5 ms the second is being sent and no longer waits.
    assert_eq!(pipe.offer(1_500, ns(1_500_000)), Fate::Arrives(ns(11_000_000)));
}

#[test]
fn an_idle_link_takes_a_packet_larger_than_its_queue() {
    let mut pipe = Pipe::new(PipeShape { queue_bytes: 0, ..shape() }, 1);
    assert_eq!(pipe.offer(1_000, ns(0)), Fate::Arrives(ns(6_000_000)));
    assert_eq!(pipe.offer(1_000, ns(999_999)), Fate::Dropped);
    assert_eq!(pipe.offer(1_000, ns(1_000_000)), Fate::Arrives(ns(7_000_000)));
}

#[test]
fn a_rate_that_does_not_divide_does_not_drift() {
    // 1 byte at 3 Mbit/s is 2666.67 ns; 3,000,000 of them are 8 s exactly.
    let mut pipe =
        Pipe::new(PipeShape { bit_per_s: 3_000_000, queue_bytes: u64::MAX / 2, ..shape() }, 1);
    let mut last = Fate::Dropped;
    for _ in 0..3_000_000 {
        last = pipe.offer(1, ns(0));
    }
    assert_eq!(last, Fate::Arrives(ns(8_005_000_000)));
}

#[test]
fn a_lost_packet_still_takes_the_links_time() {
    let mut pipe = Pipe::new(PipeShape { loss: 1.0, ..shape() }, 1);
    assert_eq!(pipe.offer(1_500, ns(0)), Fate::Lost);
    pipe.shape.loss = 0.0;
    assert_eq!(pipe.offer(1_500, ns(0)), Fate::Arrives(ns(8_000_000)));
}

#[test]
fn the_share_lost_is_the_share_asked_for() {
    let mut pipe = Pipe::new(PipeShape { loss: 0.1, ..shape() }, 42);
    let lost = (0..100_000u64).filter(|i| pipe.offer(1, ns(i * 2_000)) == Fate::Lost).count();
    // Binomial: standard deviation 95.
    assert!((9_500..=10_500).contains(&lost), "{lost}");
}

#[test]
fn the_same_seed_gives_the_same_fates() {
    let shape = PipeShape { loss: 0.3, jitter: ns(2_000_000), ..shape() };
    let fates = |seed| {
        let mut pipe = Pipe::new(shape, seed);
        (0..200).map(|i| pipe.offer(100, ns(i * 90_000))).collect::<Vec<_>>()
    };
    assert_eq!(fates(5), fates(5));
    assert_ne!(fates(5), fates(6));
}

/// Arrivals recomputed packet by packet from the definition, in nanoseconds times bits per second,
/// so without rounding until the last step.
fn reference(shape: &PipeShape, offers: &[(u64, u64)]) -> Vec<Fate> {
    let rate = u128::from(shape.bit_per_s);
    let mut sent: Vec<(u128, u128, u64)> = Vec::new();
    let mut fates = Vec::new();
    for &(now, bytes) in offers {
        let now = u128::from(now) * rate;
        let free = sent.last().map_or(0, |&(_, end, _)| end);
        let waiting: u64 =
            sent.iter().filter(|&&(start, ..)| start > now).map(|&(_, _, bytes)| bytes).sum();
        if free > now && waiting + bytes > shape.queue_bytes {
            fates.push(Fate::Dropped);
            continue;
        }
        let start = free.max(now);
        let end = start + u128::from(bytes) * 8_000_000_000;
        sent.push((start, end, bytes));
        fates.push(Fate::Arrives(ns(end.div_ceil(rate) as u64) + shape.one_way));
    }
    fates
}

fn offers() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0u64..3_000_000, 1u64..1_515), 1..200).prop_map(|gaps| {
        let mut now = 0;
        gaps.into_iter()
            .map(|(gap, bytes)| {
                now += gap;
                (now, bytes)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn agrees_with_the_definition(
        offers in offers(),
        bit_per_s in 1_000_000u64..50_000_000,
        queue_bytes in 0u64..20_000,
    ) {
        let shape = PipeShape { bit_per_s, queue_bytes, ..shape() };
        let mut pipe = Pipe::new(shape, 1);
        for (&(now, bytes), expected) in offers.iter().zip(reference(&shape, &offers)) {
            prop_assert_eq!(pipe.offer(bytes, ns(now)), expected);
        }
    }

    #[test]
    fn arrivals_are_ordered_and_no_earlier_than_physics_allows(
        offers in offers(),
        jitter in 0u64..10_000_000,
        seed: u64,
    ) {
        let shape = PipeShape { jitter: ns(jitter), loss: 0.1, ..shape() };
        let mut pipe = Pipe::new(shape, seed);
        let mut last = Time::ZERO;
        for (now, bytes) in offers {
            if let Fate::Arrives(at) = pipe.offer(bytes, ns(now)) {
                prop_assert!(at >= ns(now + bytes * 1_000) + shape.one_way);
                prop_assert!(at >= last);
                // At most the queue, this packet, the one being sent, the delay and the jitter.
                let most = (shape.queue_bytes + 2 * 1_515) * 1_000 + jitter;
                prop_assert!(at <= ns(now + most) + shape.one_way);
                last = at;
            }
        }
    }

    #[test]
    fn never_carries_more_than_its_rate(offers in offers()) {
        let shape = shape();
        let mut pipe = Pipe::new(shape, 1);
        let arrivals: Vec<(Time, u64)> = offers
            .iter()
            .filter_map(|&(now, bytes)| match pipe.offer(bytes, ns(now)) {
                Fate::Arrives(at) => Some((at, bytes)),
                _ => None,
            })
            .collect();
        for pair in arrivals.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= ns(pair[1].1 * 1_000));
        }
    }
}
