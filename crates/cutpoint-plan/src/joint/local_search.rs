//! From one mix to a better one, by moving copies from one mode to another.

use crate::hull::lower_hull;
use crate::joint::mix::Mix;
use crate::problem::{Class, Counts, Loads, Problem};
use crate::units::Time;

/// Of a class with more modes than this, only the cheapest at the bound's prices are tried.
pub(crate) const TRIED_MAX: usize = 24;

/// The modes of each class that are worth trying, cheapest first at the bound's prices.
pub(crate) fn promising(problem: &Problem<'_>, prices: Loads) -> Vec<Vec<usize>> {
    let order = |class: &Class<'_>| {
        let mut modes: Vec<(u128, usize)> = (class.modes.iter().enumerate())
            .map(|(m, mode)| (problem.load(mode, prices), m))
            .collect();
        modes.sort_unstable();
        modes.truncate(TRIED_MAX);
        modes.into_iter().map(|(_, m)| m).collect()
    };
    problem.classes.iter().map(order).collect()
}

/// Every class in its first promising mode.
pub(crate) fn first_choice(problem: &Problem<'_>, tried: &[Vec<usize>]) -> Counts {
    problem.classes.iter().zip(tried).map(|(class, tried)| class.all_in(tried[0])).collect()
}

/// The mix at which device and uplink load are equal, with the least of both: the linear
/// relaxation's, its one divided class rounded to whole jobs.
///
/// Every class starts with the mode of least device time on its hull; then copies move along hull
/// edges, those first that free most uplink time for a unit of device time.
///
/// Paper: LB1, Thm 6.
pub(crate) fn balanced(problem: &Problem<'_>) -> Counts {
    let mut edges = Vec::new();
    let mut counts: Counts = Vec::new();
    let (mut device, mut uplink) = (0i128, 0i128);
    for (c, class) in problem.classes.iter().enumerate() {
        let hull = lower_hull(&class.modes, |m| (m.device, m.uplink));
        let first = &class.modes[hull[0]];
        device += i128::from((first.device * class.count()).nanoseconds());
        uplink += i128::from((first.uplink * class.count()).nanoseconds());
        counts.push(class.all_in(hull[0]));
        for pair in hull.windows(2) {
            let (a, b) = (&class.modes[pair[0]], &class.modes[pair[1]]);
            let rise = (b.device - a.device).nanoseconds();
            let fall = (a.uplink - b.uplink).nanoseconds();
            edges.push((c, pair[0], pair[1], rise, fall));
        }
    }
    // Stable, so that the edges of one hull stay in its order.
    edges.sort_by(|a, b| {
        (u128::from(b.4) * u128::from(a.3)).cmp(&(u128::from(a.4) * u128::from(b.3)))
    });
    for (class, from, to, rise, fall) in edges {
        if device >= uplink {
            break;
        }
        let (rise, fall) = (i128::from(rise), i128::from(fall));
        let enough = (uplink - device + rise + fall - 1) / (rise + fall);
        let copies = u64::try_from(enough).unwrap_or(u64::MAX).min(counts[class][from]);
        counts[class][from] -= copies;
        counts[class][to] += copies;
        device += i128::from(copies) * rise;
        uplink -= i128::from(copies) * fall;
    }
    counts
}

/// Improves a mix until no move of copies of one class helps, nor any pair of moves, or `budget`
/// evaluations are spent.
pub(crate) fn improve(
    mix: &mut Mix<'_, '_>,
    tried: &[Vec<usize>],
    floor: Time,
    budget: u64,
) -> Time {
    let best = mix.makespan();
    let mut search = Search { mix, tried, best, budget };
    loop {
        let start = search.best;
        for class in 0..tried.len() {
            for from in 0..search.mix.counts[class].len() {
                if search.mix.counts[class][from] > 0 {
                    search.move_from(class, from);
                }
            }
        }
        if search.best == start {
            search.exchange();
        }
        if search.best == start || search.best <= floor || search.budget == 0 {
            return search.best;
        }
    }
}

/// A class, and the modes from which and to which its jobs move.
type Move = (usize, usize, usize);

struct Search<'s, 'l, 'p> {
    mix: &'s mut Mix<'l, 'p>,
    tried: &'s [Vec<usize>],
    best: Time,
    budget: u64,
}

impl Search<'_, '_, '_> {
    /// The makespan once copies have moved from one mode to another, if it is less than the best.
    fn less_after(&mut self, (class, from, to): Move, copies: u64) -> Option<Time> {
        self.budget = self.budget.saturating_sub(1);
        if self.mix.load_after(class, from, to, copies) >= self.best {
            return None;
        }
        self.mix.shift(class, from, to, copies);
        let makespan = self.mix.makespan();
        self.mix.shift(class, to, from, copies);
        (makespan < self.best).then_some(makespan)
    }

    /// Moves copies of one mode to the best other mode, in portions of halves.
    fn move_from(&mut self, class: usize, from: usize) {
        let mut copies = self.mix.counts[class][from];
        let tried = self.tried;
        while copies > 0 && self.budget > 0 {
            let mut to_best = None;
            for &to in tried[class].iter().filter(|&&to| to != from) {
                if let Some(makespan) = self.less_after((class, from, to), copies) {
                    (self.best, to_best) = (makespan, Some(to));
                }
            }
            match to_best {
                Some(to) => {
                    self.mix.shift(class, from, to, copies);
                    copies = copies.min(self.mix.counts[class][from]);
                }
                None => copies /= 2,
            }
        }
    }

    /// Looks for two single moves that help together; makes the first pair found.
    fn exchange(&mut self) {
        let moves = self.single_moves();
        for (i, &(class, from, to)) in moves.iter().enumerate() {
            self.mix.shift(class, from, to, 1);
            for &(c, a, b) in &moves[i..] {
                if self.budget == 0 {
                    break;
                }
                if self.mix.counts[c][a] > 0
                    && let Some(makespan) = self.less_after((c, a, b), 1)
                {
                    self.mix.shift(c, a, b, 1);
                    self.best = makespan;
                    return;
                }
            }
            self.mix.shift(class, to, from, 1);
        }
    }

    fn single_moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (class, by_mode) in self.mix.counts.iter().enumerate() {
            for (from, _) in by_mode.iter().enumerate().filter(|(_, n)| **n > 0) {
                let to = self.tried[class].iter().filter(|&&to| to != from);
                moves.extend(to.map(|&to| (class, from, to)));
            }
        }
        moves
    }
}
