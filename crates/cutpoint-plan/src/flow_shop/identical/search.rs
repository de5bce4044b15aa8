//! Counts between two ends: a search over what is off the best edge of the relaxation.

use super::depth::{Depth, Taken};
use super::ends::{Edge, Ends};
use super::{Choices, Solution};
use crate::units::Time;

pub(super) struct Search<'c> {
    choices: &'c Choices,
    deep: &'c Depth,
    pub best: Option<Solution>,
    leaves: u64,
}

impl<'c> Search<'c> {
    pub(super) fn new(choices: &'c Choices, deep: &'c Depth) -> Search<'c> {
        Search { choices, deep, best: None, leaves: choices.leaves }
    }

    /// Whether there are steps left.
    pub(super) fn is_left(&self) -> bool {
        self.leaves > 0
    }

    fn offer(&mut self, makespan: Time, counts: impl FnOnce() -> (Vec<u64>, u64)) {
        if self.best.as_ref().is_none_or(|b| makespan < b.makespan) {
            let (counts, local) = counts();
            self.best = Some(Solution { makespan, counts, local, lower_bound: Time::ZERO });
        }
    }

    /// Nothing sent, or one job.
    pub(super) fn without_middle(&mut self) {
        let Choices { cuts, local, jobs, .. } = self.choices;
        if let Some(local) = *local {
            self.offer(local * *jobs, || (vec![0; cuts.len()], *jobs));
        } else if *jobs == 0 {
            self.offer(Time::ZERO, || (vec![0; cuts.len()], 0));
        }
        for &Taken { position: k, cut, .. } in &self.deep.ends {
            let kept = match local {
                _ if *jobs == 0 => continue,
                _ if *jobs == 1 => Time::ZERO,
                Some(local) => *local * (*jobs - 1),
                None => continue,
            };
            let makespan = cut.alone().max(cut.stages.device + kept);
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
    pub(super) fn between(&mut self, ends: &Ends<'_>) -> bool {
        let edge = ends.edge();
        let base = ends.weighted(edge.low, edge.weights);
        let mut others: Vec<(i128, usize)> = (0..ends.between.options.len())
            .filter(|&o| o != edge.low && o != edge.high)
            .map(|o| (ends.weighted(o, edge.weights) - base, o))
            .collect();
        others.sort_unstable();
        let mut counts = vec![0; ends.between.options.len()];
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
        let beaten = |value: i128, best: &Option<Solution>| {
            let time = edge.weights.time(value);
            best.as_ref().is_some_and(|b| time >= i128::from(b.makespan.nanoseconds()))
        };
        // The cheapest options come first: if not even one job of this one fits, none of the
        // others does.
        let fits = |&&(cost, _): &&(i128, usize)| left > 0 && !beaten(value + cost, &self.best);
        let Some(&(cost, option)) = others.first().filter(fits) else {
            self.leaves -= 1;
            self.split(ends, edge, counts, left);
            return true;
        };
        for count in 0..=left {
            let value = value + i128::from(count) * cost;
            if beaten(value, &self.best) {
                break;
            }
            counts[option] = count;
            let is_whole = self.choose(ends, edge, &others[1..], counts, left - count, value);
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
        let others = ends.sums(counts);
        let at = |shallow: u64| {
            let mut sums = others;
            ends.add(&mut sums, edge.low, shallow);
            ends.add(&mut sums, edge.high, left - shallow);
            ends.makespan(sums)
        };
        let (mut low, mut high) = (0, left);
        while low < high {
            let middle = low + (high - low) / 2;
            if at(middle) <= at(middle + 1) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let makespan = at(low);
        counts[edge.high] = left - low;
        counts[edge.low] += low;
        self.offer(makespan, || {
            let mut all = vec![0; ends.choices.cuts.len()];
            let mut local = 0;
            let Depth { between, ends: at_ends, .. } = ends.deep;
            for (count, (cut, _)) in counts.iter().zip(&ends.between.options) {
                *cut.map_or(&mut local, |k| &mut all[between[k].position]) += count;
            }
            all[at_ends[ends.pair.last].position] += 1;
            if !ends.pair.is_one_job {
                all[at_ends[ends.pair.first].position] += 1;
            }
            (all, local)
        });
        counts[edge.low] = 0;
        counts[edge.high] = 0;
    }
}
