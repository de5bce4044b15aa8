//! The load bound: each machine must do its load.
//!
//! For weights w >= 0 that sum to one, the makespan is at least the weighted sum of all machines'
//! loads, and each job adds at least its cheapest mode to that sum. The best weights give the value
//! of the linear relaxation. A machine cannot start before the first job reaches it nor end later
//! than the last job leaves it in time to return; these heads and tails hold if anything is sent at
//! all, so keeping everything on the device is compared apart.

use crate::problem::{Loads, Problem, Times, loads, weighted};
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
    pub(crate) fn time_of(weighted: u128) -> Time {
        let nanoseconds = weighted.div_ceil(u128::from(PARTS));
        Time::from_nanoseconds(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// All weight on one machine, for each of them.
pub(super) const CORNERS: [Loads; 4] =
    [[PARTS, 0, 0, 0], [0, PARTS, 0, 0], [0, 0, PARTS, 0], [0, 0, 0, PARTS]];

/// The least load of the busiest machine, for all jobs together, if every class may divide
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
    let middles = [[PARTS / 2, PARTS / 2, 0, 0], [PARTS / 2, 0, PARTS / 2, 0]];
    for start in CORNERS.into_iter().chain(middles) {
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
    LoadBound { time: LoadBound::time_of(best), prices }
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
        let mut table = Table { classes: classes.collect(), idle: [0; 4] };
        if problem.is_complete {
            let modes = problem.all_modes().map(|(_, mode)| &mode.times);
            let sent: Vec<&Times> = modes.filter(|t| t.has_suffix).collect();
            let arrival = sent.iter().map(|t| t.arrival(problem.half)).min().unwrap_or_default();
            table.idle = idle(&sent, problem.half, arrival);
        }
        table
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
/// plan that sends something: a job in one of the modes `sent`, alone there at `arrival` at the
/// earliest.
pub(super) fn idle(sent: &[&Times], half: Time, arrival: Time) -> Loads {
    let least = |time: &dyn Fn(&Times) -> Time| {
        sent.iter().map(|times| time(times)).min().unwrap_or_default()
    };
    let uplink = least(&|t| t.lead) + least(&|t| t.tail(half));
    let server = arrival + least(&|t| t.download.unwrap_or_default()) + half;
    let downlink = least(&|t| t.arrival(half) + t.server) + half;
    let all_send = sent.iter().all(|t| t.parcel_count > 0);
    let all_download = sent.iter().all(|t| t.download.is_some());
    let uplink = if all_send { uplink } else { Time::ZERO };
    let downlink = if all_download { downlink } else { Time::ZERO };
    [Time::ZERO, uplink, server, downlink].map(Time::nanoseconds)
}
