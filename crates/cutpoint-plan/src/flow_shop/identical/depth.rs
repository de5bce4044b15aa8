//! Cuts by depth, and which of them can be first and last.

use super::ends::Ends;
use super::search::Search;
use super::{Choices, Cut};
use crate::units::Time;

/// The Pareto cuts that send something, by depth: no other has less of both device and uplink
/// time.
#[derive(Clone, Debug)]
pub(super) struct Depth {
    /// Their positions in [`Choices::cuts`].
    pub positions: Vec<usize>,
    /// What they are taken to cost: in all else than device and uplink time, as little as any cut
    /// that they stand for.
    pub cuts: Vec<Cut>,
    /// Whether some best order is that of depth, so that all cuts lie between first and last.
    pub is_ordered: bool,
    /// Whether the device may still be at work when the last transfer starts.
    pub is_open: bool,
}

/// Positions in [`Depth::cuts`] of the cuts of the jobs that are first and last on the uplink.
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
        let mut all: Vec<usize> = (0..choices.cuts.len()).collect();
        all.sort_by_key(|&k| {
            let Cut { stages, tail, .. } = choices.cuts[k];
            (stages.device, stages.uplink, tail)
        });
        let mut positions: Vec<usize> = Vec::new();
        let mut cuts: Vec<Cut> = Vec::new();
        for k in all {
            let cut = choices.cuts[k];
            match cuts.last_mut() {
                Some(last) if cut.stages.uplink >= last.stages.uplink => {
                    last.sending = last.sending.min(cut.sending);
                    last.lead = last.lead.min(cut.lead);
                    last.trail = last.trail.min(cut.trail);
                    last.tail = last.tail.min(cut.tail);
                }
                _ if choices.local.is_some_and(|local| cut.stages.device >= local) => {}
                _ => {
                    positions.push(k);
                    cuts.push(cut);
                }
            }
        }
        let is_ordered = choices.cuts.iter().all(Cut::is_in_sequence);
        if is_ordered {
            // Merging took leads and trails from deeper cuts; in sequence they never count.
            for cut in &mut cuts {
                *cut = Cut::in_sequence(cut.stages, cut.tail);
            }
            // With tails that fall with depth, the order of depth is best (section 5.6).
            for i in 1..cuts.len() {
                cuts[i].tail = cuts[i].tail.min(cuts[i - 1].tail);
            }
        }
        let is_open = choices.local.is_some() || cuts.iter().any(|c| c.sending < c.stages.device);
        Depth { positions, cuts, is_ordered, is_open }
    }

    /// The device time of the jobs at the ends and what follows it, and their uplink time and what
    /// precedes and follows the uplink's work.
    pub(super) fn fixed(&self, pair: Pair) -> (Time, Time) {
        let (first, last) = (&self.cuts[pair.first], &self.cuts[pair.last]);
        let (mut device, mut uplink) = (last.stages.device, last.stages.uplink);
        if !pair.is_one_job {
            device += first.stages.device;
            uplink += first.stages.uplink;
        }
        let after = if self.is_open { Time::ZERO } else { last.trail + last.tail };
        (device + after, first.lead + uplink + last.tail)
    }

    /// Pairs of first and last cut that may beat the best found so far, each with its bound.
    pub(super) fn pairs(&self, choices: &Choices, search: &mut Search<'_>) -> Vec<(Time, Pair)> {
        let deepest = self.cuts.len() - 1;
        let pair = |first: usize, last: usize, is_one_job: bool| Pair { first, last, is_one_job };
        let widest = Ends::new(choices, self, pair(0, deepest, false));
        let edge = widest.edge();
        let each = widest.weighted(edge.low, edge.weights);
        // What a pair costs at least: its own weighted times and the cheapest for all others.
        let value = |pair: Pair| {
            let (device, uplink) = self.fixed(pair);
            edge.weights.of(device, uplink) + i128::from(choices.jobs - pair.jobs()) * each
        };
        let from = |first: usize| if self.is_ordered { first } else { 0 };
        let two = (0..=deepest).flat_map(|p| (from(p)..=deepest).map(move |q| pair(p, q, false)));
        // One job can be first and last on the uplink only if it sends apart.
        let alone = if self.is_ordered { 0..0 } else { 0..deepest + 1 };
        let one = alone.map(|k| pair(k, k, true));
        let mut priced: Vec<(i128, Pair)> = two.chain(one).map(|p| (value(p), p)).collect();
        let Some(&(_, cheapest)) = priced.iter().min() else { return Vec::new() };
        search.between(&Ends::new(choices, self, cheapest));
        let best = search.best.as_ref();
        let limit = best.map_or(i128::MAX, |b| edge.weights.of(b.makespan, b.makespan));
        priced.retain(|&(value, _)| value < limit);
        let bounded =
            priced.into_iter().map(|(_, pair)| (Ends::new(choices, self, pair).bound(), pair));
        bounded.collect()
    }
}
