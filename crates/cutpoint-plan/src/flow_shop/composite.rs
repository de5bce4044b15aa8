//! Tasks under a series-parallel order as composite jobs: in what order, and where may others come
//! between?
//!
//! Tasks are device work (no uplink time) and transfers (no device time), or blocks of both. An
//! order is series-parallel if it is a single task, or parts side by side, or parts one after the
//! other, of the same kind; chains, trees and forests are. Parts side by side are merged by
//! Johnson's rule on their composite jobs. Parts one after the other are joined; where that breaks
//! Johnson's rule, the two neighbours become one composite job, since some best order of any batch
//! keeps them together. What is left follows Johnson's rule, and any batch merged by it is optimal.
//!
//! Unlike `segments`, this costs no more for many transfers than for few; other orders have no such
//! composite jobs.
//!
//! Paper: Monma, Sidney. Source: Monma and Sidney, Math. OR 4(3), 1979, doi:10.1287/moor.4.3.215.

use crate::flow_shop::johnson::Block;
use crate::flow_shop::segments::Segment;

impl Segment {
    fn of(task: usize, block: Block) -> Segment {
        Segment { tasks: vec![task], block, is_front: block.device <= block.uplink }
    }

    fn then(mut self, next: Segment) -> Segment {
        self.tasks.extend(next.tasks);
        let block = self.block.then(next.block);
        Segment { tasks: self.tasks, block, is_front: block.device <= block.uplink }
    }

    /// Takes the group in which it can follow `before`; returns whether there is one.
    fn follow(&mut self, before: &Segment) -> bool {
        if before.key() <= self.key() {
            return true;
        }
        let other = Segment { is_front: !self.is_front, ..self.clone() };
        let is_free = self.block.device == self.block.uplink;
        let fits = is_free && before.key() <= other.key();
        if fits {
            *self = other;
        }
        fits
    }
}

/// The composite jobs of tasks, in their order; `None` if the order is not series-parallel.
/// `is_before[a][b]`: whether task a must precede task b, directly or not. O(tasks^3).
pub(crate) fn composites(tasks: &[Block], is_before: &[Vec<bool>]) -> Option<Vec<Segment>> {
    let order = Order { tasks, is_before };
    order.of((0..tasks.len()).collect())
}

struct Order<'t> {
    tasks: &'t [Block],
    is_before: &'t [Vec<bool>],
}

impl Order<'_> {
    fn of(&self, part: Vec<usize>) -> Option<Vec<Segment>> {
        if let [] | [_] = part[..] {
            return Some(part.iter().map(|&t| Segment::of(t, self.tasks[t])).collect());
        }
        let is_ordered = |a: usize, b: usize| self.is_before[a][b] || self.is_before[b][a];
        let beside = components(&part, is_ordered);
        if beside.len() > 1 {
            let mut all = Vec::with_capacity(part.len());
            for part in beside {
                all.extend(self.of(part)?);
            }
            all.sort_by_key(Segment::key);
            return Some(all);
        }
        let mut behind = components(&part, |a, b| !is_ordered(a, b));
        if behind.len() == 1 {
            return None;
        }
        // Each task of a part precedes each of the next, so one of each tells their order.
        behind.sort_by_key(|p| {
            part.iter().filter(|&&t| self.is_before[t][p[0]] && !p.contains(&t)).count()
        });
        let mut all: Vec<Segment> = Vec::with_capacity(part.len());
        for part in behind {
            self.of(part)?.into_iter().for_each(|next| push(&mut all, next));
        }
        Some(all)
    }
}

/// Adds what must come last, joined with its neighbours where it cannot follow them.
fn push(all: &mut Vec<Segment>, mut next: Segment) {
    while let Some(last) = all.pop() {
        if next.follow(&last) {
            all.push(last);
            break;
        }
        // The neighbour may be free to stand in the first group itself.
        let mut last = last;
        if last.block.device == last.block.uplink && !last.is_front {
            last.is_front = true;
            let is_placed = all.last().is_none_or(|before| before.key() <= last.key());
            if is_placed && next.follow(&last) {
                all.push(last);
                break;
            }
        }
        next = last.then(next);
    }
    all.push(next);
}

