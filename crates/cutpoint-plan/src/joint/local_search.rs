//! From one mix to a better one, by moving copies from one mode to another.

use crate::bound::{LoadBound, Loads, loads};
use crate::joint::mix::{Counts, Line};
use crate::joint::problem::Problem;
use crate::units::Time;

/// Of a class with more modes than this, only the cheapest at the bound's prices are tried.
const TRIED_MAX: usize = 24;

/// The modes of each class that are worth trying, cheapest first at the bound's prices.
pub(crate) fn promising(problem: &Problem<'_>, prices: Loads) -> Vec<Vec<usize>> {
    let order = |class: &crate::joint::problem::Class| {
        let mut modes: Vec<(u128, usize)> = (class.modes.iter().enumerate())
            .map(|(m, mode)| {
                let loads = loads(mode, problem.executors);
                let price = prices.iter().zip(loads).map(|(&p, l)| u128::from(p) * u128::from(l));
                (price.sum(), m)
            })
            .collect();
        modes.sort_unstable();
        modes.truncate(TRIED_MAX);
        modes.into_iter().map(|(_, m)| m).collect()
    };
    problem.classes.iter().map(order).collect()
}

/// Every class in its first promising mode.
pub(crate) fn first_choice(problem: &Problem<'_>, tried: &[Vec<usize>]) -> Counts {
    let start = |(class, tried): (&crate::joint::problem::Class, &Vec<usize>)| {
        let mut counts = vec![0; class.modes.len()];
        counts[tried[0]] = class.count();
        counts
    };
    problem.classes.iter().zip(tried).map(start).collect()
}

/// Improves a mix until no move of copies of one class helps, or `budget` evaluations are spent.
pub(crate) fn improve(
    line: &Line<'_>,
    tried: &[Vec<usize>],
    counts: &mut Counts,
    bound: &LoadBound,
    budget: &mut u64,
) -> Time {
    let mut best = line.makespan(counts);
    loop {
        let start = best;
        for class in 0..counts.len() {
            for from in 0..counts[class].len() {
                if counts[class][from] > 0 {
                    best = move_from(line, &tried[class], counts, (class, from), best, budget);
                }
            }
        }
        if best <= bound.time || *budget == 0 {
            return best;
        }
        if best == start {
            best = exchange(line, tried, counts, best, budget);
            if best == start {
                return best;
            }
        }
    }
}

/// Moves copies of one mode to the best other mode, in portions of halves.
fn move_from(
    line: &Line<'_>,
    tried: &[usize],
    counts: &mut Counts,
    (class, from): (usize, usize),
    mut best: Time,
    budget: &mut u64,
) -> Time {
    let mut copies = counts[class][from];
    while copies > 0 {
        let mut to_best = None;
        for &to in tried.iter().filter(|&&to| to != from) {
            if *budget == 0 {
                return best;
            }
            *budget -= 1;
            shift(counts, class, from, to, copies);
            let makespan = line.makespan(counts);
            shift(counts, class, to, from, copies);
            if makespan < best {
                (best, to_best) = (makespan, Some(to));
            }
        }
        match to_best {
            Some(to) => {
                shift(counts, class, from, to, copies);
                copies = copies.min(counts[class][from]);
            }
            None => copies /= 2,
        }
    }
    best
}

/// Looks for two single moves that help together; makes the first pair found.
fn exchange(
    line: &Line<'_>,
    tried: &[Vec<usize>],
    counts: &mut Counts,
    best: Time,
    budget: &mut u64,
) -> Time {
    let moves = single_moves(tried, counts);
    for (i, &(c1, a1, b1)) in moves.iter().enumerate() {
        shift(counts, c1, a1, b1, 1);
        for &(c2, a2, b2) in &moves[i..] {
            if *budget == 0 {
                break;
            }
            if counts[c2][a2] == 0 {
                continue;
            }
            *budget -= 1;
            shift(counts, c2, a2, b2, 1);
            let makespan = line.makespan(counts);
            if makespan < best {
                return makespan;
            }
            shift(counts, c2, b2, a2, 1);
        }
        shift(counts, c1, b1, a1, 1);
    }
    best
}

fn single_moves(tried: &[Vec<usize>], counts: &Counts) -> Vec<(usize, usize, usize)> {
    let mut moves = Vec::new();
    for (class, by_mode) in counts.iter().enumerate() {
        for (from, _) in by_mode.iter().enumerate().filter(|(_, n)| **n > 0) {
            let to = tried[class].iter().filter(|&&to| to != from);
            moves.extend(to.map(|&to| (class, from, to)));
        }
    }
    moves
}

fn shift(counts: &mut Counts, class: usize, from: usize, to: usize, copies: u64) {
    counts[class][from] -= copies;
    counts[class][to] += copies;
}
