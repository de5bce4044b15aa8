//! How small can the mean completion be, whatever the plan?
//!
//! The k-th job to be complete is complete no sooner than k jobs need for their weighted loads,
//! and of all sets of k jobs the k lightest need least; nor is the k-th completion sooner than the
//! k-th quickest job alone. Weights are those of the load bound and each machine by itself.

use crate::bound::loads::{LoadBound, PARTS};
use crate::problem::{Problem, weighted_loads};
use crate::units::Time;

/// No plan for jobs that are all there from the start has a smaller sum of completions.
/// O(jobs log jobs).
pub(crate) fn sum_of_completions(problem: &Problem<'_>, bound: &LoadBound) -> u128 {
    if !problem.is_complete {
        return 0;
    }
    let mut alone: Vec<Time> = Vec::with_capacity(problem.jobs());
    for class in &problem.classes {
        let latencies = class.modes.iter().map(|m| m.latency(problem.half));
        let quickest = latencies.min().unwrap_or_default();
        alone.extend(std::iter::repeat_n(quickest, class.jobs.len()));
    }
    alone.sort_unstable();
    let corners = (0..4).map(|machine| {
        let mut prices = [0; 4];
        prices[machine] = PARTS;
        prices
    });
    let bounds = corners.chain([bound.prices]).map(|prices| {
        let mut loads: Vec<u128> = Vec::with_capacity(problem.jobs());
        for class in &problem.classes {
            let of_mode = |m| weighted_loads(m, problem.executors, prices);
            let load = class.modes.iter().map(of_mode).min().unwrap_or(0);
            loads.extend(std::iter::repeat_n(load, class.jobs.len()));
        }
        loads.sort_unstable();
        let mut before = 0;
        let completions = loads.iter().zip(&alone).map(|(load, alone)| {
            before += load;
            LoadBound::time_of(before).max(u128::from(alone.nanoseconds()))
        });
        completions.sum()
    });
    bounds.max().unwrap_or(0)
}
