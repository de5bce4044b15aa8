//! Cuts by depth, and which of them can be first and last.

use super::ends::{Between, Edge, Ends, at_least};
use super::search::Search;
use super::{Choices, Cut};
use crate::units::Time;

/// The most pairs of first and last cut whose bounds are worked out.
const PAIRS_MAX: usize = 2_000;

/// A cut that a job may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Its position in [`Choices::cuts`].
    pub position: usize,
    /// What it is taken to cost.
    pub cut: Cut,
    /// Places of its first and of its last transfer in the best order of all cuts; all alike where
    /// there is none.
    first: usize,
    last: usize,
}

/// The cuts worth taking, by depth.
#[derive(Clone, Debug)]
pub(super) struct Depth {
    /// What jobs may take between the first and the last one on the uplink.
    pub between: Vec<Taken>,
    /// What these two may take.
    pub ends: Vec<Taken>,
    /// Everything that jobs between some ends may take.
    pub options: Between,
    /// Whether the ends restrict what may be taken between them.
    pub is_ordered: bool,
    /// Whether one job can be both.
    is_apart: bool,
    /// Whether the device may still be at work when the last transfer starts.
    pub is_open: bool,
}

/// Positions in [`Depth::ends`] of the cuts of the jobs that are first and last on the uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub first: usize,
    pub last: usize,
    /// Whether that is one job, whose transfers leave apart.
    pub is_one_job: bool,
}

impl Pair {
    /// How many jobs it is.
    pub(super) fn jobs(self) -> u64 {
        if self.is_one_job { 1 } else { 2 }
    }
}

impl Depth {
    pub(super) fn new(choices: &Choices) -> Depth {
        let is_in_sequence = choices.cuts.iter().all(Cut::is_in_sequence);
        let is_placed = choices.cuts.iter().all(|c| c.places.is_some());
        let (between, ends) = if is_in_sequence {
            let cuts = in_sequence(choices);
            (cuts.clone(), cuts)
        } else if is_placed {
            let cuts = in_place(choices);
            (cuts.clone(), cuts)
        } else {
            let all = anywhere(choices);
            (least(&all), all)
        };
        let is_open =
            choices.local.is_some() || between.iter().any(|t| t.cut.sending < t.cut.stages.device);
        let is_ordered = is_in_sequence || is_placed;
        let options = Between::new(choices, between.iter().enumerate());
        Depth { between, ends, options, is_ordered, is_apart: !is_in_sequence, is_open }
    }

    /// Whether all transfers of a cut can come between those of the ends.
    pub(super) fn is_between(&self, taken: &Taken, pair: Pair) -> bool {
        self.ends[pair.first].first <= taken.first && taken.last <= self.ends[pair.last].last
    }

    fn is_pair(&self, first: usize, last: usize) -> bool {
        let (first, last) = (&self.ends[first], &self.ends[last]);
        first.first <= last.first && first.last <= last.last
    }

    /// The device time of the jobs at the ends and what follows it, and their uplink time and what
    /// precedes and follows the uplink's work.
    pub(super) fn fixed(&self, pair: Pair) -> (Time, Time) {
        let (device, uplink) = self.at_end(pair.last);
        if pair.is_one_job {
            return (device, uplink + self.ends[pair.first].cut.lead);
        }
        let (first_device, first_uplink) = self.at_start(pair.first);
        (first_device + device, first_uplink + uplink)
    }

    /// What the first job on the uplink adds to both rows.
    fn at_start(&self, first: usize) -> (Time, Time) {
        let Cut { stages, lead, .. } = self.ends[first].cut;
        (stages.device, lead + stages.uplink)
    }

    /// What the last job on the uplink adds to both rows.
    fn at_end(&self, last: usize) -> (Time, Time) {
        let Cut { stages, trail, tail, .. } = self.ends[last].cut;
        let after = if self.is_open { Time::ZERO } else { trail + tail };
        (stages.device + after, stages.uplink + tail)
    }

    /// Pairs of first and last cut that may beat the best found so far, each with its bound, the
    /// most promising first; and a bound of those that are too many to be listed.
    pub(super) fn pairs(&self, choices: &Choices, search: &mut Search<'_>) -> Pairs {
        let edge = Ends::widest(choices, self).edge();
        let priced = Priced::new(self, choices, &edge);
        let Some(cheapest) = priced.cheapest(self) else { return Pairs::default() };
        search.between(&Ends::new(choices, self, cheapest));
        let best = search.best.as_ref();
        let limit = best.map_or(i128::MAX, |b| edge.weights.of(b.makespan, b.makespan));
        let (pairs, least_of_others) = priced.below(self, limit);
        let bound_of_others = least_of_others.map(|least| at_least(edge.weights.time(least)));
        let pairs = pairs.into_iter();
        let mut listed: Vec<(Time, Pair)> =
            pairs.map(|(_, pair)| (Ends::new(choices, self, pair).bound(), pair)).collect();
        listed.sort_unstable();
        Pairs { listed, bound_of_others }
    }
}

