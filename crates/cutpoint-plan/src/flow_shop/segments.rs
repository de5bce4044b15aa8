//! One job's parcels as composite jobs: in what order, and where may other jobs come between?
//!
//! With the cut fixed, running device work and then releasing a parcel first raises and then lowers
//! a cumulative cost: device time spent minus uplink time released. A *segment* is a run of
//! parcels that brings the cost down to a new low at the least peak. Some optimal schedule of any
//! batch runs each job's segments in this order and merges all jobs' segments by Johnson's rule on
//! (alone - uplink, alone - device).
//!
//! The states are sets of parcels with exactly the device work that they wait for; nothing is
//! gained by doing more work before a release. Cost: segments x parcels x 2^parcels.

use crate::flow_shop::johnson::Block;
use crate::units::Time;
use std::cmp::Reverse;

/// A composite job: tasks that some best order of any batch keeps together. The tasks of one job are
/// its parcels, each with the device work that it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// In their order; empty for the device work at the end.
    pub tasks: Vec<usize>,
    pub block: Block,
    /// Whether it is of the first group of Johnson's rule. Where device and uplink time are equal
    /// the times do not tell: it goes with the segments of its job beside which it was found.
    pub is_front: bool,
}

impl Segment {
    /// Whether something is sent in it.
    pub(crate) fn sends(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Where it stands in Johnson's order: the key of what remains when its own makespan is split
    /// into a lead on the device and a trail on the uplink. Equal keys keep the order of a job's
    /// segments, so nothing else may tell them apart.
    ///
    /// Paper: Thm 7, Thm 8.
    pub(crate) fn key(&self) -> (bool, Time, Reverse<Time>) {
        match self.is_front {
            true => (false, self.block.lead(), Reverse(Time::ZERO)),
            false => (true, Time::ZERO, Reverse(self.block.trail())),
        }
    }
}

/// The segments of a job, in their order. `before` is the device time that must precede each set of
/// parcels, by bit mask; `uplink` has the uplink time of each, and `device` is that of the whole job.
///
/// Paper: Thm 7.
pub(crate) fn segments(before: &[Time], uplink: &[Time], device: Time) -> Vec<Segment> {
    let mut found = match uplink.len() {
        0 => Vec::new(),
        1 => {
            let block = Block::of(before[1], uplink[0]);
            vec![Segment { tasks: vec![0], block, is_front: block.device < block.uplink }]
        }
        _ => Decomposition::new(before, uplink).run(),
    };
    let rest = device - before[(1 << uplink.len()) - 1];
    if found.is_empty() || rest > Time::ZERO {
        found.push(Segment { tasks: vec![], block: Block::of(rest, Time::ZERO), is_front: false });
    }
    found
}

struct Decomposition<'j> {
    before: &'j [Time],
    sent: &'j [Time],
    /// Signed nanoseconds: device time before each set of parcels, and uplink time of each.
    device: Vec<i128>,
    uplink: Vec<i128>,
}

impl Decomposition<'_> {
    fn new<'j>(before: &'j [Time], sent: &'j [Time]) -> Decomposition<'j> {
        let parcels = sent.len();
        let sets = 0..1usize << parcels;
        let signed = |time: Time| i128::from(time.nanoseconds());
        let uplink =
            |set: usize| (0..parcels).filter(|p| set >> p & 1 == 1).map(|p| signed(sent[p])).sum();
        let device = sets.clone().map(|set| signed(before[set])).collect();
        Decomposition { before, sent, device, uplink: sets.map(uplink).collect() }
    }

    /// Device time spent minus uplink time released once `set` has left.
    fn net(&self, set: usize) -> i128 {
        self.device[set] - self.uplink[set]
    }

    /// Forward while there is a lower net to reach, then backward from the end.
    fn run(&self) -> Vec<Segment> {
        let full = (1 << self.sent.len()) - 1;
        // The highest net while going from one set to the next.
        let forward = |from: usize, to: usize| self.device[to] - self.uplink[from];
        let backward = |from: usize, to: usize| self.device[from] - self.uplink[to];
        let (mut front, mut from) = (Vec::new(), 0);
        while let Some((to, order)) = self.next_segment(from, full, forward) {
            front.push(self.segment(from, order, true));
            from = to;
        }
        let (mut back, mut to) = (Vec::new(), full);
        while to != from {
            let (start, mut order) = self
                .next_segment(to, from, backward)
                .expect("the least net is reached, so walking back to it never raises it");
            order.reverse();
            back.push(self.segment(start, order, false));
            to = start;
        }
        front.extend(back.into_iter().rev());
        front
    }

    /// The next set to reach from `from` on the way to `limit`: no higher net than now, least peak,
    /// then least net, then largest. Backward, time is reversed: the net counted from the end.
    fn next_segment(
        &self,
        from: usize,
        limit: usize,
        peak: impl Fn(usize, usize) -> i128,
    ) -> Option<(usize, Vec<usize>)> {
        let between = from ^ limit;
        let mut peaks: Vec<Option<(i128, usize)>> = vec![None; 1 << self.sent.len()];
        let mut best: Option<(i128, i128, u32, usize)> = None;
        let start = self.net(from);
        // Subsets of `between` in increasing order, so that every set comes after its subsets.
        let mut added = 0usize;
        loop {
            added = added.wrapping_sub(between) & between;
            if added == 0 {
                break;
            }
            let set = from ^ added;
            let last = (0..self.sent.len()).filter(|p| added >> p & 1 == 1).map(|p| {
                let previous = added ^ (1 << p);
                let so_far = if previous == 0 { start } else { peaks[previous].expect("subset").0 };
                let step = peak(from ^ previous, set);
                (so_far.max(step), p)
            });
            let (peak, p) = last.min().expect("a set that is not empty has a last parcel");
            peaks[added] = Some((peak, p));
            let level = self.net(set);
            let rank = (peak, level, u32::MAX - added.count_ones(), added);
            if level <= start && best.is_none_or(|b| rank < b) {
                best = Some(rank);
            }
        }
        let (_, _, _, added) = best?;
        let mut order = Vec::new();
        let mut left = added;
        while left != 0 {
            let (_, p) = peaks[left].expect("every subset has been visited");
            order.push(p);
            left ^= 1 << p;
        }
        order.reverse();
        Some((from ^ added, order))
    }

    /// The segment of parcels that follow a set.
    fn segment(&self, mut set: usize, tasks: Vec<usize>, is_front: bool) -> Segment {
        let mut block = Block::default();
        for &p in &tasks {
            let next = set | 1 << p;
            let device = self.before[next] - self.before[set];
            block = block.then(Block::of(device, self.sent[p]));
            set = next;
        }
        Segment { tasks, block, is_front }
    }
}
