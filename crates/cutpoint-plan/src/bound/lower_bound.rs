//! The best lower bound that is cheap for any number of jobs.

use crate::bound::first_and_last::bound_by_ends;
use crate::bound::loads::{LoadBound, load_bound};
use crate::partition::min_cut::CutPricer;
use crate::problem::{Loads, Problem, loads, weighted};
use crate::units::Time;

/// Rounds of pricing a model whose cuts are not all listed.
const ROUNDS_MAX: usize = 24;

/// Adds to classes with too many cuts those that are cheapest at the bound's prices, until none
/// costs less than the ones listed.
pub(crate) fn add_cheapest_cuts(problem: &mut Problem<'_>) {
    for _ in 0..ROUNDS_MAX {
        let prices = load_bound(problem).prices;
        let mut is_new = false;
        for class in problem.classes.iter_mut().filter(|c| !c.is_complete) {
            let pricer = CutPricer::new(class.pricer, problem.executors);
            let (price, (layers, uploads)) = pricer.cheapest(prices);
            let listed = class.modes.iter().map(|m| weighted(prices, loads(m, problem.executors)));
            if listed.min().is_none_or(|least| price < least)
                && let Some(mode) = class.pricer.mode(layers, uploads)
                && !class.modes.contains(&mode)
            {
                class.modes.push(mode);
                is_new = true;
            }
        }
        if !is_new {
            return;
        }
    }
}

/// The best lower bound that is cheap for any number of jobs.
pub(crate) fn lower_bound(problem: &Problem<'_>) -> LoadBound {
    let mut bound = quick_bound(problem);
    if problem.is_complete && problem.is_two_machine() {
        let by_ends = bound_by_ends(problem, &bound);
        bound.time = bound.time.max(all_local(problem).map_or(by_ends, |local| local.min(by_ends)));
    }
    bound
}

/// A lower bound that takes no account of which job is first and which is last.
pub(crate) fn quick_bound(problem: &Problem<'_>) -> LoadBound {
    let mut bound = load_bound(problem);
    if !problem.is_complete {
        bound.time = cheapest_loads(problem, bound.prices);
    }
    if let Some(local) = all_local(problem) {
        bound.time = bound.time.min(local);
    }
    bound.time = bound.time.max(longest_job(problem));
    bound
}

/// The makespan if every job is kept on the device, where that is possible.
pub(super) fn all_local(problem: &Problem<'_>) -> Option<Time> {
    problem.classes.iter().map(|c| c.local().map(|l| c.modes[l].device * c.count())).sum()
}

/// The load bound at given prices where cuts are not all listed: minimum cuts take their place, and
/// no machine is taken to be idle.
fn cheapest_loads(problem: &Problem<'_>, prices: Loads) -> Time {
    let jobs = problem.classes.iter().map(|class| {
        let price = match class.is_complete {
            true => problem.least_load(class, prices),
            false => CutPricer::new(class.pricer, problem.executors).cheapest(prices).0,
        };
        price.saturating_mul(u128::from(class.count()))
    });
    LoadBound::time_of(jobs.fold(0u128, u128::saturating_add))
}

/// The longest of the jobs, each alone and in its quickest mode.
///
/// Paper: LB4.
fn longest_job(problem: &Problem<'_>) -> Time {
    let complete = problem.classes.iter().filter(|c| c.is_complete);
    complete.map(|class| problem.least_latency(class)).max().unwrap_or_default()
}
