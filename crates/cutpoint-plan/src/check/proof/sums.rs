//! Jobs are given their modes one by one; what counts of them is what their loads add up to.
//!
//! Sums that show already that no shorter plan follows are dropped. Of two sums, one that exceeds
//! the other in nothing makes that one needless. Where too many are left, sums close together are
//! replaced by the least of them, which keeps the bound valid and makes it weaker.

use crate::check::proof::class::Class;
use crate::check::proof::ends::Least;
use crate::check::proof::modes::{Loads, Mode};
use crate::check::proof::prices::{Weights, around, time_of, weighted};

/// Sums kept after each job.
const WIDTH: usize = 20_000;

/// How many sums with less device time each sum is compared with.
const COMPARED: usize = 24;

/// A question about some jobs.
pub(super) struct Question {
    /// Half the round trip.
    pub half: u64,
    pub same_tails: bool,
    /// No better bound is needed.
    pub enough: u64,
}

/// The sums over the jobs that have a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    loads: Loads,
    least: Least,
    /// The mode of the job before, of the same class: jobs alike take modes in order.
    mode: usize,
}

impl Sum {
    /// The least of both.
    fn or(&self, other: &Sum) -> Sum {
        let mut loads = self.loads;
        loads.iter_mut().zip(other.loads).for_each(|(a, b)| *a = (*a).min(b));
        Sum { loads, least: self.least.and(&other.least), mode: self.mode.min(other.mode) }
    }

    /// Whether every plan that goes on from `other` has one no longer that goes on from here.
    fn replaces(&self, other: &Sum) -> bool {
        self.mode <= other.mode
            && self.loads.iter().zip(other.loads).all(|(a, b)| *a <= b)
            && self.least.known() == other.least.known()
            && self.least.and(&other.least) == self.least
    }
}

/// The least that jobs without a mode add.
#[derive(Clone, Debug)]
struct Rest {
    /// For each of the weights.
    weighted: Vec<u128>,
    least: Least,
}

/// A bound on all plans in which every job takes one of its modes and some job uses the server, at
/// most `enough`; 0 where it would take too many steps.
pub(super) fn bound(
    classes: &[Class<'_>],
    best: &Weights,
    question: &Question,
    steps: &mut u64,
) -> u64 {
    let machines: Vec<usize> = (0..4)
        .filter(|&m| classes.iter().any(|c| c.modes.iter().any(|mode| mode.loads[m] > 0)))
        .collect();
    let mut classes = classes.to_vec();
    let largest = |m: &&Mode| m.loads[0].max(m.loads[1]);
    classes.sort_by_key(|c| std::cmp::Reverse(c.modes.iter().map(largest).max()));
    let weights = around(best, &machines);
    let rests = rests(&classes, &weights, question);
    let mut sums = vec![Sum { loads: [0; 4], least: Least::NONE, mode: 0 }];
    for (class, (from, after)) in classes.iter().zip(&rests) {
        let pieces: Vec<Least> =
            class.modes.iter().map(|m| Least::of(m, question.same_tails)).collect();
        for left in (0..class.count).rev() {
            let more: u64 = sums.iter().map(|s| (class.modes.len() - s.mode) as u64).sum();
            let Some(fewer) = steps.checked_sub(more) else { return 0 };
            *steps = fewer;
            let mut next = Vec::new();
            for sum in &sums {
                for mode in sum.mode..class.modes.len() {
                    let mut loads = sum.loads;
                    let added = class.modes[mode].loads;
                    loads.iter_mut().zip(added).for_each(|(sum, load)| *sum += load);
                    let sum = Sum { loads, least: sum.least.and(&pieces[mode]), mode };
                    if at_least(&sum, &from[mode], left, after, &weights, question)
                        < question.enough
                    {
                        next.push(sum);
                    }
                }
            }
            sums = narrow(next, question.enough);
        }
        sums.iter_mut().for_each(|sum| sum.mode = 0);
        sums = narrow(sums, question.enough);
    }
    let end = |sum: &Sum| {
        if sum.least.lead == u64::MAX {
            return question.enough;
        }
        let idle = sum.least.idle(question.half);
        sum.loads.iter().zip(idle).map(|(load, idle)| load + idle).max().unwrap_or(0)
    };
    sums.iter().map(end).min().unwrap_or(question.enough).min(question.enough)
}

/// For each class: what one job adds at least that takes a mode or one after it; and what all jobs
/// of later classes add.
fn rests(
    classes: &[Class<'_>],
    weights: &[Weights],
    question: &Question,
) -> Vec<(Vec<Rest>, Rest)> {
    let mut after = Rest { weighted: vec![0; weights.len()], least: Least::NONE };
    let mut all = Vec::with_capacity(classes.len());
    for class in classes.iter().rev() {
        let mut from: Vec<Rest> = Vec::with_capacity(class.modes.len());
        for mode in class.modes.iter().rev() {
            let mut rest = Rest {
                weighted: weights.iter().map(|w| weighted(w, &mode.loads)).collect(),
                least: Least::of(mode, question.same_tails),
            };
            if let Some(later) = from.last() {
                rest.weighted.iter_mut().zip(&later.weighted).for_each(|(a, b)| *a = (*a).min(*b));
                rest.least = rest.least.and(&later.least);
            }
            from.push(rest);
        }
        from.reverse();
        let mut before = after.clone();
        if let Some(any) = from.first() {
            let sums = before.weighted.iter_mut().zip(&any.weighted);
            sums.for_each(|(sum, one)| *sum += one * u128::from(class.count));
            before.least = before.least.and(&any.least);
        }
        all.push((from, after));
        after = before;
    }
    all.reverse();
    all
}

/// No plan that begins with this sum, goes on with `left` jobs of the same class and then with all
/// later classes, and uses the server, is shorter.
fn at_least(
    sum: &Sum,
    from: &Rest,
    left: u64,
    after: &Rest,
    weights: &[Weights],
    question: &Question,
) -> u64 {
    let others = if left > 0 { after.least.and(&from.least) } else { after.least };
    let idle = sum.least.with_any(&others).idle(question.half);
    let mut loads = sum.loads;
    loads.iter_mut().zip(idle).for_each(|(load, idle)| *load += idle);
    let mut most = 0;
    for (w, weights) in weights.iter().enumerate() {
        let rest = from.weighted[w] * u128::from(left) + after.weighted[w];
        most = most.max(time_of(weighted(weights, &loads) + rest, weights));
        if most >= question.enough {
            break;
        }
    }
    most
}

/// The sums that are needed; at most [`WIDTH`], some of them the least of several.
fn narrow(mut sums: Vec<Sum>, enough: u64) -> Vec<Sum> {
    sums.sort_unstable_by_key(|s| (s.loads, s.mode));
    let mut kept: Vec<Sum> = Vec::with_capacity(sums.len());
    for sum in sums {
        if !kept.iter().rev().take(COMPARED).any(|k| k.replaces(&sum)) {
            kept.push(sum);
        }
    }
    let mut size = (enough >> 24).max(1);
    while kept.len() > WIDTH {
        let is_coarse = size > enough / 8;
        let cell = |s: &Sum| {
            let mode = if is_coarse { 0 } else { s.mode };
            (mode, s.least.known(), s.loads.map(|load| load / size))
        };
        kept.sort_unstable_by_key(cell);
        let mut joined: Vec<Sum> = Vec::with_capacity(kept.len());
        for sum in &kept {
            match joined.last_mut() {
                Some(last) if cell(last) == cell(sum) => *last = last.or(sum),
                _ => joined.push(*sum),
            }
        }
        kept = joined;
        size = size.saturating_mul(2);
    }
    kept
}
