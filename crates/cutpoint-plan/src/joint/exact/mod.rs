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

use crate::joint::after_uplink::{Visit, last_return};
use crate::joint::exact::johnson::{Johnson, order_of};
use crate::joint::exact::server_order::{ServerOrders, returns_bound};
use crate::joint::exact::weights::{WEIGHTS, load, weighted};
use crate::joint::send_order::{Member, Outline};
use crate::problem::{Mode, Problem};
use crate::units::Time;
use std::collections::BTreeMap;

/// At most this many visited states are remembered.
const REMEMBERED_MAX: usize = 200_000;

/// At most this many states with the same jobs left are remembered.
const FRONT_MAX: usize = 48;

/// What a search found.
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

struct Search<'p> {
    problem: &'p Problem<'p>,
    tail: Tail,
    best: Time,
    floor: Time,
    budget: u64,
    found: Option<Outline>,
    /// For each class, by weights: the least weighted load of one job.
    least: Vec<[u128; 25]>,
    /// On two machines: Johnson's order.
    johnson: Option<Johnson>,
    /// The place in Johnson's order of the segment sent last.
    place: usize,
    /// Whether every mode that uses the server sends something.
    all_send: bool,
    /// For each class: the shortest way back from the uplink of any mode that is sent.
    tail_min: Vec<Time>,
    left: Vec<usize>,
    open: Vec<Open>,
    device: Time,
    /// Device work put off to the end.
    deferred: Time,
    uplink: Time,
    server: Time,
    returned: Time,
    visits: Vec<(Visit, Member)>,
    modes: Vec<Vec<u32>>,
    sends: Vec<(Member, u8)>,
    seen: BTreeMap<Vec<u32>, Vec<Vec<Time>>>,
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
            let mut least = [u128::MAX; 25];
            for (w, least) in WEIGHTS.iter().zip(&mut least) {
                let loads = class.modes.iter().map(|m| weighted(w, load(m, executors)));
                *least = loads.min().unwrap_or(0);
            }
            least
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
            least: least.collect(),
            johnson: problem.is_two_machine().then(|| Johnson::new(problem)),
            place: 0,
            all_send: problem.all_modes().all(|(_, m)| !m.has_suffix || !m.parcels.is_empty()),
            tail_min: tail_min.collect(),
            left: problem.classes.iter().map(|c| c.jobs.len()).collect(),
            open: Vec::new(),
            device: Time::ZERO,
            deferred: Time::ZERO,
            uplink: Time::ZERO,
            server: Time::ZERO,
            returned: Time::ZERO,
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
        let mut device = self.device + self.deferred;
        let mut kept = Vec::new();
        for (class, &left) in self.problem.classes.iter().zip(&self.left) {
            let Some(local) = class.local().or((left == 0).then_some(0)) else { return };
            device += class.modes[local].device * left as u64;
            kept.push((left, u32::try_from(local).expect("modes are numbered in 32 bits")));
        }
        let bound = device.max(self.returned);
        if bound >= self.best {
            return;
        }
        let (returned, server) = match self.tail {
            Tail::Free | Tail::One => (self.returned, None),
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
            let (visits, members): (Vec<Visit>, Vec<Member>) = visits.into_iter().unzip();
            let returned = last_return(&visits, None, self.problem.half);
            return (device.max(returned) < self.best).then_some((returned, members));
        }
        let mut orders = ServerOrders {
            problem: self.problem,
            device,
            best: self.best,
            order: None,
            chosen: Vec::new(),
            chosen_members: Vec::new(),
            budget: self.budget,
        };
        orders.extend(&mut visits);
        self.budget = orders.budget;
        orders.order.map(|order| (orders.best, order))
    }

    /// No plan from here on, other than keeping all that is left on the device, ends earlier.
    fn bound(&self) -> Time {
        let mut device = self.device + self.deferred;
        let mut uplink = self.uplink;
        let mut server = self.server;
        let mut tail: Option<Time> = None;
        let mut floor = self.returned;
        let half = self.problem.half;
        for open in &self.open {
            let mode = &self.problem.classes[open.class].modes[open.mode];
            let all = mode.all_parcels();
            let work = mode.before(all) - mode.before(open.sent);
            let sending = unsent(mode, open.sent);
            device += work;
            floor = floor
                .max((self.uplink + sending).max(self.device + work) + half + after(mode) + half);
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
            let visits: Vec<Visit> = self.visits.iter().map(|(v, _)| *v).collect();
            floor = floor.max(returns_bound(&visits, half));
        }
        let loads = [device, uplink, server];
        let mut best = floor;
        for (w, weights) in WEIGHTS.iter().enumerate() {
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
            Some(johnson) => &johnson.least[class][johnson.next[self.place][class]],
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
        let index = |n: usize| u32::try_from(n).expect("small instances have small numbers");
        let mut key: Vec<u32> = self.left.iter().map(|&n| index(n)).collect();
        let mut open: Vec<[u32; 3]> =
            self.open.iter().map(|o| [index(o.class), index(o.mode), index(o.sent)]).collect();
        open.sort_unstable();
        key.extend(open.as_flattened());
        let place = Time::from_nanoseconds(self.place as u64);
        let mut state =
            vec![self.device, self.uplink, self.device + self.deferred, self.returned, place];
        match self.tail {
            Tail::Free => {}
            Tail::One => state.push(self.server),
            Tail::Any => {
                let mut visits: Vec<(Time, Option<Time>, Time)> =
                    self.visits.iter().map(|(v, _)| (v.server, v.download, v.arrival)).collect();
                visits.sort_unstable();
                key.push(u32::MAX);
                for (server, download, arrival) in visits {
                    key.extend(words(server));
                    key.extend(words(download.unwrap_or(TIME_NONE)));
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
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(johnson) = &self.johnson {
            self.ordered_steps(johnson, &mut steps);
            return steps;
        }
        for (o, open) in self.open.iter().enumerate() {
            let is_first = self.open[..o]
                .iter()
                .all(|p| (p.class, p.mode, p.sent) != (open.class, open.mode, open.sent));
            let mode = &self.problem.classes[open.class].modes[open.mode];
            let parcels = (0..mode.parcels.len()).filter(|p| open.sent >> p & 1 == 0);
            for parcel in parcels.filter(|_| is_first) {
                steps.push(self.step(Some(o), open.class, open.mode, open.sent, Some(parcel)));
            }
        }
        for (c, class) in self.problem.classes.iter().enumerate().filter(|(c, _)| self.left[*c] > 0)
        {
            for (m, mode) in class.modes.iter().enumerate().filter(|(_, m)| m.has_suffix) {
                if mode.parcels.is_empty() {
                    steps.push(self.step(None, c, m, 0, None));
                }
                for parcel in 0..mode.parcels.len() {
                    steps.push(self.step(None, c, m, 0, Some(parcel)));
                }
            }
        }
        steps.sort_by_key(|s| (s.rank, s.class, s.mode, s.parcel));
        steps
    }

    /// The next segment of an open job, or the first of a new one, if Johnson's order allows it.
    fn ordered_steps(&self, johnson: &Johnson, steps: &mut Vec<Step>) {
        for (o, open) in self.open.iter().enumerate() {
            let same = |p: &Open| (p.class, p.mode, p.sent) == (open.class, open.mode, open.sent);
            let place = johnson.place(open.class, open.mode, open.segment);
            if place >= self.place && !self.open[..o].iter().any(same) {
                let step = self.step(Some(o), open.class, open.mode, open.sent, None);
                steps.push(Step { segment: open.segment, rank: order_of(place), ..step });
            }
        }
        for (c, class) in self.problem.classes.iter().enumerate().filter(|(c, _)| self.left[*c] > 0)
        {
            for (m, _) in class.modes.iter().enumerate().filter(|(_, m)| m.has_suffix) {
                let place = johnson.place(c, m, 0);
                if place >= self.place {
                    let step = self.step(None, c, m, 0, None);
                    steps.push(Step { segment: 0, rank: order_of(place), ..step });
                }
            }
        }
        steps.sort_by_key(|s| (s.rank, s.class, s.mode));
    }

    fn step(
        &self,
        open: Option<usize>,
        class: usize,
        m: usize,
        sent: usize,
        parcel: Option<usize>,
    ) -> Step {
        let mode = &self.problem.classes[class].modes[m];
        let next = parcel.map_or(sent, |p| sent | 1 << p);
        let device = self.device + (mode.before(next) - mode.before(sent));
        let time = parcel.map_or(Time::ZERO, |p| mode.parcels[p].uplink);
        let uplink = parcel.map_or(self.uplink, |_| self.uplink.max(device) + time);
        let idle = uplink - time;
        Step { open, class, mode: m, parcel, segment: 0, rank: idle.max(device) + mode.device }
    }

    fn take(&mut self, step: Step) {
        let problem = self.problem;
        let mode = &problem.classes[step.class].modes[step.mode];
        let before = (self.device, self.deferred, self.uplink, self.server, self.returned);
        let place = self.place;
        let (open_before, sends, visits) = (self.open.clone(), self.sends.len(), self.visits.len());
        let mut open = match step.open {
            Some(o) => self.open.remove(o),
            None => {
                let mode = u32::try_from(step.mode).expect("modes are numbered in 32 bits");
                self.modes[step.class].push(mode);
                self.left[step.class] -= 1;
                let position = self.modes[step.class].len() - 1;
                Open { class: step.class, mode: step.mode, sent: 0, position, segment: 0 }
            }
        };
        let index = |n: usize| u32::try_from(n).expect("small instances have small numbers");
        let member = Member { class: index(step.class), position: index(open.position) };
        let mut arrival = Time::ZERO;
        let one = step.parcel.map(|p| u8::try_from(p).expect("parcels are few"));
        let parcels = match &self.johnson {
            None => one.as_slice(),
            Some(johnson) => {
                self.place = johnson.place(step.class, step.mode, step.segment);
                open.segment = step.segment + 1;
                &mode.segments[step.segment].parcels
            }
        };
        for &parcel in parcels {
            let next = open.sent | 1 << parcel;
            self.device += mode.before(next) - mode.before(open.sent);
            self.uplink = self.uplink.max(self.device) + mode.parcels[usize::from(parcel)].uplink;
            open.sent = next;
            arrival = self.uplink + problem.half;
            self.sends.push((member, parcel));
        }
        if open.sent == mode.all_parcels() {
            self.deferred += mode.rest();
            self.arrive(mode, arrival, member);
        } else {
            self.open.push(open);
        }
        self.node();
        (self.device, self.deferred, self.uplink, self.server, self.returned) = before;
        self.open = open_before;
        self.place = place;
        self.sends.truncate(sends);
        self.visits.truncate(visits);
        if step.open.is_none() {
            self.modes[step.class].pop();
            self.left[step.class] += 1;
        }
    }

    fn arrive(&mut self, mode: &Mode, arrival: Time, member: Member) {
        let half = self.problem.half;
        match self.tail {
            Tail::Free => {
                let made = arrival + mode.server;
                self.returned = self.returned.max(made + half);
            }
            Tail::One => {
                self.server = self.server.max(arrival) + mode.server;
                self.returned = self.returned.max(self.server + half);
            }
            Tail::Any => {
                let (server, download) = (mode.server, mode.download);
                self.visits.push((Visit { arrival, server, download }, member));
            }
        }
    }
}

/// The upper and the lower half of a time.
fn words(time: Time) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = time.nanoseconds().to_be_bytes();
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}

const TIME_NONE: Time = Time::from_nanoseconds(u64::MAX);

/// One way to go on: a parcel of a new or of an open job.
#[derive(Clone, Copy, Debug)]
struct Step {
    open: Option<usize>,
    class: usize,
    mode: usize,
    parcel: Option<usize>,
    /// In Johnson's order, which segment of the mode is sent as a whole.
    segment: usize,
    rank: Time,
}

/// What passes after the last arrival and before the way back.
fn after(mode: &Mode) -> Time {
    mode.server + mode.download.unwrap_or_default()
}

fn unsent(mode: &Mode, sent: usize) -> Time {
    let left = mode.parcels.iter().enumerate().filter(|(p, _)| sent >> p & 1 == 0);
    left.map(|(_, parcel)| parcel.uplink).sum()
}
