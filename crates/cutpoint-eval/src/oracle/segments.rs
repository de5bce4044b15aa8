//! The segments of a cut: runs of a job's steps between which other jobs may come.
//!
//! Count what the device has worked less what it has set free for the uplink: the *net*. Working a
//! step raises it by the step's device time (the *peak* of the step), then it falls by its uplink
//! time. From the present set of steps, the next segment leads to a set with no higher net, over
//! the least peak; then to the least net, then to the largest set. Where the net cannot fall any
//! more, the same is done from the end, with time running backwards.
//!
//! Paper: Thm 7.

use super::cuts::Cut;
use super::segment::{Part, Segment};

/// The segments of a cut in the order in which they run.
pub(super) fn segments(cut: &Cut) -> Vec<Segment> {
    let graph = Graph::new(cut);
    let all = (1usize << cut.steps.len()) - 1;
    let mut first = Vec::new();
    let mut from = 0;
    while let Some((to, peak)) = graph.next_segment(from, all, Way::Onward) {
        first.push(graph.segment(from, to, peak - graph.net[from], Part::First));
        from = to;
    }
    let mut last = Vec::new();
    let mut to = all;
    while to != from {
        let (start, peak) = graph
            .next_segment(to, from, Way::Back)
            .expect("the least net is reached, so going back to it never raises it");
        last.push(graph.segment(start, to, peak - graph.net[start], Part::Last));
        to = start;
    }
    last.reverse();
    first.extend(last);
    assert!(
        first.is_sorted_by_key(Segment::key),
        "segments of a job in Johnson's order: {first:?}"
    );
    first
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Onward,
    Back,
}

/// Sets of steps as bits; what each has cost.
struct Graph<'c> {
    cut: &'c Cut,
    /// Whether each set has, with a step, those that come before.
    is_closed: Vec<bool>,
    /// Device time of each set, less its uplink time.
    net: Vec<i64>,
}

impl<'c> Graph<'c> {
    fn new(cut: &'c Cut) -> Graph<'c> {
        let sets = 0..1usize << cut.steps.len();
        let members =
            |set: usize| cut.steps.iter().enumerate().filter(move |(s, _)| set >> s & 1 == 1);
        let is_closed = sets
            .clone()
            .map(|set| members(set).all(|(_, step)| step.after.iter().all(|a| set >> a & 1 == 1)));
        let net = sets
            .clone()
            .map(|set| members(set).map(|(_, s)| signed(s.device) - signed(s.uplink)).sum::<i64>());
        Graph { cut, is_closed: is_closed.collect(), net: net.collect() }
    }

    /// The next set on the way from `from` to `limit`, and the peak on the way there.
    fn next_segment(&self, from: usize, limit: usize, way: Way) -> Option<(usize, i64)> {
        let between = from ^ limit;
        let mut peaks: Vec<Option<i64>> = vec![None; self.net.len()];
        let mut best = None;
        // Sets of steps on the way in increasing order, so that each comes after its subsets.
        for moved in (0..self.net.len()).filter(|moved| moved & !between == 0) {
            let set = from ^ moved;
            if moved == 0 {
                peaks[0] = Some(self.net[from]);
                continue;
            }
            if !self.is_closed[set] {
                continue;
            }
            let ways = (0..self.cut.steps.len()).filter(|s| moved >> s & 1 == 1).filter_map(|s| {
                let so_far = peaks[moved ^ 1 << s]?;
                let before = if way == Way::Onward { set ^ 1 << s } else { set };
                Some(so_far.max(self.net[before] + signed(self.cut.steps[s].device)))
            });
            let Some(peak) = ways.min() else { continue };
            peaks[moved] = Some(peak);
            let rank = (peak, self.net[set], std::cmp::Reverse(moved.count_ones()), set);
            if self.net[set] <= self.net[from] && best.is_none_or(|b| rank < b) {
                best = Some(rank);
            }
        }
        best.map(|(peak, _, _, set)| (set, peak))
    }

    fn segment(&self, from: usize, to: usize, peak: i64, part: Part) -> Segment {
        let members = self.cut.steps.iter().enumerate().filter(|(s, _)| (from ^ to) >> s & 1 == 1);
        let (device, uplink) =
            members.fold((0, 0), |(f, g), (_, step)| (f + step.device, g + step.uplink));
        // The makespan is all uplink time plus the peak.
        let alone = uplink + u64::try_from(peak).expect("a peak is not below its start");
        Segment { device, uplink, alone, part }
    }
}

fn signed(time: u64) -> i64 {
    i64::try_from(time).expect("times of a workload stay far below 2^63")
}