/// Pairs of first and last cut.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Each with its bound, the least bound first.
    pub listed: Vec<(Time, Pair)>,
    /// No counts between any other pair give a smaller makespan than this; `None` if there is no
    /// other that may beat the best.
    pub bound_of_others: Option<Time>,
}

/// The Pareto cuts, none of whose transfers start before all device work is done: no other cut has
/// less of both device and uplink time. Their order is that of depth, also with tails that fall
/// with depth (section 5.6); each gets the least tail of all that are no deeper.
fn in_sequence(choices: &Choices) -> Vec<Taken> {
    let mut cuts = least(&anywhere(choices));
    for i in 0..cuts.len() {
        let before = i.checked_sub(1).map(|b| cuts[b].cut.tail);
        let Taken { cut, first, last, .. } = &mut cuts[i];
        *cut = Cut::in_sequence(cut.stages, before.map_or(cut.tail, |t| t.min(cut.tail)));
        (*first, *last) = (i, i);
    }
    cuts
}

/// All cuts, whose transfers have places in an order that is best for any counts.
fn in_place(choices: &Choices) -> Vec<Taken> {
    let mut cuts = anywhere(choices);
    for taken in &mut cuts {
        if let Some((first, last)) = taken.cut.places {
            (taken.first, taken.last) = (first, last);
        }
    }
    cuts
}

/// All cuts by depth but those that a job does better to keep on the device.
fn anywhere(choices: &Choices) -> Vec<Taken> {
    let all = choices.cuts.iter().enumerate();
    let kept = all.filter(|(_, cut)| choices.local.is_none_or(|local| cut.stages.device < local));
    let mut order: Vec<(Time, Time, Time, usize)> =
        kept.map(|(k, cut)| (cut.stages.device, cut.stages.uplink, cut.tail, k)).collect();
    order.sort_unstable();
    let taken =
        |(_, _, _, position)| Taken { position, cut: choices.cuts[position], first: 0, last: 0 };
    order.into_iter().map(taken).collect()
}

/// The Pareto cuts: no other has less of both device and uplink time. In all else each is taken to
/// cost as little as any cut that it stands for.
fn least(all: &[Taken]) -> Vec<Taken> {
    let mut cuts: Vec<Taken> = Vec::new();
    for &taken in all {
        match cuts.last_mut() {
            Some(Taken { cut: last, .. }) if taken.cut.stages.uplink >= last.stages.uplink => {
                last.sending = last.sending.min(taken.cut.sending);
                last.lead = last.lead.min(taken.cut.lead);
                last.trail = last.trail.min(taken.cut.trail);
                last.tail = last.tail.min(taken.cut.tail);
            }
            _ => cuts.push(taken),
        }
    }
    cuts
}

/// What the jobs at the ends cost at least: their own weighted times and the cheapest for all
/// others, at the weights of one edge.
struct Priced {
    /// For each cut as the first.
    starts: Vec<i128>,
    /// Each cut as the last, the cheapest first.
    ends: Vec<(i128, usize)>,
    /// For each cut as first and last in one job; nothing if no job sends apart.
    alone: Vec<i128>,
}

impl Priced {
    fn new(depth: &Depth, choices: &Choices, edge: &Edge) -> Priced {
        let value = |(device, uplink): (Time, Time)| edge.weights.of(device, uplink);
        let others = |ends: u64| i128::from(choices.jobs - ends) * edge.each;
        let all = 0..depth.ends.len();
        let end = |q: usize| (value(depth.at_end(q)) + others(2), q);
        let mut ends: Vec<(i128, usize)> = all.clone().map(end).collect();
        ends.sort_unstable();
        let one = |k: usize| {
            let fixed = depth.fixed(Pair { first: k, last: k, is_one_job: true });
            value(fixed) + others(1)
        };
        let alone = if depth.is_apart { all.clone().map(one).collect() } else { Vec::new() };
        Priced { starts: all.map(|p| value(depth.at_start(p))).collect(), ends, alone }
    }

