//! When each job of a sequence is complete, where jobs arrive over time or each completion counts.
//!
//! The device does all of a job's work when its turn comes, so that no job waits for work that
//! it does not need. That is not the order of `Outline`, which leaves to the end what no
//! transfer waits for: good for the last completion, bad for the mean.

use crate::cut::LayerSet;
use crate::joint::reinsertion::carry;
use crate::joint::send_order::{Member, prepare};
use crate::options::Objective;
use crate::plan::{Partition, Work};
use crate::problem::{Mode, Problem};
use crate::simulate::Decision;
use crate::units::Time;
use crate::workload::{JobId, LayerId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// In sequences of at most this many jobs, a job is moved and given another mode in one step.
const PAIRED_MAX: usize = 12;

/// One job of a sequence and the mode it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub member: Member,
    pub mode: usize,
}

/// How good a sequence is, the smaller the better: the objective first, the other one next.
pub(crate) type Value = (u128, u128);

/// What a plan is to be good at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    pub objective: Objective,
    /// The time between two arrivals; `None` if all jobs are there from the start.
    pub period: Option<Time>,
}

impl Goal {
    /// How good it is if the jobs are complete at these times.
    pub(crate) fn value(&self, completions: &[Time]) -> Value {
        let last = completions.iter().max().map_or(0, |t| u128::from(t.nanoseconds()));
        let sum = completions.iter().map(|t| u128::from(t.nanoseconds())).sum();
        match self.objective {
            Objective::Makespan => (last, sum),
            Objective::MeanCompletion => (sum, last),
        }
    }
}

/// Evaluates sequences of one problem.
#[derive(Debug)]
pub(crate) struct TurnSearch<'p> {
    pub problem: &'p Problem<'p>,
    pub goal: Goal,
    /// By turn: when it is complete.
    completions: Vec<Time>,
    /// Jobs that reach the server: when, and their turns.
    visits: Vec<(Time, usize)>,
}

