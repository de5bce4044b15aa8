//! Identical jobs on two machines: which cuts, and how often each?
//!
//! With Pareto cuts sorted by depth (device time f rising, uplink time g falling), any multiset of
//! cuts is best run in the order of depth, and its makespan depends on the sums and on the first
//! and last cut alone. So the order disappears from the problem: what is left is to
//! choose the first and the last cut and how often each cut between them is taken ([`best`]).
//!
//! | paper | here | meaning |
//! |---|---|---|
//! | n | `jobs` | number of jobs |
//! | (f_k, g_k) | [`Stages`] | device and uplink time of cut k |
//! | p, q | `first`, `last` | the first and the last cut that sends something |
//!
//! Beyond the paper: jobs that stay on the device are counted apart, so that a fixed delay `tail`
//! may follow everything that is sent.

use crate::units::Time;

/// Leaves of the search for counts, over all pairs of first and last cut.
const LEAVES_MAX: u64 = 4_000;

/// A cut's time on device and uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stages {
    pub device: Time,
    pub uplink: Time,
}

/// What identical jobs choose from.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    /// Cuts that send something.
    pub cuts: Vec<Stages>,
    /// Device time of a job that sends nothing, if that is possible.
    pub local: Option<Time>,
    /// What passes between the end of a transfer and completion.
    pub tail: Time,
    /// How many jobs there are.
    pub jobs: u64,
}

/// How often each cut is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Solution {
    pub makespan: Time,
    /// For each of [`Choices::cuts`].
    pub counts: Vec<u64>,
    /// Jobs that send nothing.
    pub local: u64,
    /// No choice has a smaller makespan than this.
    pub lower_bound: Time,
}

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

/// The best counts, and a proof as far as it goes: the result is optimal if `makespan` equals
/// `lower_bound`.
///
/// First and last cuts are tried in the order of the bound of their linear relaxation until it
/// reaches the best makespan found. `None` if there is nothing to choose from. The optimum is
/// NP-hard to find in general; the search is cut off after a fixed number of steps.
///
/// Paper: Cor 1, LB2.
pub(crate) fn best(choices: &Choices) -> Option<Solution> {
    let depth = by_depth(choices);
    let mut search = Search::new(choices, &depth);
    search.without_middle();
    let mut pairs = Vec::new();
    if choices.jobs >= 2 {
        for last in 0..depth.len() {
            for first in 0..=last {
                let ends = Ends::new(choices, &depth, first, last);
                pairs.push((ends.bound(), first, last));
            }
        }
    }
    pairs.sort_unstable();
    let mut proved = None;
    for &(bound, first, last) in &pairs {
        if search.best.as_ref().is_some_and(|b| bound >= b.makespan) {
            break;
        }
        if search.leaves == 0 {
            proved = Some(bound);
            break;
        }
        let is_whole = search.between(&Ends::new(choices, &depth, first, last));
        if !is_whole && proved.is_none() {
            proved = Some(bound);
        }
    }
    let mut best = search.best?;
    best.lower_bound = proved.map_or(best.makespan, |p| p.min(best.makespan));
    Some(best)
}

/// Positions of the Pareto cuts that send something, by depth.
fn by_depth(choices: &Choices) -> Vec<usize> {
    let mut all: Vec<usize> = (0..choices.cuts.len()).collect();
    all.sort_by_key(|&k| (choices.cuts[k].device, choices.cuts[k].uplink));
    let mut kept: Vec<usize> = Vec::new();
    for k in all {
        let cut = choices.cuts[k];
        let is_longer = kept.last().is_none_or(|&l| cut.uplink < choices.cuts[l].uplink);
        if is_longer && choices.local.is_none_or(|local| cut.device < local) {
            kept.push(k);
        }
    }
    kept
}

/// A first and a last cut, and what may be taken between them.
struct Ends<'c> {
    choices: &'c Choices,
    first: usize,
    last: usize,
    /// Positions in [`Choices::cuts`]; `None` for a job that sends nothing.
    between: Vec<(Option<usize>, Stages)>,
    /// How many jobs are between.
    jobs: u64,
}

/// Weights of the device row and the uplink row, and the two options they make equally good.
struct Edge {
    device_weight: i128,
    uplink_weight: i128,
    low: usize,
    high: usize,
    /// The weighted value of the relaxation.
    value: i128,
}

