//! The load bound of identical jobs that choose from thousands of modes. Few of these are cheapest
//! at any prices; they are found one by one, at the best prices for those found before.

use crate::bound::loads::{CORNERS, LoadBound, PARTS, Table, climb, idle};
use crate::problem::{Loads, Times, loads, weighted};
use crate::units::Time;

/// Rounds of pricing; then the bound is what it is at the prices found.
const ROUNDS_MAX: usize = 64;

/// A lower bound on every plan of `jobs` jobs that take some of these modes and send something.
/// Every mode that uses the server sends something; `arrival` is when a job alone first arrives.
/// O(rounds x modes).
pub(crate) fn load_bound_of(
    sketches: &[Times],
    jobs: u64,
    executors: Option<u64>,
    half: Time,
    arrival: Time,
) -> LoadBound {
    let all: Vec<Loads> = sketches.iter().map(|s| loads(s, executors)).collect();
    let cheapest = |prices: Loads| {
        let found = all.iter().min_by_key(|&&loads| weighted(prices, loads));
        let loads = found.copied().unwrap_or_default();
        (weighted(prices, loads), loads)
    };
    let starts = CORNERS.into_iter().chain([[PARTS / 4; 4]]);
    let found: Vec<Loads> = starts.map(|prices| cheapest(prices).1).collect();
    let sent: Vec<&Times> = sketches.iter().filter(|s| s.has_suffix).collect();
    let mut table = Table { classes: vec![(jobs, found)], idle: idle(&sent, half, arrival) };
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
    LoadBound { time: LoadBound::time_of(value), ..bound }
}
