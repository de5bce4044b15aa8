//! A lower bound on the mean completion of any plan.
//!
//! The k-th job to be complete is complete no sooner than k jobs need for their weighted loads,
//! and of all sets of k jobs the k lightest need least; nor is the k-th completion sooner than the
//! k-th quickest job alone. Weights are those of the load bound and each machine by itself.

use crate::bound::loads::{CORNERS, LoadBound};
use crate::problem::Problem;
use crate::units::Time;

/// No plan for jobs that are all there from the start has a smaller sum of completions.
/// O(jobs log jobs).
pub(crate) fn sum_of_completions(problem: &Problem<'_>, bound: &LoadBound) -> u128 {
    if !problem.is_complete {
        return 0;
    }
    let mut alone: Vec<Time> = Vec::with_capacity(problem.jobs());
    for class in &problem.classes {
        alone.extend(std::iter::repeat_n(problem.least_latency(class), class.jobs.len()));
    }
    alone.sort_unstable();
    let bounds = CORNERS.into_iter().chain([bound.prices]).map(|prices| {
        let mut loads: Vec<u128> = Vec::with_capacity(problem.jobs());
        for class in &problem.classes {
            loads.extend(std::iter::repeat_n(problem.least_load(class, prices), class.jobs.len()));
        }
        loads.sort_unstable();
        let mut before = 0;
        let completions = loads.iter().zip(&alone).map(|(load, &alone)| {
            before += load;
            u128::from(LoadBound::time_of(before).max(alone).nanoseconds())
        });
        completions.sum()
    });
    bounds.max().unwrap_or(0)
}
