//! Each machine's unavoidable idle time before its first and after its last work.
//!
//! On device and uplink alone, Johnson's order is best for jobs of two operations. So the uplink
//! waits for the lead of its first job: the shortest of those leads that are shorter than their
//! job's uplink time, if there are any. Read backwards in time, the same holds for the trail after
//! the last device work.

use crate::check::proof::class::Class;
use crate::check::proof::modes::{Loads, Mode};
use crate::check::proof::prices::{Weights, weighted};

/// The least of what some jobs have before and after each machine's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Least {
    /// Leads of jobs that can be first in Johnson's order.
    pub head: u64,
    /// Leads of all jobs that use the server.
    pub lead: u64,
    pub tail: u64,
    /// After the device work of jobs that can be last in Johnson's order.
    pub last: u64,
    /// After the device work of all jobs that have any.
    pub end: u64,
    pub arrival: u64,
    pub back: u64,
    pub made: u64,
}

impl Least {
    /// Of no job.
    pub(super) const NONE: Least = {
        let none = u64::MAX;
        Least {
            head: none,
            lead: none,
            tail: none,
            last: none,
            end: none,
            arrival: none,
            back: none,
            made: none,
        }
    };

    pub(super) fn of(mode: &Mode, same_tails: bool) -> Least {
        let mut least = Least::NONE;
        if let Some(lead) = mode.lead {
            least.head = head(mode).unwrap_or(u64::MAX);
            least.lead = lead;
            least.tail = mode.tail;
            least.arrival = mode.arrival;
            least.back = mode.back;
            if mode.loads[3] > 0 {
                least.made = mode.made;
            }
        }
        if mode.loads[0] > 0 {
            least.last = last(mode, same_tails).unwrap_or(u64::MAX);
            least.end = mode.end;
        }
        least
    }

    /// Of both.
    pub(super) fn and(&self, other: &Least) -> Least {
        Least {
            head: self.head.min(other.head),
            lead: self.lead.min(other.lead),
            tail: self.tail.min(other.tail),
            last: self.last.min(other.last),
            end: self.end.min(other.end),
            arrival: self.arrival.min(other.arrival),
            back: self.back.min(other.back),
            made: self.made.min(other.made),
        }
    }

    /// Of which of these there is some job: sums that differ in it cannot stand for each other.
    pub(super) fn known(&self) -> [bool; 5] {
        [self.head, self.lead, self.last, self.end, self.made].map(|time| time < u64::MAX)
    }

    /// What these jobs have, whichever of `others` join them.
    pub(super) fn with_any(&self, others: &Least) -> Least {
        let mut both = self.and(others);
        if self.head == u64::MAX {
            both.head = both.lead;
        }
        // Others need neither work on the device nor download anything.
        if self.last == u64::MAX {
            both.last = both.end;
        }
        if self.end == u64::MAX {
            (both.last, both.end) = (u64::MAX, u64::MAX);
        }
        if self.made == u64::MAX {
            both.made = u64::MAX;
        }
        both
    }

    /// Each machine's unavoidable idle time, if the server is used at all.
    pub(super) fn idle(&self, half: u64) -> Loads {
        let or_none = |time: u64| if time == u64::MAX { 0 } else { time };
        let head = if self.head == u64::MAX { self.lead } else { self.head };
        let last = if self.last == u64::MAX { self.end } else { self.last };
        [
            or_none(last),
            or_none(head) + or_none(self.tail),
            or_none(self.arrival) + or_none(self.back),
            if self.made == u64::MAX { 0 } else { self.made + half },
        ]
    }
}

/// The lead of a job that can be the first in Johnson's order.
fn head(mode: &Mode) -> Option<u64> {
    mode.lead.filter(|&lead| lead < mode.loads[1])
}

/// What follows the device work of a job that can be the last in Johnson's order; of any job, where
/// what follows the transfers differs.
fn last(mode: &Mode, same_tails: bool) -> Option<u64> {
    let device = mode.loads[0];
    (device > 0 && (!same_tails || device >= mode.trail)).then_some(mode.end)
}

/// Plans by the smallest head and the smallest last of all jobs: both from a range of values, or
/// from no job at all.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    head: Option<(u64, u64)>,
    last: Option<(u64, u64)>,
}

impl Ends {
    /// The least of what jobs have in every plan of the case that uses the server.
    pub(super) fn least(&self, classes: &[Class<'_>], same_tails: bool) -> Least {
        let mut least = Least::NONE;
        let all = || classes.iter().flat_map(|c| &c.modes);
        all().for_each(|mode| least = least.and(&Least::of(mode, same_tails)));
        let works = |class: &Class<'_>| class.modes.iter().all(|m| m.loads[0] > 0);
        if self.last.is_none() && !classes.iter().any(works) {
            least.end = u64::MAX;
        }
        if all().any(|m| m.lead.is_some() && m.loads[3] == 0) {
            least.made = u64::MAX;
        }
        least
    }

    /// Whether a job of such a plan may take a mode.
    pub(super) fn allows(&self, mode: &Mode, same_tails: bool) -> bool {
        let is_after = |value: Option<u64>, range: Option<(u64, u64)>| match (value, range) {
            (Some(value), Some((least, _))) => value >= least,
            (Some(_), None) => false,
            (None, _) => true,
        };
        is_after(head(mode), self.head) && is_after(last(mode, same_tails), self.last)
    }

    /// What the weighted loads are more at least because some job has each of the ends.
    pub(super) fn extra(&self, classes: &[Class<'_>], weights: &Weights, same_tails: bool) -> u128 {
        let is_in = |value: Option<u64>, range: (u64, u64)| {
            value.is_some_and(|v| range.0 <= v && v <= range.1)
        };
        let [mut first, mut ending, mut both] = [u128::MAX; 3];
        for class in classes {
            let weights: Vec<u128> =
                class.modes.iter().map(|m| weighted(weights, &m.loads)).collect();
            let least = weights.iter().copied().min().unwrap_or(0);
            for (mode, weight) in class.modes.iter().zip(weights) {
                let more = weight - least;
                let is_first = self.head.is_none_or(|range| is_in(head(mode), range));
                let is_last = self.last.is_none_or(|range| is_in(last(mode, same_tails), range));
                first = first.min(if is_first { more } else { u128::MAX });
                ending = ending.min(if is_last { more } else { u128::MAX });
                both = both.min(if is_first && is_last { more } else { u128::MAX });
            }
        }
        let extra = both.min(first.saturating_add(ending));
        // A case without such jobs has no plans; it weighs more than any.
        if extra == u128::MAX { u128::MAX / 4 } else { extra }
    }
}

/// Cases that together hold every plan, at most `most` in each direction.
pub(super) fn cases<'m>(
    modes: impl Iterator<Item = &'m Mode> + Clone,
    same_tails: bool,
    most: usize,
) -> Vec<Ends> {
    let heads = ranges(modes.clone().filter_map(head).collect(), most);
    let lasts = ranges(modes.filter_map(|m| last(m, same_tails)).collect(), most);
    let all = heads.iter().flat_map(|&head| lasts.iter().map(move |&last| Ends { head, last }));
    all.collect()
}

/// All values in ranges, as few in each as `most` ranges allow; and none.
fn ranges(mut values: Vec<u64>, most: usize) -> Vec<Option<(u64, u64)>> {
    values.sort_unstable();
    values.dedup();
    let each = values.len().div_ceil(most).max(1);
    let ranges = values.chunks(each).map(|c| Some((c[0], c[c.len() - 1])));
    ranges.chain([None]).collect()
}
