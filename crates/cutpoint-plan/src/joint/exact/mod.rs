//! The best plan of a small instance, found by going through all of them.
//!
//! A node of the search is a beginning of the uplink's sequence. A step starts a job (choosing its
//! mode) or goes on with one that is partly sent, and sends one parcel; a job that stays on the
//! device is decided last. The device's order follows from the uplink's (see `outline`). With one
//! executor or none to wait for, and no downlink, the order of arrival is best on the server;
//! otherwise a search over the server's orders ends each sequence.
//!
//! On two machines only sequences in Johnson's order of the segments are built, a segment at a time.
//!
//! Left out, without losing the optimum: jobs of one model are interchangeable; nodes whose bound
//! reaches the incumbent; nodes with the same jobs left as one visited before, and no machine free
//! earlier.

mod johnson;
mod server_order;
mod weights;

use crate::joint::exact::johnson::Johnson;
use crate::joint::exact::server_order::{ServerOrders, returns_bound};
use crate::joint::exact::weights::{load, weights};
use crate::joint::send_order::{Member, Outline};
use crate::problem::{Mode, PARCELS_MAX, Problem, weighted};
use crate::simulate::after_uplink::{Visit, last_return};
use crate::units::Time;
use std::collections::BTreeMap;

/// At most this many visited states are remembered.
const REMEMBERED_MAX: usize = 200_000;

/// At most this many states with the same jobs left are remembered.
const FRONT_MAX: usize = 48;

/// The result of a search.
#[derive(Clone, Debug)]
pub(crate) struct Exact {
    /// A plan better than the incumbent, if there is one.
    pub better: Option<(Time, Outline)>,
    /// Whether nothing better than the result exists.
    pub is_proved: bool,
}

/// Looks for a plan shorter than `incumbent`, visiting at most `budget` nodes. `floor` is a known
/// lower bound: reaching it ends the search.
pub(crate) fn search(problem: &Problem<'_>, incumbent: Time, floor: Time, budget: u64) -> Exact {
    let mut search = Search::new(problem, incumbent, floor, budget);
    search.node();
    Exact {
        is_proved: (problem.is_complete && search.budget > 0) || search.best <= floor,
        better: search.found.map(|outline| (search.best, outline)),
    }
}

/// A job that has begun to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    class: usize,
    mode: usize,
    sent: usize,
    position: usize,
    /// In Johnson's order, the next segment.
    segment: usize,
}

/// How the server's part of a schedule is followed during the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing waits behind the uplink: the latest return says it all.
    Free,
    /// One executor, no downlink: when it is free.
    One,
    /// Anything else: all visits are kept and ordered at the end.
    Any,
}

/// The state of the machines.
#[derive(Clone, Copy, Default)]
struct Progress {
    device: Time,
    /// Device work put off to the end.
    deferred: Time,
    uplink: Time,
    server: Time,
    /// The latest return so far.
    returned: Time,
    /// The place in Johnson's order of the segment sent last.
    place: usize,
}

struct Search<'p> {
    problem: &'p Problem<'p>,
    tail: Tail,
    best: Time,
    floor: Time,
    budget: u64,
    found: Option<Outline>,
    weights: [[u64; 3]; 25],
    /// For each class, by weights: the least weighted load of one job.
    least: Vec<[u128; 25]>,
    /// On two machines: Johnson's order.
    johnson: Option<Johnson>,
    /// Whether every mode that uses the server sends something.
    all_send: bool,
    /// For each class: the shortest way back from the uplink of any mode that is sent.
    tail_min: Vec<Time>,
    left: Vec<usize>,
    open: Vec<Open>,
    now: Progress,
    visits: Vec<(Visit, Member)>,
    modes: Vec<Vec<usize>>,
    sends: Vec<(Member, usize)>,
    seen: BTreeMap<Vec<u64>, Vec<Vec<Time>>>,
    remembered: usize,
}

