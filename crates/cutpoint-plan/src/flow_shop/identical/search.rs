//! Counts between two ends: a search over what is off the best edge of the relaxation.

use crate::flow_shop::identical::choices::{Choices, Solution};
use crate::flow_shop::identical::depth::Depth;
use crate::flow_shop::identical::ends::{Edge, Ends, Sums};
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
        for k in 0..self.deep.ends.len() {
            let cut = self.deep.end(k);
            let kept = match local {
                _ if *jobs == 0 => continue,
                _ if *jobs == 1 => Time::ZERO,
                Some(local) => *local * (*jobs - 1),
                None => continue,
            };
            let makespan = cut.alone().max(cut.stages.device + kept);
            self.offer(makespan, || {
                let mut counts = vec![0; cuts.len()];
                counts[self.deep.ends[k].position as usize] = 1;
                (counts, *jobs - 1)
            });
        }
    }

    /// Looks for counts between two ends that beat the best; returns whether it has tried all that
    /// could.
    ///
    /// Every option off the best hull edge makes the weighted sum of both rows longer by its
    /// reduced cost, so only few of them fit below the best makespan, however many jobs there are;
    /// the others take the two options on the edge, split where the rows balance.
    pub(super) fn between(&mut self, ends: &Ends<'_>) -> bool {
        let edge = ends.edge();
        let base = ends.weighted(edge.low, edge.weights);
        let mut others: Vec<Other> = (0..ends.between.options.len())
            .filter(|&option| option != edge.low && option != edge.high)
            .map(|option| Other {
                cost: ends.weighted(option, edge.weights) - base,
                option,
                each: ends.each(option),
            })
            .collect();
        others.sort_unstable_by_key(|other| (other.cost, other.option));
        let pair = [ends.each(edge.low), ends.each(edge.high)];
        let mut counts = vec![0; ends.between.options.len()];
        let start = Chosen { left: ends.jobs, value: edge.value, sums: ends.sums() };
        self.choose(&Between { ends, edge: &edge, pair }, &others, &mut counts, start)
    }

    fn choose(
        &mut self,
        between: &Between<'_>,
        others: &[Other],
        counts: &mut Vec<u64>,
        chosen: Chosen,
    ) -> bool {
        if self.leaves == 0 {
            return false;
        }
        let Chosen { left, value, sums } = chosen;
        // The cheapest options come first: if not even one job of this one fits, none of the
        // others does.
        let fits = |other: &&Other| left > 0 && !self.is_beaten(between, value + other.cost);
        let Some(&Other { cost, option, each }) = others.first().filter(fits) else {
            self.leaves -= 1;
            self.split(between, counts, left, sums);
            return true;
        };
        for count in 0..=left {
            let value = value + i128::from(count) * cost;
            if self.is_beaten(between, value) {
                break;
            }
            counts[option] = count;
            let chosen = Chosen { left: left - count, value, sums: sums.and(count, &each) };
            let is_whole = self.choose(between, &others[1..], counts, chosen);
            counts[option] = 0;
            if !is_whole {
                return false;
            }
        }
        true
    }

    /// Whether no counts of this weighted value are better than the best: their time, rounded up, is
    /// no less.
    fn is_beaten(&self, between: &Between<'_>, value: i128) -> bool {
        let by = between.edge.weights.both();
        let is_beaten = |b: &Solution| value > by * (i128::from(b.makespan.nanoseconds()) - 1);
        self.best.as_ref().is_some_and(is_beaten)
    }

    /// Splits `left` jobs between the two options of the edge. All rows are linear in the split, so
    /// their maximum is convex: the first split that is no worse than the next one is the best.
    fn split(&mut self, between: &Between<'_>, counts: &mut [u64], left: u64, others: Sums) {
        let Between { ends, edge, pair: [low_each, high_each] } = *between;
        let sums = |shallow| others.and(shallow, &low_each).and(left - shallow, &high_each);
        let at = |shallow: u64| ends.makespan(sums(shallow));
        let is_last = |shallow: u64| shallow == left || at(shallow) <= at(shallow + 1);
        let (mut low, mut high) = (0, left);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_last(middle) {
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
            let Depth { between, .. } = ends.deep;
            for (count, (cut, _)) in counts.iter().zip(&ends.between.options) {
                *cut.map_or(&mut local, |k| &mut all[between[k].position as usize]) += count;
            }
            all[ends.deep.ends[ends.pair.last].position as usize] += 1;
            if !ends.pair.is_one_job {
                all[ends.deep.ends[ends.pair.first].position as usize] += 1;
            }
            (all, local)
        });
        counts[edge.low] = 0;
        counts[edge.high] = 0;
    }
}

/// Two ends, the best edge between them, and what one job adds that takes either of its options.
struct Between<'e> {
    ends: &'e Ends<'e>,
    edge: &'e Edge,
    pair: [Sums; 2],
}

/// An option off the best edge: what it adds to the weighted value, and what one job adds that takes
/// it.
#[derive(Clone, Copy)]
struct Other {
    cost: i128,
    option: usize,
    each: Sums,
}

/// The choices made so far.
#[derive(Clone, Copy)]
struct Chosen {
    /// Jobs without a choice.
    left: u64,
    value: i128,
    sums: Sums,
}
