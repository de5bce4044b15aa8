//! A lower bound on the mean completion of any plan.
//!
//! The k-th job to be complete is complete no sooner than k jobs need for their weighted loads,
//! and of all sets of k jobs the k lightest need least; nor is the k-th completion sooner than the
//! k-th quickest job alone. Weights are those of the load bound and each machine by itself.

use crate::bound::loads::{CORNERS, LoadBound};
use crate::problem::{Class, Problem};

/// No plan for jobs that are all there from the start has a smaller sum of completions.
/// O(jobs log jobs).
pub(crate) fn sum_of_completions(problem: &Problem<'_>, bound: &LoadBound) -> u128 {
    if !problem.is_complete {
        return 0;
    }
    let alone = of_jobs(problem, |class| problem.least_latency(class));
    let bounds = CORNERS.into_iter().chain([bound.prices]).map(|prices| {
        let loads = of_jobs(problem, |class| problem.least_load(class, prices));
        let mut before = 0;
        let completions = loads.iter().zip(&alone).map(|(load, &alone)| {
            before += load;
            u128::from(LoadBound::time_of(before).max(alone).nanoseconds())
        });
        completions.sum()
    });
    bounds.max().unwrap_or(0)
}

/// For each job what is given for its class, the smallest first.
fn of_jobs<T: Copy + Ord>(problem: &Problem<'_>, of: impl Fn(&Class<'_>) -> T) -> Vec<T> {
    let each = |class: &Class<'_>| std::iter::repeat_n(of(class), class.jobs.len());
    let mut all: Vec<T> = problem.classes.iter().flat_map(each).collect();
    all.sort_unstable();
    all
}
