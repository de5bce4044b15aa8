//! What can be said about a lower bound without the planner: trivial plans that it must not
//! exceed, and a bound of our own, with its certificate recomputed from all cuts.

use crate::check::transfer::{shortest_transfer, transfer_time};
use crate::options::Granularity;
use crate::units::Time;
use crate::workload::{Layer, ModelGraph, Workload};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most cuts of one model that are looked at; jobs of a model with more count for nothing in
/// [`load_bound`].
const CUTS_MAX: usize = 1 << 15;

/// The cuts of a model with more layers than this are not looked at.
const LAYERS_MAX: usize = 4096;

/// Weights of machines are whole multiples of 1 / `WEIGHTS`.
const WEIGHTS: u128 = 1 << 14;

/// The smaller makespan of two plans that need no thought: every layer on the device, and every
/// layer on the server, first come, first served. No valid lower bound is above it.
pub fn simple_makespan(workload: &Workload) -> Time {
    let local = workload
        .jobs
        .iter()
        .map(|id| workload.models[id.index()].layers.iter().map(|l| l.device).sum::<Time>())
        .sum();
    offload_all(workload).map_or(local, |remote| remote.min(local))
}

/// The makespan with every layer on the server and inputs sent raw, in the order of the jobs;
/// `None` if the link cannot carry them.
fn offload_all(workload: &Workload) -> Option<Time> {
    let link = &workload.link;
    let mut uplink_free = Time::ZERO;
    let mut executors: BinaryHeap<Reverse<Time>> = BinaryHeap::new();
    let mut ends = Vec::with_capacity(workload.jobs.len());
    for id in &workload.jobs {
        let model = &workload.models[id.index()];
        if model.layers.is_empty() {
            continue;
        }
        let mut arrival = Time::ZERO;
        for tensor in model.inputs.iter().map(|t| &model.tensors[t.index()]) {
            if !tensor.readers.is_empty() {
                uplink_free += transfer_time(link.uplink, tensor.bytes)? + link.message_overhead;
                arrival = uplink_free + link.round_trip.half();
            }
        }
        let is_full = workload.executors.is_some_and(|n| executors.len() >= n.get() as usize);
        let free =
            if is_full { executors.pop().map_or(Time::ZERO, |Reverse(t)| t) } else { Time::ZERO };
        let end = arrival.max(free) + model.layers.iter().map(|l| l.server).sum();
        if workload.executors.is_some() {
            executors.push(Reverse(end));
        }
        let results = model.outputs.iter().map(|t| &model.tensors[t.index()]);
        let bytes: u128 =
            results.filter(|t| t.producer.is_some()).map(|t| u128::from(t.bytes)).sum();
        ends.push((end, u64::try_from(bytes).ok()?));
    }
    ends.sort();
    let mut last = Time::ZERO;
    for (end, bytes) in ends {
        last = match link.downlink {
            Some(downlink) => last.max(end) + transfer_time(downlink, bytes)?,
            None => last.max(end),
        };
    }
    let is_anything_sent =
        workload.jobs.iter().any(|id| !workload.models[id.index()].layers.is_empty());
    Some(if is_anything_sent { last + link.round_trip.half() } else { last })
}

/// A lower bound on the makespan of every plan at this granularity.
///
/// It is the larger of two. For any weights of the machines that add up to 1, no makespan is below
/// the sum over all jobs of the least weighted load that any cut of the job puts on the machines;
/// good weights are looked for, and any are valid. And no makespan is below the time that one job
/// takes alone. The arithmetic is in whole numbers, rounded down.
pub fn load_bound(workload: &Workload, granularity: Granularity) -> Time {
    let models: Vec<Cuts> = workload
        .models
        .iter()
        .zip(workload.job_counts())
        .filter(|&(_, count)| count > 0)
        .filter_map(|(model, count)| Cuts::of(workload, model, count))
        .collect();
    let alone = models.iter().map(|cuts| cuts.alone(workload, granularity)).max();
    let executors = workload.executors.map_or(0, |n| u128::from(n.get()));
    best_weights(&models, executors, workload.link.downlink.is_some())
        .max(alone.unwrap_or(Time::ZERO))
}

/// Climbs from the corners and the middle: weight moves from one machine to another while that
/// helps, in ever smaller steps.
fn best_weights(models: &[Cuts], executors: u128, has_downlink: bool) -> Time {
    let machines: Vec<usize> = [true, true, executors > 0, has_downlink]
        .iter()
        .enumerate()
        .filter(|(_, is_there)| **is_there)
        .map(|(machine, _)| machine)
        .collect();
    let value = |weights: &[u128; 4]| weighted_load(models, executors, weights);
    let mut weights = [0; 4];
    weights[0] = WEIGHTS / 2;
    weights[1] = WEIGHTS - weights[0];
    let mut best = value(&weights);
    let mut step = WEIGHTS / 2;
    while step > 0 {
        let mut improved = false;
        for &from in &machines {
            for &to in machines.iter().filter(|&&to| to != from) {
                if weights[from] < step {
                    continue;
                }
                let mut next = weights;
                next[from] -= step;
                next[to] += step;
                let found = value(&next);
                if found > best {
                    (best, weights, improved) = (found, next, true);
                }
            }
        }
        if !improved {
            step /= 2;
        }
    }
    best
}

