//! All orders of few jobs: every cut, every form, every sequence of transfers.
//!
//! The device does first what the next transfer waits for; no other order of its work is better for
//! the same sequence of transfers. With one executor and results that return at no cost the server
//! takes jobs as they arrive. With more executors, or a downlink, jobs are taken not to wait for
//! each other there beyond what the sums of their loads say, so that the search still gives a
//! bound, if not always the best.

use crate::check::bound::{CutLoad, Cuts};
use crate::check::proof::modes::{Loads, choices, loads_of};
use crate::check::proof::prices::{Weights, around, time_of, weighted};
use crate::options::Granularity;
use crate::workload::{ModelGraph, Workload};
use std::collections::BTreeMap;

/// A cut with more tensors than this on its frontier is not searched.
const SENDS_MAX: usize = 8;

/// A model with more ways than this is not searched.
const WAYS_MAX: usize = 600;

/// Beginnings that are compared with one that has the same jobs left.
const COMPARED_MAX: usize = 64;

/// Beginnings that are remembered.
const REMEMBERED_MAX: usize = 100_000;

/// One way to run one job, tensor by tensor.
#[derive(Clone, Debug)]
struct Way {
    loads: Loads,
    /// For each set of tensors, as bits, the device time that they wait for.
    before: Vec<u64>,
    sends: Vec<u64>,
    server: u64,
    /// From the end of the server's work to completion.
    back: u64,
    is_local: bool,
}

/// The jobs of one model.
pub(super) struct Jobs {
    count: usize,
    ways: Vec<Way>,
}

impl Jobs {
    /// `None` if there are too many ways to run one job.
    pub(super) fn new(
        workload: &Workload,
        model: &ModelGraph,
        cuts: &Cuts,
        granularity: Granularity,
        count: u64,
    ) -> Option<Jobs> {
        let mut ways: Vec<Way> = Vec::new();
        for cut in &cuts.cuts {
            if cut.frontier.len() > SENDS_MAX {
                return None;
            }
            for forms in choices(cuts, cut)? {
                let Some(way) = way(workload, model, cuts, cut, &forms, granularity) else {
                    continue;
                };
                if ways.iter().any(|w| w.replaces(&way)) {
                    continue;
                }
                ways.retain(|w| !way.replaces(w));
                ways.push(way);
            }
            if ways.len() > WAYS_MAX {
                return None;
            }
        }
        Some(Jobs { count: usize::try_from(count).ok()?, ways })
    }
}

impl Way {
    /// Whether a job that sends one tensor at most, like the other, does nothing later than it.
    fn replaces(&self, other: &Way) -> bool {
        let is_no_longer = self.loads.iter().zip(other.loads).all(|(a, b)| *a <= b);
        if self.is_local {
            return self.loads[0] <= other.loads[0];
        }
        is_no_longer
            && !other.is_local
            && self.sends.len() <= 1
            && self.sends.len() == other.sends.len()
            && self.before.last() <= other.before.last()
            && self.server <= other.server
            && self.back <= other.back
    }

    fn all(&self) -> usize {
        self.before.len() - 1
    }

    fn unsent(&self, sent: usize) -> u64 {
        let left = self.sends.iter().enumerate().filter(|(u, _)| sent >> u & 1 == 0);
        left.map(|(_, time)| time).sum()
    }
}

fn way(
    workload: &Workload,
    model: &ModelGraph,
    cuts: &Cuts,
    cut: &CutLoad,
    forms: &[[u64; 3]],
    granularity: Granularity,
) -> Option<Way> {
    let (loads, server) = loads_of(workload, cut, forms)?;
    let mut before = vec![0u64];
    for mask in 1..1usize << forms.len() {
        let is_in = |u: &usize| mask >> u & 1 == 1;
        let encodes: u64 = (0..forms.len()).filter(is_in).map(|u| forms[u][0]).sum();
        let layers: u64 = match granularity {
            Granularity::Job => cut.device as u64,
            Granularity::Layer => {
                let needed = |l: usize| {
                    let mut sent = (0..forms.len()).filter(is_in).map(|u| cut.frontier[u]);
                    sent.any(|t| {
                        let producer = model.tensors[t].producer;
                        producer.is_some_and(|p| cuts.ancestors[p.index()][l])
                    })
                };
                let all = model.layers.iter().enumerate().filter(|(l, _)| needed(*l));
                all.map(|(_, layer)| layer.device.nanoseconds()).sum()
            }
        };
        before.push(layers + encodes);
    }
    Some(Way {
        loads,
        before,
        sends: forms.iter().map(|f| f[1]).collect(),
        server,
        back: loads[3] + workload.link.round_trip.half().nanoseconds(),
        is_local: cut.is_local,
    })
}

