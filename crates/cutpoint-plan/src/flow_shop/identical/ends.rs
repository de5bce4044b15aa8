//! A first and a last cut, and the linear relaxation of what may be taken between them.

use crate::flow_shop::identical::between::Between;
use crate::flow_shop::identical::choices::{Choices, Cut};
use crate::flow_shop::identical::depth::{Depth, Pair};
use crate::units::Time;
use std::borrow::Cow;

/// A first and a last cut, and what may be taken between them.
pub(super) struct Ends<'c> {
    pub choices: &'c Choices,
    pub deep: &'c Depth,
    pub pair: Pair,
    pub between: Cow<'c, Between>,
    /// How many jobs are between.
    pub jobs: u64,
}

/// The summed times of some jobs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    device: Time,
    /// Device time that some transfer waits for.
    sending: Time,
    uplink: Time,
}

impl Sums {
    fn of(cut: &Cut) -> Sums {
        Sums { device: cut.stages.device, sending: cut.sending, uplink: cut.stages.uplink }
    }

    /// These and `count` times the others.
    pub(super) fn and(self, count: u64, others: &Sums) -> Sums {
        Sums {
            device: self.device + others.device * count,
            sending: self.sending + others.sending * count,
            uplink: self.uplink + others.uplink * count,
        }
    }
}

/// Weights of the device row and of the uplink row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    device: u64,
    uplink: u64,
}

impl Weights {
    /// The weighted sum of two times.
    pub(super) fn of(self, device: Time, uplink: Time) -> i128 {
        // Times are less than 2^62, weights are differences of times: the sum is less than 2^125.
        let product = |weight: u64, time: Time| u128::from(weight) * u128::from(time.nanoseconds());
        (product(self.device, device) + product(self.uplink, uplink)).cast_signed()
    }

    /// The sum of both.
    pub(super) fn both(self) -> i128 {
        i128::from(self.device) + i128::from(self.uplink)
    }

    /// The time whose weighted sum with itself is `value`, rounded up.
    pub(super) fn time(self, value: i128) -> i128 {
        let by = self.both();
        value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
    }
}

/// Weights, and the two options they make equally good.
pub(super) struct Edge {
    pub weights: Weights,
    pub low: usize,
    pub high: usize,
    /// The weighted times of either.
    pub each: i128,
    /// The weighted value of the relaxation.
    pub value: i128,
}

impl<'c> Ends<'c> {
    pub(super) fn new(choices: &'c Choices, deep: &'c Depth, pair: Pair) -> Ends<'c> {
        let between = if deep.is_ordered {
            let all = deep.between.iter().enumerate();
            Cow::Owned(Between::new(choices, all.filter(|(_, t)| deep.is_between(t, pair))))
        } else {
            Cow::Borrowed(&deep.options)
        };
        Ends { choices, deep, pair, between, jobs: choices.jobs - pair.jobs() }
    }

    /// Everything between the shallowest and the deepest cut; `None` if there is not a cut.
    pub(super) fn widest(choices: &'c Choices, deep: &'c Depth) -> Option<Ends<'c>> {
        let pair = deep.widest()?;
        let between = Cow::Borrowed(&deep.options);
        Some(Ends { choices, deep, pair, between, jobs: choices.jobs - pair.jobs() })
    }

    /// The sums of the ends.
    pub(super) fn sums(&self) -> Sums {
        let last = Sums::of(self.deep.end(self.pair.last));
        if self.pair.is_one_job {
            return last;
        }
        last.and(1, &Sums::of(self.deep.end(self.pair.first)))
    }

    /// The times that one job adds if it takes one of the options between.
    pub(super) fn each(&self, option: usize) -> Sums {
        let (cut, stages) = self.between.options[option];
        match cut {
            Some(k) => Sums::of(&self.deep.between[k].cut),
            None => Sums { device: stages.device, ..Sums::default() },
        }
    }

    /// The makespan of sums: both rows of Cor 1, and the device's own.
    pub(super) fn makespan(&self, sums: Sums) -> Time {
        let Pair { first, last, .. } = self.pair;
        let (first, last) = (self.deep.end(first), self.deep.end(last));
        let by_uplink = first.lead + sums.uplink + last.tail;
        by_uplink.max(sums.sending + last.trail + last.tail).max(sums.device)
    }

    /// The best weights for the relaxation: those of an edge of the lower hull, or all on one row.
    pub(super) fn edge(&self) -> Edge {
        let Between { options, hull } = &*self.between;
        let (device, uplink) = self.deep.fixed(self.pair);
        let edge = |low: usize, high: usize, weights: Weights| {
            let each = self.weighted(low, weights);
            let value = weights.of(device, uplink) + i128::from(self.jobs) * each;
            Edge { weights, low, high, each, value }
        };
        let (start, end) = (hull[0], hull[hull.len() - 1]);
        let ends = [
            edge(start, start, Weights { device: 1, uplink: 0 }),
            edge(end, end, Weights { device: 0, uplink: 1 }),
        ];
        let edges = hull.windows(2).map(|w| {
            let (a, b) = (options[w[0]].1, options[w[1]].1);
            let device = (a.uplink - b.uplink).nanoseconds();
            let uplink = (b.device - a.device).nanoseconds();
            edge(w[0], w[1], Weights { device, uplink })
        });
        let time = |e: &Edge| e.weights.time(e.value);
        ends.into_iter().chain(edges).max_by_key(time).expect("there are two ends")
    }

    /// An option's weighted times.
    pub(super) fn weighted(&self, option: usize, weights: Weights) -> i128 {
        let stages = self.between.options[option].1;
        weights.of(stages.device, stages.uplink)
    }

    /// No counts between these ends give a smaller makespan.
    pub(super) fn bound(&self) -> Time {
        let edge = self.edge();
        at_least(edge.weights.time(edge.value))
    }
}

/// A bound as a time.
pub(super) fn at_least(bound: i128) -> Time {
    Time::from_nanoseconds(u64::try_from(bound.max(0)).unwrap_or(u64::MAX))
}