/// The bound for these weights of device, uplink, server and downlink, rounded down.
fn weighted_load(models: &[Cuts], executors: u128, weights: &[u128; 4]) -> Time {
    // The load of a server is shared by its executors, so everything else counts that many times.
    let share = executors.max(1);
    let [device, uplink, server, downlink] = *weights;
    let scaled = [device * share, uplink * share, server, downlink * share];
    let total: u128 = models.iter().map(|m| m.least_load(&scaled) * u128::from(m.jobs)).sum();
    Time::from_nanoseconds((total / (WEIGHTS * share)) as u64)
}

/// Device, uplink and server time of a tensor in one form.
pub(super) type FormTimes = [u128; 3];

/// All cuts of one model, with what each puts on the machines.
pub(super) struct Cuts {
    jobs: u64,
    /// The forms in which each tensor can be sent.
    pub forms: Vec<Vec<FormTimes>>,
    /// For each tensor, the device time of all layers that must run before it is there.
    pub before: Vec<u128>,
    /// For each layer, whether it is or depends on each other one.
    pub ancestors: Vec<Vec<bool>>,
    pub cuts: Vec<CutLoad>,
}

pub(super) struct CutLoad {
    pub device: u128,
    /// Device time of the layers that some transfer waits for.
    pub awaited: u128,
    pub server: u128,
    pub downlink: u128,
    pub frontier: Vec<usize>,
    pub is_local: bool,
}

impl Cuts {
    /// `None` if there are too many.
    pub(super) fn of(workload: &Workload, model: &ModelGraph, jobs: u64) -> Option<Cuts> {
        let link = &workload.link;
        let forms = model.tensors.iter().map(|tensor| {
            let raw = (tensor.bytes, Time::ZERO, Time::ZERO);
            let encoded = tensor.encodings.iter().map(|e| (e.bytes, e.encode, e.decode));
            let times = encoded.chain([raw]).filter_map(|(bytes, encode, decode)| {
                let sent = shortest_transfer(link.uplink, bytes)? + link.message_overhead;
                Some([encode, sent, decode].map(|t| u128::from(t.nanoseconds())))
            });
            times.collect()
        });
        let mut search = Search {
            workload,
            model,
            on: vec![false; model.layers.len()],
            visited: 0,
            found: vec![],
        };
        let is_complete = model.layers.len() < LAYERS_MAX && search.from(0);
        let forms = forms.collect();
        let ancestors = is_complete.then(|| ancestors(model))?;
        let before = times_before(model, &ancestors);
        Some(Cuts { jobs, forms, before, ancestors, cuts: search.found })
    }

    /// The least weighted load of any cut, in weighted nanoseconds.
    fn least_load(&self, weights: &[u128; 4]) -> u128 {
        let [device, uplink, server, downlink] = *weights;
        let least = |forms: &Vec<FormTimes>| {
            forms.iter().map(|[d, u, s]| d * device + u * uplink + s * server).min()
        };
        let tensors: Vec<Option<u128>> = self.forms.iter().map(least).collect();
        let load = |cut: &CutLoad| {
            let sent: Option<u128> = cut.frontier.iter().map(|&t| tensors[t]).sum();
            Some(sent? + cut.device * device + cut.server * server + cut.downlink * downlink)
        };
        self.cuts.iter().filter_map(load).min().unwrap_or(0)
    }

    /// No job of this model is complete sooner, even alone.
    fn alone(&self, workload: &Workload, granularity: Granularity) -> Time {
        let half = u128::from(workload.link.round_trip.half().nanoseconds());
        let least = |t: &usize, time: fn(&FormTimes) -> u128| self.forms[*t].iter().map(time).min();
        let completion = |cut: &CutLoad| {
            if cut.is_local {
                return Some(cut.device);
            }
            let sent: Option<u128> = cut.frontier.iter().map(|t| least(t, |f| f[1])).sum();
            let decoded: Option<u128> = cut.frontier.iter().map(|t| least(t, |f| f[2])).sum();
            let coded: Option<Vec<u128>> =
                cut.frontier.iter().map(|t| least(t, |f| f[0] + f[1])).collect();
            let before = |t: &usize| match granularity {
                Granularity::Job => cut.device,
                Granularity::Layer => self.before[*t],
            };
            let first = cut.frontier.iter().map(before).min();
            let each = cut.frontier.iter().zip(coded?).map(|(t, c)| before(t) + c);
            let arrival = each.max().unwrap_or(0).max(first.unwrap_or(0) + sent?);
            let there = if cut.frontier.is_empty() { 0 } else { arrival + half };
            Some(cut.device.max(there + cut.server + decoded? + cut.downlink + half))
        };
        let least = self.cuts.iter().filter_map(completion).min().unwrap_or(0);
        Time::from_nanoseconds(u64::try_from(least).unwrap_or(0))
    }
}