impl<'p> TurnSearch<'p> {
    pub(crate) fn new(problem: &'p Problem<'p>, goal: Goal) -> TurnSearch<'p> {
        TurnSearch { problem, goal, completions: Vec::new(), visits: Vec::new() }
    }

    pub(crate) fn job(&self, turn: &Turn) -> JobId {
        let Member { class, position } = turn.member;
        self.problem.classes[class as usize].jobs[position as usize]
    }

    pub(crate) fn mode(&self, turn: &Turn) -> &'p Mode {
        &self.problem.classes[turn.member.class as usize].modes[turn.mode]
    }

    fn arrival(&self, turn: &Turn) -> Time {
        self.goal.period.unwrap_or_default() * u64::from(self.job(turn).0)
    }

    /// The value of a sequence. O(n log n).
    pub(crate) fn value(&mut self, turns: &[Turn]) -> Value {
        self.run(turns);
        self.goal.value(&self.completions)
    }

    fn run(&mut self, turns: &[Turn]) {
        let half = self.problem.half;
        self.completions.clear();
        self.visits.clear();
        let (mut device, mut uplink) = (Time::ZERO, Time::ZERO);
        for (t, turn) in turns.iter().enumerate() {
            let (mode, here) = (self.mode(turn), self.arrival(turn));
            // What does nothing on the device, not even for no time, does not wait for it.
            let is_encoded = mode.uploads.iter().any(|u| u.encoding.is_some());
            let is_on_device = mode.layers.count() > 0 || is_encoded;
            let (mut start, mut arrival) = (here, here);
            if is_on_device {
                start = device.max(here);
            }
            for segment in mode.segments.iter().filter(|s| !s.parcels.is_empty()) {
                uplink = (uplink + segment.uplink).max(start + segment.alone);
                start += segment.device;
                arrival = uplink + half;
            }
            let end = start + if mode.has_suffix { mode.rest() } else { mode.device };
            if is_on_device {
                device = end;
            }
            self.completions.push(end);
            if mode.has_suffix {
                self.visits.push((arrival, t));
            }
        }
        self.server(turns);
    }

    fn server(&mut self, turns: &[Turn]) {
        let half = self.problem.half;
        let mut visits = std::mem::take(&mut self.visits);
        visits.sort_by_key(|&(arrival, t)| (arrival, self.job(&turns[t])));
        let executors = self.problem.executors.unwrap_or(visits.len() as u64);
        let mut free: BinaryHeap<Reverse<Time>> =
            (0..executors.min(visits.len() as u64)).map(|_| Reverse(Time::ZERO)).collect();
        for (made, t) in &mut visits {
            let Some(Reverse(executor)) = free.pop() else { break };
            *made = (*made).max(executor) + self.mode(&turns[*t]).server;
            free.push(Reverse(*made));
        }
        visits.sort_by_key(|&(made, t)| (made, self.job(&turns[t])));
        let mut downlink = Time::ZERO;
        for &(made, t) in &visits {
            let mut done = made;
            if let Some(time) = self.mode(&turns[t]).download {
                downlink = downlink.max(made) + time;
                done = downlink;
            }
            self.completions[t] = self.completions[t].max(done + half);
        }
        self.visits = visits;
    }

    /// The sequence in full.
    pub(crate) fn decision(&self, turns: &[Turn]) -> Decision {
        let problem = self.problem;
        let mut partitions: Vec<Option<Partition>> = vec![None; problem.jobs()];
        let (mut device, mut uplink) = (Vec::new(), Vec::new());
        for turn in turns {
            let (job, mode) = (self.job(turn), self.mode(turn));
            let model = problem.workload.model_of(job);
            let mut done = LayerSet::none(model);
            let mut uploads = Vec::with_capacity(mode.uploads.len());
            for &p in mode.segments.iter().flat_map(|s| &s.parcels) {
                let parcel = &mode.parcels[p as usize];
                prepare(problem, job, mode, parcel, &mut done, &mut device);
                for &u in &parcel.uploads {
                    let upload = &mode.uploads[u as usize];
                    uplink.push((job, upload.tensor));
                    uploads.push(upload.clone());
                }
            }
            let left = |l: &LayerId| mode.layers.contains(*l) && !done.contains(*l);
            let rest = model.topological.iter().copied().filter(left);
            device.extend(rest.map(|l| (job, Work::Layer(l))));
            let device_layers = mode.layers.clone();
            partitions[job.index()] = Some(Partition { device_layers, uploads });
        }
        let partitions = partitions.into_iter().map(|p| p.expect("every job has a turn"));
        Decision {
            partitions: partitions.collect(),
            device,
            uplink,
            server: None,
            period: self.goal.period,
        }
    }

    /// Improves a sequence by other modes for single jobs, and by moving jobs where the order is
    /// free, until nothing helps or `budget` turns have been looked at.
    pub(crate) fn improve(
        &mut self,
        turns: &mut [Turn],
        tried: &[Vec<usize>],
        budget: &mut u64,
    ) -> Value {
        let mut best = self.value(turns);
        loop {
            let before = best;
            for i in 0..turns.len() {
                self.change_mode(turns, i, tried, budget, &mut best);
            }
            if self.goal.period.is_none() {
                for i in 0..turns.len() {
                    let modes = &tried[turns[i].member.class as usize];
                    let modes = if turns.len() <= PAIRED_MAX { &modes[..] } else { &[] };
                    self.reinsert(turns, i, modes, budget, &mut best);
                }
            }
            if best >= before || *budget == 0 {
                return best;
            }
        }
    }

    fn spend(&mut self, turns: &[Turn], budget: &mut u64) -> Option<Value> {
        if *budget == 0 {
            return None;
        }
        *budget = budget.saturating_sub(turns.len() as u64);
        Some(self.value(turns))
    }

    fn change_mode(
        &mut self,
        turns: &mut [Turn],
        i: usize,
        tried: &[Vec<usize>],
        budget: &mut u64,
        best: &mut Value,
    ) {
        for &mode in &tried[turns[i].member.class as usize] {
            let old = std::mem::replace(&mut turns[i].mode, mode);
            if mode == old {
                continue;
            }
            match self.spend(turns, budget) {
                Some(value) if value < *best => *best = value,
                _ => turns[i].mode = old,
            }
        }
    }

    /// Puts a job where the value is least, in its mode or in one of `modes`.
    fn reinsert(
        &mut self,
        turns: &mut [Turn],
        from: usize,
        modes: &[usize],
        budget: &mut u64,
        best: &mut Value,
    ) {
        let mut order = turns.to_vec();
        let own = turns[from].mode;
        let (mut at, mut to_best) = (from, None);
        for to in (0..from).rev().chain(from + 1..turns.len()) {
            carry(&mut order, at, to);
            at = to;
            for &mode in std::iter::once(&own).chain(modes) {
                order[at].mode = mode;
                match self.spend(&order, budget) {
                    Some(value) if value < *best => (*best, to_best) = (value, Some((to, mode))),
                    Some(_) => {}
                    None => break,
                }
            }
            order[at].mode = own;
        }
        if let Some((to, mode)) = to_best {
            carry(turns, from, to);
            turns[to].mode = mode;
        }
    }
}
