//! The load bound: each machine must do its load.
//!
//! For weights w >= 0 that sum to one, the makespan is at least the weighted sum of all machines'
//! loads, and each job adds at least its cheapest mode to that sum. The best weights give the value
//! of the linear relaxation. A machine cannot start before the first job reaches it nor end later
//! than the last job leaves it in time to return; these heads and tails hold if anything is sent at
//! all, so keeping everything on the device is compared apart.

use crate::problem::{Loads, Mode, Problem, loads, weighted};
use crate::units::Time;

/// Weights are counted in parts of this.
pub(super) const PARTS: u64 = 1 << 16;

/// A lower bound and what it says about prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoadBound {
    /// No plan is shorter.
    pub time: Time,
    /// The value of a unit of time on each machine, in parts of their sum.
    pub prices: Loads,
}

impl LoadBound {
    /// A sum of weighted loads as a time, rounded up.
    pub(crate) fn time_of(weighted: u128) -> u128 {
        weighted.div_ceil(u128::from(PARTS))
    }
}

/// What the busiest machine has to do at least, for all jobs together, if every class may divide
/// its jobs among its modes at will: what a long run of such jobs takes.
pub(crate) fn steady_load(problem: &Problem<'_>) -> Time {
    climb(&Table { idle: [0; 4], ..Table::new(problem) }).time
}

/// The load bound of plans that send something, at the best prices found.
pub(super) fn load_bound(problem: &Problem<'_>) -> LoadBound {
    climb(&Table::new(problem))
}

/// The largest value of a table that is found from its corners and middles.
pub(super) fn climb(table: &Table) -> LoadBound {
    let mut prices = [PARTS / 4; 4];
    let mut best = table.value(prices);
    let corners = (0..4).map(|machine| {
        let mut corner = [0; 4];
        corner[machine] = PARTS;
        corner
    });
    let middles = [[PARTS / 2, PARTS / 2, 0, 0], [PARTS / 2, 0, PARTS / 2, 0]];
    for start in corners.chain(middles) {
        let value = table.value(start);
        if value > best {
            (best, prices) = (value, start);
        }
    }
    // The value is concave in the prices: shift parts from one machine to another while it rises.
    let mut step = PARTS / 4;
    while step > 0 {
        let mut is_better = false;
        for (from, to) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
            let mut next = prices;
            if from == to || next[from] < step {
                continue;
            }
            next[from] -= step;
            next[to] += step;
            let value = table.value(next);
            if value > best {
                (best, prices, is_better) = (value, next, true);
            }
        }
        if !is_better {
            step /= 2;
        }
    }
    let time = u64::try_from(best.div_ceil(u128::from(PARTS))).unwrap_or(u64::MAX);
    LoadBound { time: Time::from_nanoseconds(time), prices }
}

/// Loads of all modes, and each machine's unavoidable idle time.
pub(super) struct Table {
    pub(super) classes: Vec<(u64, Vec<Loads>)>,
    /// Head and tail of each machine.
    pub(super) idle: Loads,
}

impl Table {
    fn new(problem: &Problem<'_>) -> Table {
        let classes = problem.classes.iter().map(|class| {
            let loads = class.modes.iter().map(|m| loads(m, problem.executors)).collect();
            (class.count(), loads)
        });
        let idle = if problem.is_complete { idle(problem) } else { [0; 4] };
        Table { classes: classes.collect(), idle }
    }

    /// The weighted load at given prices.
    pub(super) fn value(&self, prices: Loads) -> u128 {
        let jobs = self.classes.iter().map(|(count, modes)| {
            let cheapest = modes.iter().map(|&loads| weighted(prices, loads)).min();
            u128::from(*count) * cheapest.unwrap_or(0)
        });
        jobs.sum::<u128>() + weighted(prices, self.idle)
    }
}

/// For each machine, how long it is idle at least before its first and after its last job, in a
/// plan that sends something.
fn idle(problem: &Problem<'_>) -> Loads {
    let half = problem.half;
    let sent = || problem.all_modes().map(|(_, m)| m).filter(|m| m.has_suffix);
    let least = |time: &dyn Fn(&Mode) -> Time| sent().map(time).min().unwrap_or_default();
    let first_parcel =
        |m: &Mode| (0..m.parcels.len()).map(|p| m.before(1 << p)).min().unwrap_or_default();
    let arrival = |m: &Mode| if m.parcels.is_empty() { Time::ZERO } else { m.sent_alone() + half };
    let download = |m: &Mode| m.download.unwrap_or_default();
    let all_send = sent().all(|m| !m.parcels.is_empty());
    let uplink = if all_send {
        least(&first_parcel) + half + least(&|m| m.server + download(m)) + half
    } else {
        Time::ZERO
    };
    let server = least(&arrival) + least(&download) + half;
    let downlink = least(&|m| arrival(m) + m.server) + half;
    let all_download = sent().all(|m| m.download.is_some());
    let downlink = if all_download { downlink } else { Time::ZERO };
    [Time::ZERO, uplink, server, downlink].map(Time::nanoseconds)
}