impl<'p> Search<'p> {
    fn new(problem: &'p Problem<'p>, best: Time, floor: Time, budget: u64) -> Search<'p> {
        let has_downloads =
            problem.all_modes().any(|(_, m)| m.download.is_some_and(|d| d > Time::ZERO));
        let tail = match problem.executors {
            _ if has_downloads => Tail::Any,
            None => Tail::Free,
            Some(1) => Tail::One,
            Some(_) => Tail::Any,
        };
        let executors = problem.executors;
        let least = problem.classes.iter().map(|class| {
            weights().map(|w| {
                let loads = class.modes.iter().map(|m| weighted(w, load(m, executors)));
                loads.min().unwrap_or(0)
            })
        });
        let tail_min = problem.classes.iter().map(|class| {
            let tails = class.modes.iter().filter(|m| m.has_suffix).map(after);
            tails.min().unwrap_or_default()
        });
        Search {
            tail,
            best,
            floor,
            budget,
            found: None,
            weights: weights(),
            least: least.collect(),
            johnson: problem.is_two_machine().then(|| Johnson::new(problem)),
            all_send: problem.all_modes().all(|(_, m)| !m.has_suffix || !m.parcels.is_empty()),
            tail_min: tail_min.collect(),
            left: problem.classes.iter().map(|c| c.jobs.len()).collect(),
            open: Vec::new(),
            now: Progress::default(),
            visits: Vec::new(),
            modes: problem.classes.iter().map(|c| Vec::with_capacity(c.jobs.len())).collect(),
            sends: Vec::new(),
            seen: BTreeMap::new(),
            remembered: 0,
            problem,
        }
    }

    fn node(&mut self) {
        if self.budget == 0 || self.best <= self.floor {
            return;
        }
        self.budget -= 1;
        if self.open.is_empty() {
            self.finish();
        }
        if self.bound() >= self.best || self.is_dominated() {
            return;
        }
        for step in self.steps() {
            self.take(step);
        }
    }

    /// Keeps all jobs that are left on the device, and compares the plan with the incumbent.
    fn finish(&mut self) {
        let mut device = self.now.device + self.now.deferred;
        let mut kept = Vec::new();
        for (class, &left) in self.problem.classes.iter().zip(&self.left) {
            let Some(local) = class.local().or((left == 0).then_some(0)) else { return };
            device += class.modes[local].device * left as u64;
            kept.push((left, local));
        }
        let bound = device.max(self.now.returned);
        if bound >= self.best {
            return;
        }
        let (returned, server) = match self.tail {
            Tail::Free | Tail::One => (self.now.returned, None),
            Tail::Any => {
                let Some((returned, order)) = self.best_server_order(device) else { return };
                (returned, Some(order))
            }
        };
        let makespan = device.max(returned);
        if makespan < self.best {
            self.best = makespan;
            let mut modes = self.modes.clone();
            for (modes, (left, local)) in modes.iter_mut().zip(kept) {
                modes.resize(modes.len() + left, local);
            }
            self.found = Some(Outline { modes, sends: self.sends.clone(), server });
        }
    }

    /// The best order of the visits on the server, unless none beats the incumbent.
    fn best_server_order(&mut self, device: Time) -> Option<(Time, Vec<Member>)> {
        let mut visits = self.visits.clone();
        visits.sort_by_key(|&(v, m)| (v.arrival, m));
        if self.problem.executors.is_none() {
            // Nobody waits for the server, and results come back in the order they are made.
            let returned = last_return(visits.iter().map(|(v, _)| v), None, self.problem.half);
            let members = visits.into_iter().map(|(_, member)| member).collect();
            return (device.max(returned) < self.best).then_some((returned, members));
        }
        let mut orders = ServerOrders {
            problem: self.problem,
            device,
            best: self.best,
            order: None,
            chosen: Vec::new(),
            budget: self.budget,
        };
        orders.extend(&mut visits);
        self.budget = orders.budget;
        orders.order.map(|order| (orders.best, order))
    }

    /// No plan from here on, other than keeping all that is left on the device, ends earlier.
    fn bound(&self) -> Time {
        let mut device = self.now.device + self.now.deferred;
        let mut uplink = self.now.uplink;
        let mut server = self.now.server;
        let mut tail: Option<Time> = None;
        let mut floor = self.now.returned;
        let half = self.problem.half;
        for open in &self.open {
            let mode = &self.problem.classes[open.class].modes[open.mode];
            let all = mode.all_parcels();
            let work = mode.before(all) - mode.before(open.sent);
            let sending = unsent(mode, open.sent);
            device += work;
            floor = floor.max(
                (self.now.uplink + sending).max(self.now.device + work) + half + after(mode) + half,
            );
            uplink += sending;
            server += mode.server;
            let after = after(mode);
            tail = Some(tail.map_or(after, |t| t.min(after)));
        }
        for (c, _) in self.left.iter().enumerate().filter(|(_, left)| **left > 0) {
            tail = Some(tail.map_or(self.tail_min[c], |t| t.min(self.tail_min[c])));
        }
        // Something is still sent, or the plan was finished above.
        if self.all_send {
            uplink += half + half + tail.unwrap_or_default();
        }
        let server = match self.tail {
            Tail::One => server + half,
            Tail::Free => Time::ZERO,
            Tail::Any => self.server_load(),
        };
        if self.tail == Tail::Any {
            floor = floor.max(returns_bound(self.visits.iter(), half));
        }
        let loads = [device, uplink, server].map(Time::nanoseconds);
        let mut best = floor;
        for (w, &weights) in self.weights.iter().enumerate() {
            let left = self.left.iter().enumerate().filter(|(_, n)| **n > 0);
            let left = left.map(|(c, &n)| (n as u128).saturating_mul(self.least_of(c)[w]));
            let sum = left.fold(weighted(weights, loads), u128::saturating_add);
            let time = u64::try_from(sum.div_ceil(16)).unwrap_or(u64::MAX);
            best = best.max(Time::from_nanoseconds(time));
        }
        best
    }

    /// For each of the weights, the least weighted load of a job of a class from here on.
    fn least_of(&self, class: usize) -> &[u128; 25] {
        match &self.johnson {
            Some(johnson) => &johnson.least[class][johnson.next[self.now.place][class]],
            None => &self.least[class],
        }
    }

    /// The server's work so far as one executor's share.
    fn server_load(&self) -> Time {
        let open = self.open.iter().map(|o| self.problem.classes[o.class].modes[o.mode].server);
        let sum: Time = self.visits.iter().map(|(v, _)| v.server).chain(open).sum();
        match self.problem.executors {
            None => Time::ZERO,
            Some(k) => Time::from_nanoseconds(sum.nanoseconds() / k) + self.problem.half,
        }
    }

    /// Whether a state with the same jobs left has been seen with no machine free later.
    fn is_dominated(&mut self) -> bool {
        let mut key: Vec<u64> = self.left.iter().map(|&n| n as u64).collect();
        let mut open: Vec<[usize; 3]> =
            self.open.iter().map(|o| [o.class, o.mode, o.sent]).collect();
        open.sort_unstable();
        key.extend(open.as_flattened().iter().map(|&n| n as u64));
        let place = Time::from_nanoseconds(self.now.place as u64);
        let mut state = vec![
            self.now.device,
            self.now.uplink,
            self.now.device + self.now.deferred,
            self.now.returned,
            place,
        ];
        match self.tail {
            Tail::Free => {}
            Tail::One => state.push(self.now.server),
            Tail::Any => {
                let mut visits: Vec<(Time, Option<Time>, Time)> =
                    self.visits.iter().map(|(v, _)| (v.server, v.download, v.arrival)).collect();
                visits.sort_unstable();
                key.push(u64::MAX);
                for (server, download, arrival) in visits {
                    let download = download.map_or(u64::MAX, Time::nanoseconds);
                    key.extend([server.nanoseconds(), download]);
                    state.push(arrival);
                }
            }
        }
        let front = self.seen.entry(key).or_default();
        if front.iter().any(|seen| seen.iter().zip(&state).all(|(s, t)| s <= t)) {
            return true;
        }
        if front.len() < FRONT_MAX && self.remembered < REMEMBERED_MAX {
            self.remembered += 1;
            front.push(state);
        }
        false
    }

    /// All ways to go on, the most promising first.
    fn steps(&self) -> Vec<Step<'p>> {
        let mut steps = Vec::new();
        for (o, open) in self.open.iter().enumerate() {
            let is_like =
                |p: &Open| (p.class, p.mode, p.sent) == (open.class, open.mode, open.sent);
            if !self.open[..o].iter().any(is_like) {
                self.add_steps(Some(o), *open, &mut steps);
            }
        }
        for (class, c) in self.problem.classes.iter().enumerate() {
            let modes = c.modes.iter().enumerate().filter(|(_, m)| m.has_suffix);
            for (mode, _) in modes.filter(|_| self.left[class] > 0) {
                let position = self.modes[class].len();
                let job = Open { class, mode, sent: 0, position, segment: 0 };
                self.add_steps(None, job, &mut steps);
            }
        }
        steps.sort_by_key(|s| (s.rank, s.job.class, s.job.mode, s.parcels));
        steps
    }

    /// Adds all ways to go on with a job: any parcel, or the next segment if Johnson's order allows
    /// it.
    fn add_steps(&self, open: Option<usize>, job: Open, steps: &mut Vec<Step<'p>>) {
        let mode = &self.problem.classes[job.class].modes[job.mode];
        if let Some(johnson) = &self.johnson {
            let place = johnson.places[job.class][job.mode][job.segment];
            if place >= self.now.place {
                let parcels = &mode.segments[job.segment].tasks;
                let rank = Time::from_nanoseconds(place as u64);
                steps.push(Step { open, job, parcels, place, rank });
            }
            return;
        }
        let mut add = |parcels: &'p [usize]| {
            let next = parcels.iter().fold(job.sent, |sent, p| sent | 1 << p);
            let device = self.now.device + mode.before(next) - mode.before(job.sent);
            let rank = self.now.uplink.max(device) + mode.device;
            steps.push(Step { open, job, parcels, place: 0, rank });
        };
        if mode.parcels.is_empty() {
            add(&[]);
        }
        let unsent = (0..mode.parcels.len()).filter(|p| job.sent >> p & 1 == 0);
        unsent.for_each(|p| add(&PARCELS[p..=p]));
    }

    fn take(&mut self, step: Step<'p>) {
        let mut open = step.job;
        let mode = &self.problem.classes[open.class].modes[open.mode];
        let member = Member { class: open.class, position: open.position };
        let before = self.now;
        self.now.place = step.place;
        let (open_before, sends, visits) = (self.open.clone(), self.sends.len(), self.visits.len());
        match step.open {
            Some(o) => drop(self.open.remove(o)),
            None => {
                self.modes[open.class].push(open.mode);
                self.left[open.class] -= 1;
            }
        }
        open.segment += 1;
        let mut arrival = Time::ZERO;
        for &parcel in step.parcels {
            let next = open.sent | 1 << parcel;
            self.now.device += mode.before(next) - mode.before(open.sent);
            self.now.uplink = self.now.uplink.max(self.now.device) + mode.parcels[parcel].uplink;
            open.sent = next;
            arrival = self.now.uplink + self.problem.half;
            self.sends.push((member, parcel));
        }
        if open.sent == mode.all_parcels() {
            self.now.deferred += mode.rest();
            self.arrive(mode, arrival, member);
        } else {
            self.open.push(open);
        }
        self.node();
        self.now = before;
        self.open = open_before;
        self.sends.truncate(sends);
        self.visits.truncate(visits);
        if step.open.is_none() {
            self.modes[open.class].pop();
            self.left[open.class] += 1;
        }
    }

    fn arrive(&mut self, mode: &Mode, arrival: Time, member: Member) {
        let half = self.problem.half;
        match self.tail {
            Tail::Free => {
                let made = arrival + mode.server;
                self.now.returned = self.now.returned.max(made + half);
            }
            Tail::One => {
                self.now.server = self.now.server.max(arrival) + mode.server;
                self.now.returned = self.now.returned.max(self.now.server + half);
            }
            Tail::Any => {
                let visit = Visit::new(mode, arrival, member.job(self.problem));
                self.visits.push((visit, member));
            }
        }
    }
}

/// The numbers of the parcels that a mode may have.
const PARCELS: [usize; PARCELS_MAX] = [0, 1, 2, 3, 4, 5, 6, 7];

/// One way to go on: parcels of a new or of an open job.
#[derive(Clone, Copy, Debug)]
struct Step<'p> {
    /// The position of the job among those that are open.
    open: Option<usize>,
    job: Open,
    parcels: &'p [usize],
    /// In Johnson's order, the place of the segment that they are.
    place: usize,
    rank: Time,
}

/// The time from the last arrival to the start of the way back.
fn after(mode: &Mode) -> Time {
    mode.server + mode.download.unwrap_or_default()
}

fn unsent(mode: &Mode, sent: usize) -> Time {
    let left = mode.parcels.iter().enumerate().filter(|(p, _)| sent >> p & 1 == 0);
    left.map(|(_, parcel)| parcel.uplink).sum()
}