/// A job with some of its tensors sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    class: usize,
    way: usize,
    sent: usize,
}

/// A beginning of the sequence of transfers.
#[derive(Clone, Debug)]
struct Begun {
    left: Vec<usize>,
    open: Vec<Open>,
    is_remote: bool,
    times: Times,
}

/// When the machines are done with what has begun.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// The work that transfers so far wait for.
    device: u64,
    uplink: u64,
    /// With one executor.
    server: u64,
    /// The last completion.
    complete: u64,
    /// Of all jobs that have begun.
    loads: Loads,
}

impl Times {
    fn is_no_later(&self, other: &Times) -> bool {
        self.device <= other.device
            && self.uplink <= other.uplink
            && self.server <= other.server
            && self.complete <= other.complete
            && self.loads.iter().zip(other.loads).all(|(a, b)| *a <= b)
    }
}

struct Search<'j> {
    jobs: &'j [Jobs],
    half: u64,
    /// Whether the server does one job at a time, and results return at no cost.
    is_single: bool,
    weights: Vec<Weights>,
    /// For each class and each of the weights.
    least: Vec<Vec<u128>>,
    /// Between the last transfer and the completion of any job.
    tail: u64,
    best: u64,
    steps: u64,
    seen: BTreeMap<Vec<usize>, Vec<Times>>,
    remembered: usize,
}

/// A bound on every plan that uses the server, at most `enough`; `None` if it takes more steps.
pub(super) fn bound(
    workload: &Workload,
    jobs: &[Jobs],
    best: &Weights,
    enough: u64,
    steps: u64,
) -> Option<u64> {
    let ways = || jobs.iter().flat_map(|j| &j.ways);
    let machines: Vec<usize> = (0..4).filter(|&m| ways().any(|w| w.loads[m] > 0)).collect();
    let weights = around(best, &machines);
    let least = jobs.iter().map(|jobs| {
        let of = |w| jobs.ways.iter().map(|way| weighted(w, &way.loads)).min().unwrap_or(0);
        weights.iter().map(of).collect()
    });
    let half = workload.link.round_trip.half().nanoseconds();
    let tail = |w: &Way| w.server + w.back + if w.sends.is_empty() { 0 } else { half };
    let remote = ways().filter(|w| !w.is_local);
    let mut search = Search {
        jobs,
        half,
        is_single: workload.executors.is_some_and(|n| n.get() == 1)
            && workload.link.downlink.is_none(),
        least: least.collect(),
        weights,
        tail: remote.map(tail).min().unwrap_or(0),
        best: enough,
        steps,
        seen: BTreeMap::new(),
        remembered: 0,
    };
    let start = Begun {
        left: jobs.iter().map(|j| j.count).collect(),
        open: Vec::new(),
        is_remote: false,
        times: Times::default(),
    };
    search.go_on(&start)?;
    Some(search.best)
}