/// Every downward-closed set, by deciding layer after layer in topological order.
struct Search<'a> {
    workload: &'a Workload,
    model: &'a ModelGraph,
    on: Vec<bool>,
    visited: usize,
    found: Vec<CutLoad>,
}

impl Search<'_> {
    /// False as soon as there are too many.
    fn from(&mut self, position: usize) -> bool {
        let model = self.model;
        let Some(&layer) = model.topological.get(position) else {
            self.visited += 1;
            self.found.extend(self.load());
            return self.visited <= CUTS_MAX;
        };
        let Layer { reads, .. } = &model.layers[layer.index()];
        let mut producers = reads.iter().filter_map(|t| model.tensors[t.index()].producer);
        let may_stay = producers.all(|p| self.on[p.index()]);
        if !self.from(position + 1) {
            return false;
        }
        if may_stay {
            self.on[layer.index()] = true;
            let is_complete = self.from(position + 1);
            self.on[layer.index()] = false;
            return is_complete;
        }
        true
    }

    /// What the present set puts on the machines; `None` if its results cannot come back.
    fn load(&self) -> Option<CutLoad> {
        let (model, link) = (self.model, &self.workload.link);
        let (mut device, mut server) = (Time::ZERO, Time::ZERO);
        for (layer, &on) in model.layers.iter().zip(&self.on) {
            if on { device += layer.device } else { server += layer.server }
        }
        let frontier = model.tensors.iter().enumerate().filter(|(_, tensor)| {
            tensor.producer.is_none_or(|p| self.on[p.index()])
                && tensor.readers.iter().any(|r| !self.on[r.index()])
        });
        let results = model.outputs.iter().map(|t| &model.tensors[t.index()]);
        let remote = results.filter(|t| t.producer.is_some_and(|p| !self.on[p.index()]));
        let bytes = u64::try_from(remote.map(|t| u128::from(t.bytes)).sum::<u128>()).ok()?;
        let downlink =
            link.downlink.map_or(Some(Time::ZERO), |link| shortest_transfer(link, bytes))?;
        Some(CutLoad {
            device: device.nanoseconds().into(),
            awaited: self.awaited(),
            server: server.nanoseconds().into(),
            downlink: downlink.nanoseconds().into(),
            frontier: frontier.map(|(t, _)| t).collect(),
            is_local: self.on.iter().all(|&on| on),
        })
    }

    /// Device time of the layers of the present set that some layer outside it depends on.
    fn awaited(&self) -> u128 {
        let model = self.model;
        let mut is_awaited = vec![false; model.layers.len()];
        let mut time = 0;
        for &layer in model.topological.iter().rev() {
            let Layer { device, writes, .. } = &model.layers[layer.index()];
            let mut readers = writes.iter().flat_map(|t| &model.tensors[t.index()].readers);
            if self.on[layer.index()]
                && readers.any(|r| !self.on[r.index()] || is_awaited[r.index()])
            {
                is_awaited[layer.index()] = true;
                time += u128::from(device.nanoseconds());
            }
        }
        time
    }
}

/// For each layer, itself and all that it depends on.
fn ancestors(model: &ModelGraph) -> Vec<Vec<bool>> {
    let mut ancestors: Vec<Vec<bool>> = vec![vec![]; model.layers.len()];
    for &layer in &model.topological {
        let mut set = vec![false; model.layers.len()];
        for tensor in &model.layers[layer.index()].reads {
            if let Some(before) = model.tensors[tensor.index()].producer {
                let other = &ancestors[before.index()];
                set.iter_mut().zip(other).for_each(|(mine, theirs)| *mine |= theirs);
            }
        }
        set[layer.index()] = true;
        ancestors[layer.index()] = set;
    }
    ancestors
}

/// For each tensor, the device time of its layer and of all layers before that.
fn times_before(model: &ModelGraph, ancestors: &[Vec<bool>]) -> Vec<u128> {
    let time = |set: &Vec<bool>| -> u128 {
        let layers = model.layers.iter().zip(set).filter(|(_, is_before)| **is_before);
        layers.map(|(l, _)| u128::from(l.device.nanoseconds())).sum()
    };
    let times: Vec<u128> = ancestors.iter().map(time).collect();
    model.tensors.iter().map(|t| t.producer.map_or(0, |p| times[p.index()])).collect()
}
