//! Completion times of the jobs of a sequence, for arrivals over time and for objectives that count
//! each completion.
//!
//! The device does all of a job's work when its turn comes, so that no job waits for work that
//! it does not need. That is not the order of `Outline`, which leaves to the end what no
//! transfer waits for: good for the last completion, bad for the mean.

use crate::joint::send_order::{Draft, Member};
use crate::joint::sequence::{self, SequenceSearch};
use crate::options::Objective;
use crate::problem::{Mode, Problem};
use crate::simulate::Decision;
use crate::simulate::after_uplink::{Visit, returns};
use crate::units::Time;
use crate::workload::JobId;

/// In sequences of at most this many jobs, a job is moved and given another mode in one step.
const PAIRED_MAX: usize = 12;

/// One job of a sequence and the mode it takes.
pub(crate) type Turn = sequence::Turn<Member>;

/// The value of a sequence, to be minimised: the objective first, the other one next.
pub(crate) type Value = (u128, u128);

/// The goal of a plan: its objective, and the arrivals of its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    pub objective: Objective,
    /// The time between two arrivals; `None` if all jobs are there from the start.
    pub period: Option<Time>,
}

impl Goal {
    /// The value of these completion times.
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
    /// For each job of the workload, when it is complete.
    completions: Vec<Time>,
    visits: Vec<Visit>,
}

impl<'p> TurnSearch<'p> {
    pub(crate) fn new(problem: &'p Problem<'p>, goal: Goal) -> TurnSearch<'p> {
        let completions = vec![Time::ZERO; problem.jobs()];
        TurnSearch { problem, goal, completions, visits: Vec::new() }
    }

    pub(crate) fn job(&self, turn: &Turn) -> JobId {
        turn.member.job(self.problem)
    }

    pub(crate) fn mode(&self, turn: &Turn) -> &'p Mode {
        &self.problem.classes[turn.member.class].modes[turn.mode]
    }

    fn arrival(&self, turn: &Turn) -> Time {
        self.goal.period.unwrap_or_default() * u64::from(self.job(turn).0)
    }

    /// The value of a sequence. O(n log n).
    pub(crate) fn value(&mut self, turns: &[Turn]) -> Value {
        let half = self.problem.half;
        self.visits.clear();
        let (mut device, mut uplink) = (Time::ZERO, Time::ZERO);
        for turn in turns {
            let (mode, here) = (self.mode(turn), self.arrival(turn));
            // What does nothing on the device, not even for no time, does not wait for it.
            let is_encoded = mode.uploads.iter().any(|u| u.encoding.is_some());
            let is_on_device = mode.layers.count() > 0 || is_encoded;
            let (mut start, mut arrival) = (here, here);
            if is_on_device {
                start = device.max(here);
            }
            for segment in mode.sending_segments() {
                uplink = (uplink + segment.block.uplink).max(start + segment.block.alone);
                start += segment.block.device;
                arrival = uplink + half;
            }
            let end = start + if mode.has_suffix { mode.rest() } else { mode.device };
            if is_on_device {
                device = end;
            }
            let job = self.job(turn);
            self.completions[job.index()] = end;
            if mode.has_suffix {
                self.visits.push(Visit::new(mode, arrival, job));
            }
        }
        self.visits.sort_by_key(|visit| (visit.arrival, visit.job));
        returns(self.visits.iter(), self.problem.executors, |visit, _, returned| {
            let completion = &mut self.completions[visit.job.index()];
            *completion = (*completion).max(returned + half);
        });
        self.goal.value(&self.completions)
    }

    /// The sequence in full.
    pub(crate) fn decision(&self, turns: &[Turn]) -> Decision {
        let mut draft = Draft::new(self.problem);
        for turn in turns {
            let (job, mode) = (self.job(turn), self.mode(turn));
            mode.parcels_in_order().for_each(|parcel| draft.send(job, mode, parcel));
            draft.finish(job, mode);
        }
        Decision { period: self.goal.period, ..draft.decision() }
    }

    /// Improves a sequence by other modes for single jobs, and by moving jobs where the order is
    /// free, until nothing helps or `budget` turns have been looked at.
    pub(crate) fn improve(
        &mut self,
        turns: &mut [Turn],
        tried: &[Vec<usize>],
        budget: u64,
    ) -> Value {
        let is_free = self.goal.period.is_none();
        let is_paired = turns.len() <= PAIRED_MAX;
        let best = self.value(turns);
        let value = |turns: &[Turn]| self.value(turns);
        let mut search = SequenceSearch { value, best, budget };
        loop {
            let before = search.best;
            for i in 0..turns.len() {
                search.change_mode(turns, i, &tried[turns[i].member.class]);
            }
            for i in (0..turns.len()).filter(|_| is_free) {
                let modes = &tried[turns[i].member.class];
                search.reinsert(turns, i, if is_paired { modes } else { &[] });
            }
            if search.best >= before || search.budget == 0 {
                return search.best;
            }
        }
    }
}
