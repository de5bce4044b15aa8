//! The load bound of identical jobs that choose from thousands of modes. Few of these are cheapest
//! at any prices; they are found one by one, at the best prices for those found before.

use crate::bound::loads::{LoadBound, PARTS, Table, climb};
use crate::partition::sketch::Sketch;
use crate::problem::{Loads, weighted};
use crate::units::Time;

/// Rounds of pricing; then the bound is what it is at the prices found.
const ROUNDS_MAX: usize = 64;

/// Loads of one job; the server's as a share of all executors, rounded down.
pub(crate) fn loads(sketch: &Sketch, executors: Option<u64>) -> Loads {
    let server = executors.map_or(0, |k| sketch.server.nanoseconds() / k);
    let download = sketch.download.unwrap_or_default().nanoseconds();
    [sketch.device.nanoseconds(), sketch.uplink.nanoseconds(), server, download]
}

/// A lower bound on every plan of `jobs` jobs that take some of these modes and send something.
/// Every mode that uses the server sends something; `arrival` is when a job alone first arrives.
/// O(rounds x modes).
pub(crate) fn load_bound_of(
    sketches: &[Sketch],
    jobs: u64,
    executors: Option<u64>,
    half: Time,
    arrival: Time,
) -> LoadBound {
    let all: Vec<Loads> = sketches.iter().map(|s| loads(s, executors)).collect();
    let is_short = all.iter().flatten().all(|&load| load <= u64::MAX / PARTS);
    let cheapest = |prices: Loads| {
        let found = match is_short {
            // Prices sum to PARTS, so no weighted sum of these loads exceeds 64 bits.
            true => least(&all, |loads| prices.iter().zip(loads).map(|(p, l)| p * l).sum::<u64>()),
            false => least(&all, |&loads| weighted(prices, loads)),
        };
        let loads = found.copied().unwrap_or_default();
        (weighted(prices, loads), loads)
    };
    let corners =
        (0..4).map(|machine| std::array::from_fn(|m| if m == machine { PARTS } else { 0 }));
    let starts = corners.chain([[PARTS / 4; 4]]);
    let found: Vec<Loads> = starts.map(|prices| cheapest(prices).1).collect();
    let mut table = Table { classes: vec![(jobs, found)], idle: idle(sketches, half, arrival) };
    let mut bound = climb(&table);
    for _ in 0..ROUNDS_MAX {
        let (price, loads) = cheapest(bound.prices);
        let value = u128::from(jobs) * price + weighted(bound.prices, table.idle);
        if value >= table.value(bound.prices) {
            break;
        }
        table.classes[0].1.push(loads);
        bound = climb(&table);
    }
    let (price, _) = cheapest(bound.prices);
    let value = u128::from(jobs) * price + weighted(bound.prices, table.idle);
    let time = u64::try_from(LoadBound::time_of(value)).unwrap_or(u64::MAX);
    LoadBound { time: Time::from_nanoseconds(time), ..bound }
}

/// The first of the items that cost least.
fn least<T, P: Ord>(all: &[T], price: impl Fn(&T) -> P) -> Option<&T> {
    all.iter().min_by_key(|item| price(item))
}

/// How long each machine is idle at least before its first and after its last job, in a plan that
/// sends something.
fn idle(sketches: &[Sketch], half: Time, arrival: Time) -> Loads {
    let sent = || sketches.iter().filter(|s| s.has_suffix);
    let least = |time: &dyn Fn(&Sketch) -> Time| sent().map(time).min().unwrap_or_default();
    let download = |s: &Sketch| s.download.unwrap_or_default();
    let uplink = least(&|s| s.lead) + least(&|s| s.tail(half));
    let server = arrival + least(&download) + half;
    let all_download = sent().all(|s| s.download.is_some());
    let made = |s: &Sketch| s.sent_alone() + half + s.server;
    let downlink = if all_download { least(&made) + half } else { Time::ZERO };
    [Time::ZERO, uplink, server, downlink].map(Time::nanoseconds)
}