impl<'c> Ends<'c> {
    fn new(choices: &'c Choices, depth: &[usize], first: usize, last: usize) -> Ends<'c> {
        let cut = |&k: &usize| (Some(k), choices.cuts[k]);
        let local = choices.local.map(|device| (None, Stages { device, uplink: Time::ZERO }));
        let between = depth[first..=last].iter().map(cut).chain(local).collect();
        Ends { choices, first: depth[first], last: depth[last], between, jobs: choices.jobs - 2 }
    }

    /// Device time of the ends, and what precedes and follows the uplink's other work.
    fn fixed(&self) -> (Time, Time) {
        let (first, last) = (self.choices.cuts[self.first], self.choices.cuts[self.last]);
        let device = first.device + last.device;
        // If all jobs send, the last transfer follows the device's work.
        let after = match self.choices.local {
            Some(_) => Time::ZERO,
            None => last.uplink + self.choices.tail,
        };
        (device + after, first.device + first.uplink + last.uplink + self.choices.tail)
    }

    /// The makespan with `counts` of what is between. Both rows of Cor 1, and the device's own.
    fn makespan(&self, counts: &[u64]) -> Time {
        let (first, last) = (self.choices.cuts[self.first], self.choices.cuts[self.last]);
        let (mut uplink, mut sending, mut keeping) = (Time::ZERO, Time::ZERO, Time::ZERO);
        for (&count, (cut, stages)) in counts.iter().zip(&self.between) {
            uplink += stages.uplink * count;
            *(if cut.is_some() { &mut sending } else { &mut keeping }) += stages.device * count;
        }
        let tail = self.choices.tail;
        let device = first.device + last.device + sending;
        let by_uplink = first.device + first.uplink + uplink + last.uplink + tail;
        by_uplink.max(device + last.uplink + tail).max(device + keeping)
    }

    /// The best weights for the relaxation: those of an edge of the lower hull, or all on one row.
    fn edge(&self) -> Edge {
        let hull = lower_hull(&self.between);
        let (device, uplink) = self.fixed();
        let edge = |low: usize, high: usize, device_weight: i128, uplink_weight: i128| {
            let fixed = device_weight * signed(device) + uplink_weight * signed(uplink);
            let each = self.weighted(low, device_weight, uplink_weight);
            let value = fixed + i128::from(self.jobs) * each;
            Edge { device_weight, uplink_weight, low, high, value }
        };
        let (start, end) = (hull[0], hull[hull.len() - 1]);
        let ends = [edge(start, start, 1, 0), edge(end, end, 0, 1)];
        let edges = hull.windows(2).map(|w| {
            let (a, b) = (self.between[w[0]].1, self.between[w[1]].1);
            let rise = signed(b.device) - signed(a.device);
            let fall = signed(a.uplink) - signed(b.uplink);
            edge(w[0], w[1], fall, rise)
        });
        let ceiling = |e: &Edge| ceil_div(e.value, e.device_weight + e.uplink_weight);
        ends.into_iter().chain(edges).max_by_key(ceiling).expect("there are two ends")
    }

    fn weighted(&self, option: usize, device_weight: i128, uplink_weight: i128) -> i128 {
        let stages = self.between[option].1;
        device_weight * signed(stages.device) + uplink_weight * signed(stages.uplink)
    }

    /// No counts between these ends give a smaller makespan.
    fn bound(&self) -> Time {
        let edge = self.edge();
        let bound = ceil_div(edge.value, edge.device_weight + edge.uplink_weight);
        Time::from_nanoseconds(u64::try_from(bound.max(0)).unwrap_or(u64::MAX))
    }
}

struct Search<'c> {
    choices: &'c Choices,
    depth: &'c [usize],
    best: Option<Solution>,
    leaves: u64,
}

