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
use crate::flow_shop::johnson::segment_key;
use crate::flow_shop::segments::Segment;
use crate::problem::{Loads, Mode, Problem};
use crate::units::Time;

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
        let mut slots: Vec<(usize, &Mode, &Segment)> = Vec::new();
        for (place, (_, mode)) in problem.all_modes().enumerate() {
            slots.extend(mode.sending_segments().map(|s| (place, mode, s)));
        }
        slots.sort_by_key(|(place, _, segment)| (segment_key(segment), *place));
        let classes: Vec<usize> = problem.all_modes().map(|(class, _)| class).collect();
        let mut found: Vec<Option<Placed>> = (0..classes.len()).map(|_| None).collect();
        for (at, (place, mode, segment)) in slots.into_iter().enumerate() {
            let nanoseconds = |t: Time| u128::from(t.nanoseconds());
            let placed = found[place].get_or_insert_with(|| Placed {
                class: classes[place],
                first: at,
                last: at,
                device: nanoseconds(mode.device),
                uplink: nanoseconds(mode.uplink),
                lead: nanoseconds(segment.alone - segment.uplink),
                trail: 0,
                ends_sending: mode.rest() == Time::ZERO,
            });
            placed.last = at;
            placed.trail = nanoseconds(segment.alone - segment.device);
        }
        let mut modes: Vec<Placed> = found.into_iter().flatten().collect();
        modes.sort_by_key(|m| m.first);
        let local = |c: &crate::problem::Class<'_>| {
            c.local().map(|l| u128::from(c.modes[l].device.nanoseconds()))
        };
        Order {
            counts: problem.classes.iter().map(|c| u128::from(c.count())).collect(),
            local: problem.classes.iter().map(local).collect(),
            modes,
            tail: u128::from((problem.half + problem.half).nanoseconds()),
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
            let with_first = |sum: &Sum<'_>| {
                sum.total().map(|t| t + head + weight(first) - sum.least[first.class])
            };
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
            is_started |= std::ptr::eq(last, start);
            let Some(total) = sum.total().filter(|_| is_started) else { continue };
            let mut extra = weight(start) - sum.least[start.class];
            if !std::ptr::eq(last, start) {
                if last.class == start.class && self.counts[last.class] == 1 {
                    continue;
                }
                extra += weight(last) - sum.least[last.class];
            }
            best = best.min(total + head + device * (last.trail + self.tail) + extra);
        }
        best
    }
}

/// For each class its least weight so far, and the sum over all jobs.
struct Sum<'o> {
    counts: &'o [u128],
    least: Vec<u128>,
    sum: u128,
    missing: usize,
}

impl<'o> Sum<'o> {
    fn new(counts: &'o [u128]) -> Sum<'o> {
        Sum { counts, least: vec![u128::MAX; counts.len()], sum: 0, missing: counts.len() }
    }

    fn offer(&mut self, class: usize, weight: u128) {
        let least = &mut self.least[class];
        if *least == u128::MAX {
            self.missing -= 1;
            self.sum += self.counts[class] * weight;
            *least = weight;
        } else if weight < *least {
            self.sum -= self.counts[class] * (*least - weight);
            *least = weight;
        }
    }

    /// `None` if some class has nothing to take.
    fn total(&self) -> Option<u128> {
        (self.missing == 0).then_some(self.sum)
    }
}
