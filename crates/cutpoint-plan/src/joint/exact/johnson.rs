//! On two machines: which segments may come after which.

use crate::joint::exact::weights::{load, weights};
use crate::problem::{Mode, Problem, weighted};

/// Johnson's order of all segments that send something, and what it leaves to choose from.
pub(super) struct Johnson {
    /// For each class, mode and segment, its place.
    pub(super) places: Vec<Vec<Vec<usize>>>,
    /// For each place, for each class, how many of its modes begin before.
    pub(super) next: Vec<Vec<usize>>,
    /// For each class, when that many modes are out of reach: the least weighted load of the
    /// others, or of a job that sends nothing.
    pub(super) least: Vec<Vec<[u128; 25]>>,
}

impl Johnson {
    pub(super) fn new(problem: &Problem<'_>) -> Johnson {
        let mut places: Vec<Vec<Vec<usize>>> = (problem.classes.iter())
            .map(|c| c.modes.iter().map(|m| vec![0; m.segments.len()]).collect())
            .collect();
        let mut next = vec![vec![0; problem.classes.len()]];
        let mut begun: Vec<Vec<usize>> = vec![Vec::new(); problem.classes.len()];
        for (place, (c, m, s)) in problem.segments_in_order().into_iter().enumerate() {
            places[c][m][s] = place;
            let mut after = next[place].clone();
            if s == 0 {
                begun[c].push(m);
                after[c] += 1;
            }
            next.push(after);
        }
        let least = problem.classes.iter().zip(begun).map(|(class, begun)| {
            let load_of = |m: &Mode| weights().map(|w| weighted(w, load(m, None)));
            let local = class.local().map(|l| load_of(&class.modes[l]));
            let mut least = vec![local.unwrap_or([u128::MAX; 25])];
            for &m in begun.iter().rev() {
                let mut all = *least.last().expect("begins with one entry");
                let load = load_of(&class.modes[m]);
                all.iter_mut().zip(load).for_each(|(a, l)| *a = (*a).min(l));
                least.push(all);
            }
            least.reverse();
            least
        });
        Johnson { places, next, least: least.collect() }
    }
}
