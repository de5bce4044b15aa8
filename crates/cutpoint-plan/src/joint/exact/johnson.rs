//! On two machines: which segments may come after which.

use crate::flow_shop::johnson::segment_key;
use crate::joint::exact::weights::{WEIGHTS, load, weighted};
use crate::problem::{Mode, Problem};
use crate::units::Time;

/// Johnson's order of all segments that send something, and what it leaves to choose from.
pub(super) struct Johnson {
    /// For each class, mode and segment, its place.
    places: Vec<Vec<Vec<usize>>>,
    /// For each place, for each class, how many of its modes begin before.
    pub(super) next: Vec<Vec<usize>>,
    /// For each class, when that many modes are out of reach: the least weighted load of the
    /// others, or of a job that sends nothing.
    pub(super) least: Vec<Vec<[u128; 25]>>,
}

impl Johnson {
    pub(super) fn new(problem: &Problem<'_>) -> Johnson {
        let mut slots = Vec::new();
        for (c, class) in problem.classes.iter().enumerate() {
            for (m, mode) in class.modes.iter().enumerate() {
                let sending =
                    mode.segments.iter().enumerate().filter(|(_, s)| !s.parcels.is_empty());
                slots.extend(sending.map(|(s, segment)| (segment_key(segment), c, m, s)));
            }
        }
        slots.sort_unstable();
        let mut places: Vec<Vec<Vec<usize>>> = (problem.classes.iter())
            .map(|c| c.modes.iter().map(|m| vec![0; m.segments.len()]).collect())
            .collect();
        let mut next = vec![vec![0; problem.classes.len()]];
        let mut begun: Vec<Vec<usize>> = vec![Vec::new(); problem.classes.len()];
        for (place, &(_, c, m, s)) in slots.iter().enumerate() {
            places[c][m][s] = place;
            let mut after = next[place].clone();
            if s == 0 {
                begun[c].push(m);
                after[c] += 1;
            }
            next.push(after);
        }
        let least = problem.classes.iter().zip(begun).map(|(class, begun)| {
            let load_of = |m: &Mode| WEIGHTS.map(|w| weighted(&w, load(m, None)));
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

    pub(super) fn place(&self, class: usize, mode: usize, segment: usize) -> usize {
        self.places[class][mode][segment]
    }
}

/// A place in an order as a rank.
pub(super) fn order_of(place: usize) -> Time {
    Time::from_nanoseconds(place as u64)
}