impl<'c> Search<'c> {
    fn new(choices: &'c Choices, depth: &'c [usize]) -> Search<'c> {
        Search { choices, depth, best: None, leaves: LEAVES_MAX }
    }

    fn offer(&mut self, makespan: Time, counts: impl FnOnce() -> (Vec<u64>, u64)) {
        if self.best.as_ref().is_none_or(|b| makespan < b.makespan) {
            let (counts, local) = counts();
            self.best = Some(Solution { makespan, counts, local, lower_bound: Time::ZERO });
        }
    }

    /// Nothing sent, or one job.
    fn without_middle(&mut self) {
        let Choices { cuts, local, tail, jobs } = self.choices;
        if let Some(local) = *local {
            self.offer(local * *jobs, || (vec![0; cuts.len()], *jobs));
        } else if *jobs == 0 {
            self.offer(Time::ZERO, || (vec![0; cuts.len()], 0));
        }
        for &k in self.depth {
            let cut = cuts[k];
            let kept = match local {
                _ if *jobs == 0 => continue,
                _ if *jobs == 1 => Time::ZERO,
                Some(local) => *local * (*jobs - 1),
                None => continue,
            };
            let makespan = (cut.device + cut.uplink + *tail).max(cut.device + kept);
            self.offer(makespan, || {
                let mut counts = vec![0; cuts.len()];
                counts[k] = 1;
                (counts, *jobs - 1)
            });
        }
    }

    /// Looks for counts between two ends that beat the best; says whether it has tried all that
    /// could.
    ///
    /// Every option off the best hull edge makes the weighted sum of both rows longer by its
    /// reduced cost, so only few of them fit below the best makespan, however many jobs there are;
    /// the others take the two options on the edge, split where the rows balance.
    fn between(&mut self, ends: &Ends<'_>) -> bool {
        let edge = ends.edge();
        let base = ends.weighted(edge.low, edge.device_weight, edge.uplink_weight);
        let mut others: Vec<(i128, usize)> = (0..ends.between.len())
            .filter(|&o| o != edge.low && o != edge.high)
            .map(|o| (ends.weighted(o, edge.device_weight, edge.uplink_weight) - base, o))
            .collect();
        others.sort_unstable();
        let mut counts = vec![0; ends.between.len()];
        self.choose(ends, &edge, &others, &mut counts, ends.jobs, edge.value)
    }

    fn choose(
        &mut self,
        ends: &Ends<'_>,
        edge: &Edge,
        others: &[(i128, usize)],
        counts: &mut Vec<u64>,
        left: u64,
        value: i128,
    ) -> bool {
        if self.leaves == 0 {
            return false;
        }
        let Some((&(cost, option), rest)) = others.split_first() else {
            self.leaves -= 1;
            self.split(ends, edge, counts, left);
            return true;
        };
        let weight = edge.device_weight + edge.uplink_weight;
        for count in 0..=left {
            let value = value + i128::from(count) * cost;
            let beaten = |b: &Solution| ceil_div(value, weight) >= signed(b.makespan);
            if self.best.as_ref().is_some_and(beaten) {
                break;
            }
            counts[option] = count;
            let is_whole = self.choose(ends, edge, rest, counts, left - count, value);
            counts[option] = 0;
            if !is_whole {
                return false;
            }
        }
        true
    }

    /// Splits `left` jobs between the two options of the edge. All rows are linear in the split, so
    /// their maximum is convex and a walk downhill by halves ends at its least value.
    fn split(&mut self, ends: &Ends<'_>, edge: &Edge, counts: &mut [u64], left: u64) {
        let at = |shallow: u64, counts: &mut [u64]| {
            counts[edge.low] = 0;
            counts[edge.high] = left - shallow;
            counts[edge.low] += shallow;
            ends.makespan(counts)
        };
        let (mut low, mut high) = (0, left);
        while low < high {
            let middle = low + (high - low) / 2;
            if at(middle, counts) <= at(middle + 1, counts) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let makespan = at(low, counts);
        self.offer(makespan, || {
            let mut all = vec![0; ends.choices.cuts.len()];
            let mut local = 0;
            for (count, (cut, _)) in counts.iter().zip(&ends.between) {
                *cut.map_or(&mut local, |k| &mut all[k]) += count;
            }
            all[ends.first] += 1;
            all[ends.last] += 1;
            (all, local)
        });
        counts[edge.low] = 0;
        counts[edge.high] = 0;
    }
}

/// The lower left hull of options sorted by depth, as positions.
fn lower_hull(options: &[(Option<usize>, Stages)]) -> Vec<usize> {
    let mut hull: Vec<usize> = Vec::new();
    let turns_up = |a: Stages, b: Stages, c: Stages| {
        let (ab, ac) = (delta(a, b), delta(a, c));
        ab.0 * ac.1 - ab.1 * ac.0 <= 0
    };
    for o in 0..options.len() {
        let point = options[o].1;
        if hull.last().is_some_and(|&l| options[l].1.uplink <= point.uplink) {
            continue;
        }
        while let [.., a, b] = hull[..]
            && turns_up(options[a].1, options[b].1, point)
        {
            hull.pop();
        }
        hull.push(o);
    }
    hull
}

fn delta(from: Stages, to: Stages) -> (i128, i128) {
    (signed(to.device) - signed(from.device), signed(to.uplink) - signed(from.uplink))
}

fn signed(time: Time) -> i128 {
    i128::from(time.nanoseconds())
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

#[cfg(test)]
mod tests;
