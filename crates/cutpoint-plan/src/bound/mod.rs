//! How small can a makespan be, whatever the plan?
//!
//! Each machine must do its load: for weights w >= 0 that sum to one, the makespan is at least the
//! weighted sum of all machines' loads, and each job adds at least its cheapest mode to that sum.
//! The best weights give the value of the linear relaxation. A machine cannot start before the
//! first job reaches it nor end later than the last job leaves it in time to return; these heads
//! and tails hold if anything is sent at all, so keeping everything on the device is compared
//! apart.
//!
//! Paper: LB1, LB2 ([`ends`]), LB4, and the load bound of section 5.6; Thm 4 where cuts are too many to list.

mod ends;
pub(crate) mod mean;
pub(crate) mod sketched;
pub(crate) mod whole;

use crate::bound::ends::bound_by_ends;
use crate::cost::Mode;
use crate::joint::problem::Problem;
use crate::partition::min_cut::CutPricer;
use crate::units::Time;

/// Weights are counted in parts of this.
const PARTS: u64 = 1 << 16;

/// Loads on device, uplink, server and downlink.
pub(crate) type Loads = [u64; 4];

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

/// The loads of one job in a mode, weighted by prices.
pub(crate) fn weighted_loads(mode: &Mode, executors: Option<u64>, prices: Loads) -> u128 {
    weighted(prices, loads(mode, executors))
}

/// Loads of one job in a mode; the server's as a share of all executors, rounded down.
pub(crate) fn loads(mode: &Mode, executors: Option<u64>) -> Loads {
    let server = executors.map_or(0, |k| mode.server.nanoseconds() / k);
    let download = mode.download.unwrap_or_default().nanoseconds();
    [mode.device.nanoseconds(), mode.uplink.nanoseconds(), server, download]
}

/// Rounds of pricing a model whose cuts are not all listed.
const ROUNDS_MAX: usize = 24;

/// Adds to classes with too many cuts those that are cheapest at the bound's prices, until none
/// costs less than the ones listed.
pub(crate) fn add_cheapest_cuts(problem: &mut Problem<'_>) {
    for _ in 0..ROUNDS_MAX {
        let prices = load_bound(problem).prices;
        let mut is_new = false;
        for class in problem.classes.iter_mut().filter(|c| !c.is_complete) {
            let pricer = CutPricer::new(class.pricer, problem.executors);
            let (price, (layers, uploads)) = pricer.cheapest(prices);
            let listed = class.modes.iter().map(|m| weighted(prices, loads(m, problem.executors)));
            if listed.min().is_none_or(|least| price < least)
                && let Some(mode) = class.pricer.mode(layers, uploads)
                && !class.modes.contains(&mode)
            {
                class.modes.push(mode);
                is_new = true;
            }
        }
        if !is_new {
            return;
        }
    }
}

/// The best lower bound that is cheap for any number of jobs.
pub(crate) fn lower_bound(problem: &Problem<'_>) -> LoadBound {
    let mut bound = quick_bound(problem);
    if problem.is_complete && problem.is_two_machine() {
        let by_ends = bound_by_ends(problem, &bound);
        bound.time = bound.time.max(all_local(problem).map_or(by_ends, |local| local.min(by_ends)));
    }
    bound
}

/// A lower bound that takes no account of which job is first and which is last.
pub(crate) fn quick_bound(problem: &Problem<'_>) -> LoadBound {
    let mut bound = load_bound(problem);
    if !problem.is_complete {
        bound.time = cheapest_loads(problem, bound.prices);
    }
    if let Some(local) = all_local(problem) {
        bound.time = bound.time.min(local);
    }
    bound.time = bound.time.max(longest_job(problem));
    bound
}

/// The makespan if every job is kept on the device, where that is possible.
fn all_local(problem: &Problem<'_>) -> Option<Time> {
    problem.classes.iter().map(|c| c.local().map(|l| c.modes[l].device * c.count())).sum()
}

/// The load bound at given prices where cuts are not all listed: minimum cuts take their place, and
/// no machine is taken to be idle.
fn cheapest_loads(problem: &Problem<'_>, prices: Loads) -> Time {
    let jobs = problem.classes.iter().map(|class| {
        let price = if class.is_complete {
            let all = class.modes.iter().map(|m| weighted(prices, loads(m, problem.executors)));
            all.min().unwrap_or(0)
        } else {
            CutPricer::new(class.pricer, problem.executors).cheapest(prices).0
        };
        price.saturating_mul(u128::from(class.count()))
    });
    let sum = jobs.fold(0u128, u128::saturating_add).div_ceil(u128::from(PARTS));
    Time::from_nanoseconds(u64::try_from(sum).unwrap_or(0))
}

/// The longest of the jobs, each alone and in its quickest mode.
///
/// Paper: LB4.
fn longest_job(problem: &Problem<'_>) -> Time {
    let quickest = problem.classes.iter().filter(|c| c.is_complete).map(|class| {
        let latencies = class.modes.iter().map(|m| m.latency(problem.half));
        latencies.min().unwrap_or_default()
    });
    quickest.max().unwrap_or_default()
}

/// What the busiest machine has to do at least, for all jobs together, if every class may divide
/// its jobs among its modes at will: what a long run of such jobs takes.
pub(crate) fn steady_load(problem: &Problem<'_>) -> Time {
    climb(&Table { idle: [0; 4], ..Table::new(problem) }).time
}

/// The load bound of plans that send something, at the best prices found.
fn load_bound(problem: &Problem<'_>) -> LoadBound {
    climb(&Table::new(problem))
}

/// The largest value of a table that is found from its corners and middles.
fn climb(table: &Table) -> LoadBound {
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

/// Loads of all modes, and what passes on each machine besides.
struct Table {
    classes: Vec<(u64, Vec<Loads>)>,
    /// Head and tail of each machine.
    idle: Loads,
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
    fn value(&self, prices: Loads) -> u128 {
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

/// Loads weighted by prices.
pub(crate) fn weighted(prices: Loads, loads: Loads) -> u128 {
    prices.iter().zip(loads).map(|(&p, l)| u128::from(p) * u128::from(l)).sum()
}
