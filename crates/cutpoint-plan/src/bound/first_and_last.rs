//! A sharper bound for two machines: the first and the last segment are known.
//!
//! In Johnson's order of the chosen segments, the uplink waits for the first segment's lead, and
//! the device's end is followed by the last segment's trail. If p is first and q is last, every
//! job takes a mode whose segments lie between them. For each pair the load bound with these terms
//! is valid; the least over all pairs bounds every plan that sends something. The ends matter less
//! the more jobs there are, so beyond a number of jobs nothing is looked for.
//!
//! Paper: LB2.

use crate::bound::loads::{LoadBound, PARTS};
use crate::problem::{Class, Loads, Problem};
use crate::units::Time;
use std::collections::BTreeMap;

/// With more jobs than this, the ends are left out of account.
const JOBS_MAX: usize = 2_000;

/// With more modes than this, the last segment is not told apart.
const PAIRED_MAX: usize = 100;

/// A mode that sends something, by the places of its segments in Johnson's order.
struct Placed {
    class: usize,
    /// Of its first and its last segment.
    first: usize,
    last: usize,
    device: u128,
    uplink: u128,
    lead: u128,
    trail: u128,
    /// Whether no device work is left when its last parcel is sent.
    ends_sending: bool,
}

/// All modes of a two-machine problem in Johnson's order.
struct Order {
    counts: Vec<u128>,
    /// By the place of their first segments.
    modes: Vec<Placed>,
    /// For each class, the device time of a job that sends nothing.
    local: Vec<Option<u128>>,
    tail: u128,
}

/// A lower bound on every plan that sends something, from prices near those of `bound`.
pub(super) fn bound_by_ends(problem: &Problem<'_>, bound: &LoadBound) -> Time {
    if problem.jobs() > JOBS_MAX {
        return Time::ZERO;
    }
    let order = Order::new(problem);
    if order.modes.is_empty() {
        return Time::ZERO;
    }
    let total = bound.prices[0] + bound.prices[1];
    let mut device = match total {
        0 => PARTS / 2,
        _ => u64::try_from(u128::from(PARTS) * u128::from(bound.prices[0]) / u128::from(total))
            .unwrap_or(PARTS / 2),
    };
    let value = |device: u64| order.value([device, PARTS - device, 0, 0]);
    let mut best = value(device);
    let mut step = PARTS / 8;
    while step > PARTS / 1024 {
        let mut is_better = false;
        for next in [device.saturating_sub(step), (device + step).min(PARTS)] {
            let found = value(next);
            if found > best {
                (best, device, is_better) = (found, next, true);
            }
        }
        if !is_better {
            step /= 2;
        }
    }
    LoadBound::time_of(best)
}

impl Order {
    fn new(problem: &Problem<'_>) -> Order {
        let nanoseconds = |t: Time| u128::from(t.nanoseconds());
        let mut found = BTreeMap::new();
        for (at, (class, m, s)) in problem.segments_in_order().into_iter().enumerate() {
            let mode = &problem.classes[class].modes[m];
            let segment = &mode.segments[s];
            let placed = found.entry((class, m)).or_insert_with(|| Placed {
                class,
                first: at,
                last: at,
                device: nanoseconds(mode.device),
                uplink: nanoseconds(mode.uplink),
                lead: nanoseconds(segment.block.lead()),
                trail: 0,
                ends_sending: mode.rest() == Time::ZERO,
            });
            placed.last = at;
            placed.trail = nanoseconds(segment.block.trail());
        }
        let mut modes: Vec<Placed> = found.into_values().collect();
        modes.sort_by_key(|m| m.first);
        let local = |c: &Class<'_>| c.local().map(|l| nanoseconds(c.modes[l].device));
        Order {
            counts: problem.classes.iter().map(|c| u128::from(c.count())).collect(),
            local: problem.classes.iter().map(local).collect(),
            modes,
            tail: nanoseconds(problem.half + problem.half),
        }
    }

    /// The least weighted load of any pair of ends.
    fn value(&self, prices: Loads) -> u128 {
        let [device, uplink] = [u128::from(prices[0]), u128::from(prices[1])];
        let weight = |m: &Placed| device * m.device + uplink * m.uplink;
        // Jobs that send nothing, or work left at the end, leave the last segment open.
        let mut open = Sum::new(&self.counts);
        let mut sending = Sum::new(&self.counts);
        for (c, local) in self.local.iter().enumerate() {
            local.iter().for_each(|l| open.offer(c, device * l));
        }
        let least_trail = self.modes.iter().filter(|m| m.ends_sending).map(|m| m.trail).min();
        let is_paired = self.modes.len() <= PAIRED_MAX;
        let mut best = u128::MAX;
        for (i, first) in self.modes.iter().enumerate().rev() {
            open.offer(first.class, weight(first));
            let head = uplink * (first.lead + self.tail);
            let with_first =
                |sum: &Sum<'_>| sum.total_with(first.class, weight(first)).map(|t| t + head);
            best = best.min(with_first(&open).unwrap_or(u128::MAX));
            if !first.ends_sending {
                continue;
            }
            if is_paired {
                best = best.min(self.with_last(i, head, &weight, device));
            } else {
                sending.offer(first.class, weight(first));
                let trail = device * (least_trail.unwrap_or(0) + self.tail);
                best = best.min(with_first(&sending).map_or(u128::MAX, |t| t + trail));
            }
        }
        if best == u128::MAX { 0 } else { best }
    }

    /// The least weighted load with a given first mode, if the last segment sends something.
    fn with_last(
        &self,
        first: usize,
        head: u128,
        weight: &impl Fn(&Placed) -> u128,
        device: u128,
    ) -> u128 {
        let start = &self.modes[first];
        let mut ends: Vec<&Placed> =
            self.modes[first..].iter().filter(|m| m.ends_sending).collect();
        ends.sort_by_key(|m| m.last);
        let mut sum = Sum::new(&self.counts);
        let mut best = u128::MAX;
        let mut is_started = false;
        for last in ends {
            sum.offer(last.class, weight(last));
            let is_both = std::ptr::eq(last, start);
            is_started |= is_both;
            let is_pair = is_both || last.class != start.class || self.counts[last.class] > 1;
            if is_started
                && is_pair
                && let Some(total) = sum.total_with(start.class, weight(start))
            {
                let extra = if is_both { 0 } else { sum.more(last.class, weight(last)) };
                best = best.min(total + head + device * (last.trail + self.tail) + extra);
            }
        }
        best
    }
}

/// For each class its least weight so far.
struct Sum<'o> {
    counts: &'o [u128],
    least: Vec<Option<u128>>,
}

impl<'o> Sum<'o> {
    fn new(counts: &'o [u128]) -> Sum<'o> {
        Sum { counts, least: vec![None; counts.len()] }
    }

    fn offer(&mut self, class: usize, weight: u128) {
        let least = &mut self.least[class];
        *least = Some(least.map_or(weight, |least| least.min(weight)));
    }

    /// All jobs in the lightest modes, but one of a class with the given weight; `None` if some
    /// class has nothing to take.
    fn total_with(&self, class: usize, weight: u128) -> Option<u128> {
        let jobs =
            self.counts.iter().zip(&self.least).map(|(count, least)| Some(count * (*least)?));
        Some(jobs.sum::<Option<u128>>()? + self.more(class, weight))
    }

    /// How much a weight exceeds the least of its class, which has one.
    fn more(&self, class: usize, weight: u128) -> u128 {
        weight - self.least[class].unwrap_or(weight)
    }
}
