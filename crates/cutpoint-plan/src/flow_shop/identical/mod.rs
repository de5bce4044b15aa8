//! Identical jobs: which cuts, and how often each?
//!
//! With Pareto cuts sorted by depth (device time f rising, uplink time g falling), any multiset of
//! cuts is best run in the order of depth, and its makespan on two machines depends on the sums and
//! on the first and last cut alone. So the order disappears from the problem: what is left is to
//! choose the first and the last cut and how often each cut between them is taken ([`best`]).
//!
//! | paper | here | meaning |
//! |---|---|---|
//! | n | `jobs` | number of jobs |
//! | (f_k, g_k) | [`Stages`] | device and uplink time of cut k |
//! | p, q | `first`, `last` | the first and the last cut that sends something |
//!
//! Beyond the paper, each cut has a `tail`, the time from its last transfer to completion, and jobs
//! that stay on the device are counted apart. Where tails differ, the value found is what the jobs
//! would take if no suffix ever waited for the server and only the last job's tail counted: a lower
//! bound, and the makespan itself wherever the server keeps up with the uplink. Where the transfers
//! of a job may start before its device work is done, `lead` and `trail` say how much of the job
//! comes before its first and after its last dependency; then the value is a lower bound too.

mod between;
pub(crate) mod choices;
mod depth;
mod ends;
mod pairs;
mod search;
#[cfg(test)]
mod tests;

#[cfg(test)]
use crate::flow_shop::identical::choices::Stages;
use crate::flow_shop::identical::choices::{Choices, Solution};
use crate::flow_shop::identical::depth::Depth;
use crate::flow_shop::identical::ends::Ends;
use crate::flow_shop::identical::pairs::Pairs;
use crate::flow_shop::identical::search::Search;
use crate::units::Time;

/// The makespan of jobs with the given cuts, sorted by depth: device times rise, uplink times
/// fall. O(1) from the sums.
///
/// Paper: Thm 1, Eq 3.
#[cfg(test)]
pub(crate) fn makespan(sorted: &[Stages]) -> Time {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return Time::ZERO };
    let device: Time = sorted.iter().map(|s| s.device).sum();
    let uplink: Time = sorted.iter().map(|s| s.uplink).sum();
    (first.device + uplink).max(device + last.uplink)
}

/// How many of `jobs` take the shallower of two cuts, the others the deeper, for the smallest
/// makespan: the better of the two whole numbers around balance.
///
/// `shallow` has the longer uplink time, `deep` the longer device time.
///
/// Paper: Cor 2.
#[cfg(test)]
pub(crate) fn balanced_split(shallow: Stages, deep: Stages, jobs: u64) -> u64 {
    let cost = |shallow_count: u64| {
        let mut all = vec![shallow; usize::try_from(shallow_count).expect("small")];
        all.resize(usize::try_from(jobs).expect("small"), deep);
        makespan(&all)
    };
    let signed = |t: Time| i128::from(t.nanoseconds());
    let over = signed(deep.device) - signed(deep.uplink);
    let under = signed(shallow.uplink) - signed(shallow.device);
    let top = i128::from(jobs) * over + signed(deep.uplink) - signed(shallow.device);
    let balance = if over + under > 0 { top / (over + under) } else { 0 };
    // Both cuts are taken at least once, or one of them is not taken at all.
    let most = jobs.saturating_sub(1).max(1);
    let whole = u64::try_from(balance).unwrap_or(0).clamp(1, most);
    [0, whole, (whole + 1).min(most), jobs].into_iter().min_by_key(|&n| cost(n)).unwrap_or(0)
}

/// The best counts, and a proof as far as it goes: no other counts are better than `makespan` if
/// it equals `lower_bound`.
///
/// First and last cuts are tried in the order of the bound of their linear relaxation until it
/// reaches the best makespan found; pairs that a bound for all pairs rules out are not listed.
/// `None` if there is nothing to choose from. The optimum is NP-hard to find in general; the
/// search is cut off after a fixed number of steps.
///
/// Paper: Cor 1, LB2; the server-dominated case of section 5.6.
pub(crate) fn best(choices: &Choices) -> Option<Solution> {
    let deep = Depth::new(choices);
    let mut search = Search::new(choices, &deep);
    search.without_middle();
    let (mut proved, mut others) = (None, None);
    if choices.jobs >= 2
        && let Some(mut pairs) = Pairs::new(choices, &deep, &mut search)
    {
        for (bound, ends) in &mut pairs {
            if search.best.as_ref().is_some_and(|b| bound >= b.makespan) {
                break;
            }
            let is_left = search.is_left();
            let is_whole = is_left && search.between(&Ends::new(choices, &deep, ends));
            if !is_whole && proved.is_none() {
                proved = Some(bound);
            }
            if !is_left {
                break;
            }
        }
        others = pairs.bound_of_others();
    }
    let mut best = search.best?;
    best.lower_bound = [proved, others].into_iter().flatten().fold(best.makespan, Time::min);
    Some(best)
}