/// The parts of a set that `is_joined` joins, each in the order of the set.
fn components(set: &[usize], is_joined: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut left = set.to_vec();
    let mut parts = Vec::new();
    while let Some(start) = left.first().copied() {
        left.remove(0);
        let (mut part, mut open) = (vec![start], vec![start]);
        while let Some(a) = open.pop() {
            let (joined, rest) = left.iter().partition(|&&b| is_joined(a, b));
            left = rest;
            let joined: Vec<usize> = joined;
            part.extend(&joined);
            open.extend(joined);
        }
        part.sort_unstable();
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Time;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn ns(n: u64) -> Time {
        Time::from_nanoseconds(n)
    }

    /// Device work or a transfer.
    fn task(rng: &mut ChaCha8Rng) -> Block {
        let time = ns(rng.random_range(0..7));
        match rng.random_bool(0.5) {
            true => Block { device: time, uplink: Time::ZERO, alone: time },
            false => Block { device: Time::ZERO, uplink: time, alone: time },
        }
    }

    /// Adds a random series-parallel order of tasks `from..to`.
    fn series_parallel(rng: &mut ChaCha8Rng, from: usize, to: usize, before: &mut [Vec<bool>]) {
        if to - from < 2 {
            return;
        }
        let middle = rng.random_range(from + 1..to);
        series_parallel(rng, from, middle, before);
        series_parallel(rng, middle, to, before);
        if rng.random_bool(0.6) {
            before[from..middle].iter_mut().for_each(|row| row[middle..to].fill(true));
        }
    }

    /// Adds a random forest in which each task follows at most one, or is followed by at most one.
    fn forest(rng: &mut ChaCha8Rng, count: usize, before: &mut [Vec<bool>]) {
        let is_out = rng.random_bool(0.5);
        let mut above: Vec<Vec<usize>> = Vec::new();
        for task in 0..count {
            let parent = if task > 0 && rng.random_bool(0.8) {
                Some(rng.random_range(0..task))
            } else {
                None
            };
            let mut ancestors = parent.map_or(Vec::new(), |p| above[p].clone());
            ancestors.extend(parent);
            for &a in &ancestors {
                let (first, last) = if is_out { (a, task) } else { (task, a) };
                before[first][last] = true;
            }
            above.push(ancestors);
        }
    }

    fn makespan(tasks: &[Block], order: &[usize]) -> Time {
        order.iter().map(|&t| tasks[t]).fold(Block::default(), Block::then).alone
    }

    /// The least makespan of all orders that keep the precedences.
    fn best(tasks: &[Block], before: &[Vec<bool>], done: &mut Vec<usize>) -> Time {
        if done.len() == tasks.len() {
            return makespan(tasks, done);
        }
        let mut least = ns(u64::MAX);
        for t in 0..tasks.len() {
            let is_ready = (0..tasks.len()).all(|a| !before[a][t] || done.contains(&a));
            if !done.contains(&t) && is_ready {
                done.push(t);
                least = least.min(best(tasks, before, done));
                done.pop();
            }
        }
        least
    }

    #[test]
    fn monma_sidney_composite_jobs_of_series_parallel_orders_are_optimal() {
        for seed in 0..3000 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let count = rng.random_range(1..8);
            let tasks: Vec<Block> = (0..count).map(|_| task(&mut rng)).collect();
            let mut before = vec![vec![false; count]; count];
            match seed % 2 {
                0 => series_parallel(&mut rng, 0, count, &mut before),
                _ => forest(&mut rng, count, &mut before),
            }
            let found = composites(&tasks, &before).expect("series-parallel");
            assert!(found.windows(2).all(|w| w[0].key() <= w[1].key()), "seed {seed}");
            let order: Vec<usize> = found.iter().flat_map(|c| c.tasks.clone()).collect();
            for (i, &a) in order.iter().enumerate() {
                assert!(order[i..].iter().all(|&b| !before[b][a]), "seed {seed}");
            }
            let best = best(&tasks, &before, &mut Vec::new());
            assert_eq!(makespan(&tasks, &order), best, "seed {seed} {tasks:?} {before:?}");
        }
    }

    #[test]
    fn an_order_that_is_not_series_parallel_has_no_composite_jobs() {
        // The letter N: 0 before 2 and 3, 1 before 3.
        let mut before = vec![vec![false; 4]; 4];
        (before[0][2], before[0][3], before[1][3]) = (true, true, true);
        assert_eq!(composites(&[Block::default(); 4], &before), None);
    }
}
