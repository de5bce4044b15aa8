//! Pairs of first and last cut, the most promising first.
//!
//! At the weights of one edge a pair costs what its two jobs cost and the cheapest for all others: a
//! bound that is a sum of one term for each end. So pairs come in its order without all of them
//! being listed, and only of those that may be next the sharper bound of their own is worked out.

use crate::flow_shop::identical::choices::{Choices, Cut};
use crate::flow_shop::identical::depth::{Depth, Pair};
use crate::flow_shop::identical::ends::{Ends, Weights, at_least};
use crate::flow_shop::identical::search::Search;
use crate::units::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most pairs of first and last cut whose bounds are worked out.
const PAIRS_MAX: usize = 2_000;

/// The most that are looked at: not every cut can be first where another one is last.
const TAKEN_MAX: usize = 4 * PAIRS_MAX;

/// Pairs of first and last cut, each with its bound, the least bound first.
#[derive(Debug)]
pub(super) struct Pairs<'d> {
    choices: &'d Choices,
    deep: &'d Depth,
    weights: Weights,
    first: Queue,
    last: Queue,
    both: Queue,
    /// Pairs that come next, by their least cost.
    next: BinaryHeap<Reverse<(i128, Places)>>,
    /// Pairs whose bounds have been worked out.
    bounded: BinaryHeap<Reverse<(Time, Pair)>>,
    /// How many pairs may be looked at yet, and of how many of them the bounds may be worked out.
    left: (usize, usize),
}

/// A pair by its places in the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Places {
    Two { first: usize, last: usize },
    One(usize),
}

impl<'d> Pairs<'d> {
    /// Pairs that may beat the best found so far; `None` if there is not a cut. The best counts between
    /// the cheapest pair are looked for at once, so that the others have something to beat.
    pub(super) fn new(
        choices: &'d Choices,
        deep: &'d Depth,
        search: &mut Search<'_>,
    ) -> Option<Pairs<'d>> {
        let edge = Ends::widest(choices, deep)?.edge();
        let weights = edge.weights;
        let value = |(device, uplink): (Time, Time)| weights.of(device, uplink);
        let others = |ends: u64| i128::from(choices.jobs - ends) * edge.each;
        let starts = || (0..deep.ends.len()).map(|p| (value(deep.at_start(p)), p));
        let ends = || (0..deep.ends.len()).map(|q| (value(deep.at_end(q)) + others(2), q));
        let alone = (0..deep.ends.len()).filter(|_| deep.is_apart).map(|k| {
            let fixed = deep.fixed(Pair { first: k, last: k, is_one_job: true });
            (value(fixed) + others(1), k)
        });
        let (least_start, least_end) = (starts().min()?, ends().min()?);
        let cheapest = match deep.is_ordered {
            true => cheapest(deep, &starts().collect::<Vec<_>>(), &ends().collect::<Vec<_>>()),
            false => Some(Pair { first: least_start.1, last: least_end.1, is_one_job: false }),
        };
        if let Some(cheapest) = cheapest {
            search.between(&Ends::new(choices, deep, cheapest));
        }
        let best = search.best.as_ref();
        let limit = best.map_or(i128::MAX, |b| weights.of(b.makespan, b.makespan));
        let mut pairs = Pairs {
            choices,
            deep,
            weights,
            first: Queue::new(deep, starts(), limit.saturating_sub(least_end.0), End::First),
            last: Queue::new(deep, ends(), limit.saturating_sub(least_start.0), End::Last),
            both: Queue::new(deep, alone, limit, End::Both),
            next: BinaryHeap::new(),
            bounded: BinaryHeap::new(),
            left: (TAKEN_MAX, PAIRS_MAX),
        };
        pairs.push(Places::Two { first: 0, last: 0 });
        pairs.push(Places::One(0));
        Some(pairs)
    }

    /// Adds what is at these places, if anything is.
    fn push(&mut self, places: Places) {
        let value = match places {
            Places::Two { first, last } => {
                let (first, last) = (self.first.at(first), self.last.at(last));
                first.zip(last).map(|((start, _), (end, _))| start + end)
            }
            Places::One(place) => self.both.at(place).map(|(value, _)| value),
        };
        self.next.extend(value.map(|value| Reverse((value, places))));
    }

    /// The pair that costs least of those that have not been taken yet, if it is one.
    fn take(&mut self) -> Option<Pair> {
        let Reverse((_, places)) = self.next.pop()?;
        match places {
            Places::Two { first, last } => {
                if last == 0 {
                    self.push(Places::Two { first: first + 1, last });
                }
                self.push(Places::Two { first, last: last + 1 });
                let ((_, first), (_, last)) = self.first.at(first).zip(self.last.at(last))?;
                let pair = Pair { first, last, is_one_job: false };
                self.deep.is_pair(first, last).then_some(pair)
            }
            Places::One(place) => {
                self.push(Places::One(place + 1));
                let (_, k) = self.both.at(place)?;
                Some(Pair { first: k, last: k, is_one_job: true })
            }
        }
    }

    /// No counts between any pair that has not come yet give a smaller makespan than this; `None` if
    /// all that could beat the best have come.
    pub(super) fn bound_of_others(&self) -> Option<Time> {
        self.next.peek().map(|Reverse((value, _))| at_least(self.weights.time(*value)))
    }
}