    /// The pair that costs least, one that is one job left out.
    fn cheapest(&self, depth: &Depth) -> Option<Pair> {
        let starts = self.starts.iter().enumerate();
        let each = starts.filter_map(|(first, &start)| {
            let &(end, last) = self.ends.iter().find(|&&(_, last)| depth.is_pair(first, last))?;
            Some((start + end, Pair { first, last, is_one_job: false }))
        });
        each.min().map(|(_, pair)| pair)
    }

    /// Cuts at the start, at the end and as both, each with its value, that can be in a pair of value
    /// below `limit` and that no other replaces without making anything longer.
    fn needed(&self, depth: &Depth, limit: i128) -> (Valued, Valued, Valued) {
        let starts = self.starts.iter().enumerate().map(|(first, &start)| (start, first));
        let alone = self.alone.iter().enumerate().map(|(k, &value)| (value, k));
        if depth.is_ordered {
            return (starts.collect(), self.ends.clone(), alone.collect());
        }
        let cut = |k: usize| &depth.ends[k].cut;
        let least_end = self.ends.first().map_or(0, |&(end, _)| end);
        let least_start = self.starts.iter().copied().min().unwrap_or(0);
        let starts = unbeaten(starts, limit.saturating_sub(least_end), |k| {
            let Cut { stages, sending, lead, .. } = *cut(k);
            [stages.device, sending, lead + stages.uplink]
        });
        let ends = self.ends.iter().copied();
        let ends = unbeaten(ends, limit.saturating_sub(least_start), |k| {
            let Cut { stages, sending, trail, tail, .. } = *cut(k);
            [stages.device, sending + trail + tail, stages.uplink + tail]
        });
        let alone = unbeaten(alone, limit, |k| {
            let Cut { stages, sending, lead, trail, tail, .. } = *cut(k);
            [stages.device, sending + trail + tail, lead + stages.uplink + tail]
        });
        (starts, ends, alone)
    }

    /// The pairs that cost least, with what they cost, of all that cost less than `limit`; and the
    /// least cost of the others of these.
    fn below(&self, depth: &Depth, limit: i128) -> (Vec<(i128, Pair)>, Option<i128>) {
        let mut found = Cheapest { pairs: Vec::new(), limit, others: None };
        let (starts, ends, alone) = self.needed(depth, limit);
        for (start, first) in starts {
            for &(end, last) in &ends {
                if start + end >= found.limit {
                    found.leave_out(start + end, limit);
                    break;
                }
                if depth.is_pair(first, last) {
                    found.push(start + end, Pair { first, last, is_one_job: false });
                }
            }
        }
        for (value, k) in alone {
            if value < found.limit {
                found.push(value, Pair { first: k, last: k, is_one_job: true });
            } else {
                found.leave_out(value, limit);
            }
        }
        found.shrink();
        (found.pairs, found.others)
    }
}

/// Positions in [`Depth::ends`], each after its value.
type Valued = Vec<(i128, usize)>;

/// Of what is worth less than `limit`, the cheapest first, all whose times no other has at most.
fn unbeaten(
    all: impl Iterator<Item = (i128, usize)>,
    limit: i128,
    times: impl Fn(usize) -> [Time; 3],
) -> Valued {
    let mut order: Valued = all.filter(|&(value, _)| value < limit).collect();
    order.sort_unstable();
    let mut kept: Vec<[Time; 3]> = Vec::new();
    order.retain(|&(_, k)| {
        let own = times(k);
        let is_beaten = kept.iter().any(|other| other.iter().zip(own).all(|(&o, t)| o <= t));
        if !is_beaten {
            kept.push(own);
        }
        !is_beaten
    });
    order
}

/// The cheapest of the pairs that come one after the other.
struct Cheapest {
    pairs: Vec<(i128, Pair)>,
    /// What costs so much is not wanted any more.
    limit: i128,
    /// The least cost of what was wanted at first and is left out.
    others: Option<i128>,
}

impl Cheapest {
    fn push(&mut self, value: i128, pair: Pair) {
        self.pairs.push((value, pair));
        if self.pairs.len() >= 4 * PAIRS_MAX {
            self.shrink();
        }
    }

    fn leave_out(&mut self, value: i128, wanted_below: i128) {
        if value < wanted_below {
            self.others = Some(self.others.map_or(value, |others| others.min(value)));
        }
    }

    fn shrink(&mut self) {
        if self.pairs.len() <= PAIRS_MAX {
            return;
        }
        let (_, &mut (least, _), _) = self.pairs.select_nth_unstable(PAIRS_MAX);
        self.pairs.truncate(PAIRS_MAX);
        self.limit = least;
        self.others = Some(self.others.map_or(least, |others| others.min(least)));
    }
}
