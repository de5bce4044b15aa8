//! Weights of the machines under which the loads of all jobs are heavy.

use crate::check::proof::class::Class;
use crate::check::proof::modes::{Loads, Mode};

/// Weights of device, uplink, server and downlink, each at most [`WEIGHT_MAX`].
pub(super) type Weights = [u64; 4];

/// Sums of weighted loads of a million jobs fit 128 bits.
const WEIGHT_MAX: u64 = 1 << 36;

/// In climbing, weights are parts of this.
const PARTS: u64 = 1 << 20;

pub(super) fn weighted(weights: &Weights, loads: &Loads) -> u128 {
    weights.iter().zip(loads).map(|(&w, &l)| u128::from(w) * u128::from(l)).sum()
}

/// The smallest time whose weighted sum over all machines is at least `value`.
pub(super) fn time_of(value: u128, weights: &Weights) -> u64 {
    let by: u128 = weights.iter().map(|&w| u128::from(w)).sum();
    u64::try_from(value.div_ceil(by.max(1))).unwrap_or(u64::MAX)
}

/// Weights under which jobs of `classes`, together with the `idle` time of each machine, weigh most;
/// found, not proved, to be the best: any weights give a bound.
pub(super) fn heaviest(classes: &[Class<'_>], idle: &Loads) -> Weights {
    let is_used = |&m: &usize| classes.iter().any(|c| c.modes.iter().any(|mode| mode.loads[m] > 0));
    let machines: Vec<usize> = (0..4).filter(is_used).collect();
    let value = |weights: &Weights| time_of(total(classes, idle, weights), weights);
    let mut best = [1, 0, 0, 0];
    let mut most = value(&best);
    for (i, &a) in machines.iter().enumerate() {
        for &b in &machines[i + 1..] {
            let weights = of_two(classes, idle, a, b);
            let found = value(&weights);
            if found > most {
                (best, most) = (weights, found);
            }
        }
    }
    if machines.len() > 2 {
        best = climb(&machines, in_parts(&best), best, &value);
    }
    best
}

/// All jobs in their lightest modes.
pub(super) fn total(classes: &[Class<'_>], idle: &Loads, weights: &Weights) -> u128 {
    let jobs = classes.iter().map(|class| {
        let least = class.modes.iter().map(|m| weighted(weights, &m.loads)).min();
        least.unwrap_or(0) * u128::from(class.count)
    });
    jobs.sum::<u128>() + weighted(weights, idle)
}

/// The best weights of two machines: those of the edge of the hull of all sums of loads that the
/// diagonal crosses, found from its outermost points inwards.
fn of_two(classes: &[Class<'_>], idle: &Loads, a: usize, b: usize) -> Weights {
    let weights_of = |of_a: u128, of_b: u128| {
        let excess = (128 - of_a.max(of_b).leading_zeros()).saturating_sub(36);
        let mut weights = [0; 4];
        weights[a] = ((of_a >> excess) as u64).min(WEIGHT_MAX);
        weights[b] = ((of_b >> excess) as u64).min(WEIGHT_MAX);
        weights
    };
    let point = |weights: &Weights| {
        let (mut at_a, mut at_b) = (u128::from(idle[a]), u128::from(idle[b]));
        for class in classes {
            let key = |m: &&Mode| {
                (weighted(weights, &m.loads), u128::from(m.loads[a]) + u128::from(m.loads[b]))
            };
            if let Some(mode) = class.modes.iter().copied().min_by_key(key) {
                at_a += u128::from(mode.loads[a]) * u128::from(class.count);
                at_b += u128::from(mode.loads[b]) * u128::from(class.count);
            }
        }
        (at_a, at_b)
    };
    let (only_a, only_b) = (weights_of(1, 0), weights_of(0, 1));
    let (mut left, mut right) = (point(&only_a), point(&only_b));
    if left.0 >= left.1 {
        return only_a;
    }
    if right.1 >= right.0 {
        return only_b;
    }
    let mut weights = weights_of(1, 1);
    for _ in 0..64 {
        if right.0 <= left.0 || left.1 <= right.1 {
            break;
        }
        weights = weights_of(left.1 - right.1, right.0 - left.0);
        let next = point(&weights);
        if next == left || next == right {
            break;
        }
        if next.0 < next.1 { left = next } else { right = next }
    }
    weights
}

fn in_parts(weights: &Weights) -> Weights {
    let sum: u128 = weights.iter().map(|&w| u128::from(w)).sum();
    weights.map(|w| (u128::from(w) * u128::from(PARTS) / sum.max(1)) as u64)
}

/// Moves weight between machines, also between one and two others, while that helps.
fn climb(
    machines: &[usize],
    from: Weights,
    known: Weights,
    value: &impl Fn(&Weights) -> u64,
) -> Weights {
    let mut moves: Vec<[i64; 4]> = Vec::new();
    for &a in machines {
        for &b in machines.iter().filter(|&&b| b != a) {
            let mut one = [0; 4];
            (one[a], one[b]) = (2, -2);
            moves.push(one);
            for &c in machines.iter().filter(|&&c| c > b && c != a) {
                for (of_b, of_c) in [(1, 1), (3, -1), (-1, 3)] {
                    let mut two = [0; 4];
                    (two[a], two[b], two[c]) = (2, -of_b, -of_c);
                    moves.push(two);
                    moves.push(two.map(|part: i64| -part));
                }
            }
        }
    }
    let mut weights = from;
    let mut most = value(&weights);
    let mut step = PARTS as i64 / 4;
    while step > 1 {
        let mut is_better = false;
        for by in &moves {
            let moved: Vec<i64> =
                weights.iter().zip(by).map(|(&w, &part)| w as i64 + part * step / 2).collect();
            let Ok(next) = <[i64; 4]>::try_from(moved) else { continue };
            if next.iter().any(|&w| w < 0) {
                continue;
            }
            let next = next.map(|w| w as u64);
            let found = value(&next);
            if found > most {
                (weights, most, is_better) = (next, found, true);
            }
        }
        if !is_better {
            step /= 2;
        }
    }
    if most > value(&known) { weights } else { known }
}

/// The weights and others around them, each in parts of a small whole, for sums of few jobs.
pub(super) fn around(best: &Weights, machines: &[usize]) -> Vec<Weights> {
    let best = in_parts(best);
    let mut all = vec![best];
    for &a in machines {
        let mut corner = [0; 4];
        corner[a] = PARTS;
        all.push(corner);
        for &b in machines.iter().filter(|&&b| b > a) {
            for share in [4, 8, 12] {
                let mut pair = [0; 4];
                (pair[a], pair[b]) = (PARTS * share / 16, PARTS * (16 - share) / 16);
                all.push(pair);
            }
            for (from, to) in [(a, b), (b, a)] {
                for part in [16, 4] {
                    let mut near = best;
                    let moved = near[from] / part;
                    near[from] -= moved;
                    near[to] += moved;
                    all.push(near);
                }
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}