impl Iterator for Pairs<'_> {
    type Item = (Time, Pair);

    fn next(&mut self) -> Option<(Time, Pair)> {
        while self.left.0 > 0
            && self.left.1 > 0
            && let Some(least) = self.bound_of_others()
            && self.bounded.peek().is_none_or(|Reverse((bound, _))| least <= *bound)
        {
            self.left.0 -= 1;
            if let Some(pair) = self.take() {
                let bound = Ends::new(self.choices, self.deep, pair).bound();
                self.bounded.push(Reverse((bound, pair)));
                self.left.1 -= 1;
            }
        }
        self.bounded.pop().map(|Reverse(next)| next)
    }
}

/// Of a start and an end that can be a pair, those that cost least together.
fn cheapest(deep: &Depth, starts: &[(i128, usize)], ends: &[(i128, usize)]) -> Option<Pair> {
    let each = ends.iter().filter_map(|&(end, last)| {
        let starts = starts.iter().filter(|&&(_, first)| deep.is_pair(first, last));
        starts.min().map(|&(start, first)| (start + end, first, last))
    });
    each.min().map(|(_, first, last)| Pair { first, last, is_one_job: false })
}

/// Which end of the uplink's work a job is at.
#[derive(Clone, Copy, Debug)]
enum End {
    First,
    Last,
    Both,
}

impl End {
    /// The part of a cut at this end in each term of the makespan that it is in.
    fn times(self, cut: &Cut) -> [Time; 3] {
        let Cut { stages, sending, lead, trail, tail, .. } = *cut;
        match self {
            End::First => [stages.device, sending, lead + stages.uplink],
            End::Last => [stages.device, sending + trail + tail, stages.uplink + tail],
            End::Both => [stages.device, sending + trail + tail, lead + stages.uplink + tail],
        }
    }
}

/// A cut at one end: its value, what counts of it there, and which cut it is.
type Valued = (i128, [Time; 3], usize);

/// Cuts of jobs at one end, the cheapest first, found as far as they are asked for. Where the ends
/// do not restrict what is between them, those are left out all of whose times another one has at
/// most.
#[derive(Debug)]
struct Queue {
    is_whole: bool,
    left: BinaryHeap<Reverse<Valued>>,
    found: Vec<Valued>,
}

impl Queue {
    /// Of what is worth less than `limit`. O(cuts).
    fn new(
        deep: &Depth,
        valued: impl Iterator<Item = (i128, usize)>,
        limit: i128,
        end: End,
    ) -> Queue {
        let cheap = valued.filter(|&(value, _)| value < limit);
        let left = cheap.map(|(value, k)| Reverse((value, end.times(deep.end(k)), k))).collect();
        Queue { is_whole: deep.is_ordered, left, found: Vec::new() }
    }

    /// The value and the cut at a place, from 0 on and none left out.
    fn at(&mut self, place: usize) -> Option<(i128, usize)> {
        while self.found.len() <= place {
            let Reverse(next) = self.left.pop()?;
            let is_at_most =
                |(_, times, _): &Valued| times.iter().zip(next.1).all(|(&a, b)| a <= b);
            if self.is_whole || !self.found.iter().any(is_at_most) {
                self.found.push(next);
            }
        }
        let (value, _, k) = self.found[place];
        Some((value, k))
    }
}