impl Search<'_> {
    /// `None` if that takes too many steps.
    fn go_on(&mut self, begun: &Begun) -> Option<()> {
        self.steps = self.steps.checked_sub(1)?;
        if begun.open.is_empty() && begun.is_remote {
            self.keep_the_rest(begun);
        }
        if self.at_least(begun) >= self.best || self.is_seen(begun) {
            return Some(());
        }
        for (place, &open) in begun.open.iter().enumerate() {
            let mut without = begun.clone();
            without.open.remove(place);
            self.send_each(&without, open)?;
        }
        let jobs = self.jobs;
        for (class, Jobs { ways, .. }) in jobs.iter().enumerate() {
            if begun.left[class] == 0 {
                continue;
            }
            for (way, what) in ways.iter().enumerate().filter(|(_, w)| !w.is_local) {
                let mut next = begun.clone();
                next.left[class] -= 1;
                next.is_remote = true;
                next.times.loads.iter_mut().zip(what.loads).for_each(|(sum, load)| *sum += load);
                if what.sends.is_empty() {
                    let complete = what.server + what.back;
                    next.times.complete = next.times.complete.max(complete);
                    self.go_on(&next)?;
                } else {
                    self.send_each(&next, Open { class, way, sent: 0 })?;
                }
            }
        }
        Some(())
    }

    /// Sends one more tensor of a job that is not in `begun.open`, each in turn.
    fn send_each(&mut self, begun: &Begun, open: Open) -> Option<()> {
        let jobs = self.jobs;
        let way = &jobs[open.class].ways[open.way];
        for (u, &time) in way.sends.iter().enumerate().filter(|(u, _)| open.sent >> u & 1 == 0) {
            let mut next = begun.clone();
            let sent = open.sent | 1 << u;
            let times = &mut next.times;
            times.device += way.before[sent] - way.before[open.sent];
            times.uplink = times.uplink.max(times.device) + time;
            if sent == way.all() {
                let arrival = times.uplink + self.half;
                let start = if self.is_single { arrival.max(times.server) } else { arrival };
                times.server = start + way.server;
                times.complete = times.complete.max(times.server + way.back);
                if !self.is_single {
                    times.server = 0;
                }
            } else {
                let place = next.open.partition_point(|o| *o < Open { sent, ..open });
                next.open.insert(place, Open { sent, ..open });
            }
            self.go_on(&next)?;
        }
        Some(())
    }

    /// All jobs that have not begun stay on the device.
    fn keep_the_rest(&mut self, begun: &Begun) {
        let mut device = begun.times.loads[0];
        for (jobs, &left) in self.jobs.iter().zip(&begun.left).filter(|(_, left)| **left > 0) {
            let Some(local) = jobs.ways.iter().find(|w| w.is_local) else { return };
            device = device.saturating_add(local.loads[0].saturating_mul(left as u64));
        }
        self.best = self.best.min(device.max(begun.times.complete));
    }

    /// No plan that begins so and uses the server is shorter.
    fn at_least(&self, begun: &Begun) -> u64 {
        let Times { uplink, server, loads, complete, .. } = begun.times;
        let mut busy = [loads[0], uplink + self.tail, loads[2], loads[3]];
        for open in &begun.open {
            busy[1] += self.jobs[open.class].ways[open.way].unsent(open.sent);
        }
        if self.is_single {
            let open = begun.open.iter().map(|o| self.jobs[o.class].ways[o.way].server);
            busy[2] = server + open.sum::<u64>() + self.half;
        }
        let mut most = complete;
        for (w, weights) in self.weights.iter().enumerate() {
            let jobs = begun.left.iter().zip(&self.least);
            let rest: u128 = jobs.map(|(&left, least)| left as u128 * least[w]).sum();
            most = most.max(time_of(weighted(weights, &busy) + rest, weights));
            if most >= self.best {
                break;
            }
        }
        most
    }

    /// Whether the same jobs were left before, and nothing then was later than now; if not, now is
    /// remembered.
    fn is_seen(&mut self, begun: &Begun) -> bool {
        let mut key = begun.left.clone();
        key.push(usize::from(begun.is_remote));
        key.extend(begun.open.iter().flat_map(|o| [o.class, o.way, o.sent]));
        let seen = self.seen.entry(key).or_default();
        if seen.iter().any(|times| times.is_no_later(&begun.times)) {
            return true;
        }
        let before = seen.len();
        seen.retain(|times| !begun.times.is_no_later(times));
        self.remembered -= before - seen.len();
        if seen.len() < COMPARED_MAX && self.remembered < REMEMBERED_MAX {
            seen.push(begun.times);
            self.remembered += 1;
        }
        false
    }
}
