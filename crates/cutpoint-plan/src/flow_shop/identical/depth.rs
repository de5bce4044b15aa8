//! Cuts by depth, and which of them can be first and last.

use crate::flow_shop::identical::between::Between;
use crate::flow_shop::identical::between::Taken;
use crate::flow_shop::identical::choices::{Choices, Cut, Stages};
use crate::hull::pareto;
use crate::units::Time;

/// The cuts worth taking, by depth.
#[derive(Clone, Debug)]
pub(super) struct Depth {
    /// The cuts of jobs between the first and the last one on the uplink.
    pub between: Vec<Taken>,
    /// The cuts that the first and the last job may take.
    pub ends: Vec<Taken>,
    /// Everything that jobs between some ends may take.
    pub options: Between,
    /// Whether the ends restrict what may be taken between them. Then they take the same cuts;
    /// else any.
    pub is_ordered: bool,
    /// Whether one job can be both.
    pub is_apart: bool,
    /// Whether the device may still be at work when the last transfer starts.
    pub is_open: bool,
}

/// The cuts of the jobs that are first and last on the uplink, as [`Depth::ends`] numbers them.
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
        let between = if is_in_sequence {
            in_sequence(choices)
        } else if is_placed {
            in_place(choices)
        } else {
            least(choices)
        };
        let is_open =
            choices.local.is_some() || between.iter().any(|t| t.cut.sending < t.cut.stages.device);
        let is_ordered = is_in_sequence || is_placed;
        let options = Between::new(choices, between.iter().enumerate());
        let ends = if is_ordered { between.clone() } else { taken(choices).collect() };
        Depth { between, ends, options, is_ordered, is_apart: !is_in_sequence, is_open }
    }

    /// One of the cuts that the first and the last job may take.
    pub(super) fn end(&self, k: usize) -> &Cut {
        &self.ends[k].cut
    }

    /// A shallowest cut and a deepest one; `None` if there is not a cut.
    pub(super) fn widest(&self) -> Option<Pair> {
        let device = |&k: &usize| self.end(k).stages.device;
        let ends = 0..self.ends.len();
        let (first, last) = (ends.clone().min_by_key(device)?, ends.max_by_key(device)?);
        Some(Pair { first, last, is_one_job: false })
    }

    /// Whether all transfers of a cut can come between those of the ends, where these restrict that.
    pub(super) fn is_between(&self, taken: &Taken, pair: Pair) -> bool {
        let (first, _) = self.between[pair.first].cut.places.unzip();
        let (_, last) = self.between[pair.last].cut.places.unzip();
        let places = taken.cut.places.unzip();
        first <= places.0 && places.1 <= last
    }

    /// Whether one cut can be first where another one is last.
    pub(super) fn is_pair(&self, first: usize, last: usize) -> bool {
        let places = |k: usize| self.between[k].cut.places.unzip();
        !self.is_ordered || (places(first).0 <= places(last).0 && places(first).1 <= places(last).1)
    }

    /// The device time of the jobs at the ends and what follows it, and their uplink time and what
    /// precedes and follows the uplink's work.
    pub(super) fn fixed(&self, pair: Pair) -> (Time, Time) {
        let (device, uplink) = self.at_end(pair.last);
        if pair.is_one_job {
            return (device, uplink + self.end(pair.first).lead);
        }
        let (first_device, first_uplink) = self.at_start(pair.first);
        (first_device + device, first_uplink + uplink)
    }

    /// The part of the first job on the uplink in both rows.
    pub(super) fn at_start(&self, first: usize) -> (Time, Time) {
        let Cut { stages, lead, .. } = *self.end(first);
        (stages.device, lead + stages.uplink)
    }

    /// The part of the last job on the uplink in both rows.
    pub(super) fn at_end(&self, last: usize) -> (Time, Time) {
        let Cut { stages, trail, tail, .. } = *self.end(last);
        let after = if self.is_open { Time::ZERO } else { trail + tail };
        (stages.device + after, stages.uplink + tail)
    }
}

/// The Pareto cuts, none of whose transfers start before all device work is done: no other cut has
/// less of both device and uplink time. Their order is that of depth, also with tails that fall
/// with depth (section 5.6); each gets the least tail of all that are no deeper.
fn in_sequence(choices: &Choices) -> Vec<Taken> {
    let mut cuts = least(choices);
    for (i, place) in (0..cuts.len()).zip(0u32..) {
        let before = i.checked_sub(1).map(|b| cuts[b].cut.tail);
        let cut = &mut cuts[i].cut;
        *cut = Cut::in_sequence(cut.stages, before.map_or(cut.tail, |t| t.min(cut.tail)));
        cut.places = Some((place, place));
    }
    cuts
}

/// All cuts by depth, whose transfers have places in an order that is best for any counts.
fn in_place(choices: &Choices) -> Vec<Taken> {
    let mut cuts: Vec<Taken> = taken(choices).collect();
    cuts.sort_by_key(|Taken { cut, .. }| (cut.stages.device, cut.stages.uplink, cut.tail));
    cuts
}

/// All cuts but those that a job does better to keep on the device.
fn taken(choices: &Choices) -> impl Iterator<Item = Taken> + '_ {
    let is_taken = |cut: &Cut| choices.local.is_none_or(|local| cut.stages.device < local);
    let all = (0u32..).zip(&choices.cuts).filter(move |(_, cut)| is_taken(cut));
    all.map(|(position, &cut)| Taken { position, cut })
}

/// The Pareto cuts by depth: no other has less of both device and uplink time. In all else each is
/// taken to cost as little as any cut that it stands for: those that are no shallower, but
/// shallower than the next one. O(cuts log kept).
fn least(choices: &Choices) -> Vec<Taken> {
    let points = taken(choices).map(|Taken { position, cut, .. }| {
        let Cut { stages: Stages { device, uplink }, tail, .. } = cut;
        ((device, uplink, tail), position)
    });
    let mut cuts: Vec<Taken> = (pareto(points).into_iter())
        .map(|position| Taken { position, cut: choices.cuts[position as usize] })
        .collect();
    let devices: Vec<Time> = cuts.iter().map(|t| t.cut.stages.device).collect();
    for Taken { cut, .. } in taken(choices) {
        let stands = devices.partition_point(|&device| device <= cut.stages.device) - 1;
        let least = &mut cuts[stands].cut;
        least.sending = least.sending.min(cut.sending);
        least.lead = least.lead.min(cut.lead);
        least.trail = least.trail.min(cut.trail);
        least.tail = least.tail.min(cut.tail);
    }
    cuts
}
