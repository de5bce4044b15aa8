//! The policies that joint is compared with, and starts from.

use crate::bound::{LoadBound, lower_bound};
use crate::cut::LayerSet;
use crate::joint::best_mix::{best_mix, rules};
use crate::joint::exact;
use crate::joint::identical::{LEAVES, identical};
use crate::joint::local_search::{first_choice, promising};
use crate::joint::mix::{Line, Mix, Rule};
use crate::joint::send_order::{Member, Outline};
use crate::options::Policy;
use crate::partition::candidates::{Candidate, Candidates};
use crate::partition::dominance::undominated;
use crate::partition::prefixes;
use crate::policy::budget::NODES_JOINT;
use crate::policy::budget::RESTRICTED_JOBS_MAX;
use crate::policy::planner::{Found, Planner};
use crate::problem::{Counts, Mode, ModeSet, Pricer, Problem};
use crate::units::Time;
use crate::workload::JobId;

impl<'c> Planner<'c> {
    /// The plan of a policy other than joint and exhaustive; `None` if a job cannot be done so.
    pub(super) fn simple(&self, policy: Policy) -> Option<Found<'c>> {
        match policy {
            Policy::ScheduleOnly => self.mix_of(|_, pricer| whole_jobs(pricer)),
            Policy::Adjacent => self.mix_of(|_, pricer| adjacent(pricer)),
            Policy::BestSingle => Some(self.best_single()),
            Policy::LocalOnly => self.in_arrival_order(|_, pricer| local(pricer)),
            Policy::ServerOnly => self.in_arrival_order(|_, pricer| offloaded(pricer)),
            Policy::PartitionOnly | Policy::Joint | Policy::Exhaustive => {
                self.in_arrival_order(|class, _| {
                    let modes = self.problem.classes[class].modes.iter();
                    let half = self.problem.half;
                    modes.min_by_key(|m| (m.latency(half), m.device)).cloned().into_iter().collect()
                })
            }
        }
    }

    /// The quickest of a few modes for every job of a class, jobs in the order of the workload.
    fn in_arrival_order(
        &self,
        mut modes: impl FnMut(usize, &Pricer<'_>) -> Vec<Mode>,
    ) -> Option<Found<'c>> {
        let half = self.problem.half;
        let problem = self.context.problem(|class, pricer| {
            let quickest =
                modes(class, pricer).into_iter().min_by_key(|m| (m.latency(half), m.device));
            ModeSet { modes: quickest.into_iter().collect(), is_complete: false }
        })?;
        let outline = arrival_outline(&problem);
        Some(Found::of(problem, outline))
    }

    /// The best mix of a few modes of each class.
    fn mix_of(&self, mut modes: impl FnMut(usize, &Pricer<'_>) -> Vec<Mode>) -> Option<Found<'c>> {
        let problem = self
            .context
            .problem(|class, pricer| ModeSet { modes: modes(class, pricer), is_complete: true })?;
        let known = identical(&problem, LEAVES);
        let time = known.as_ref().map_or(Time::ZERO, |(solution, _)| solution.lower_bound);
        let bound = LoadBound { time, ..lower_bound(&problem) };
        let (counts, rule) = best_mix(&problem, &bound, known.as_ref().map(|(_, counts)| counts));
        let outline = Line::new(&problem, rule).outline(&counts);
        let mut found = Found::of(problem, outline);
        polish(&mut found);
        Some(found)
    }

    /// One mode for all jobs of a model: every choice tried for one model, class by class for
    /// several.
    fn best_single(&self) -> Found<'c> {
        let problem = &self.problem;
        let start = first_choice(problem, &promising(problem, self.bound.prices));
        let mut best: Option<(Time, Counts, Rule)> = None;
        for rule in rules(problem) {
            let line = Line::new(problem, rule);
            let mut mix = Mix::new(&line, start.clone());
            let makespan = descend(problem, &mut mix);
            if best.as_ref().is_none_or(|(b, _, _)| makespan < *b) {
                best = Some((makespan, mix.counts, rule));
            }
        }
        let (_, counts, rule) = best.expect("there is at least one rule");
        let outline = Line::new(problem, rule).outline(&counts);
        Found {
            makespan: outline.makespan(problem),
            outline,
            problem: None,
            is_proved: false,
            lower_bound: Time::ZERO,
        }
    }
}

/// Moves whole classes from mode to mode while that helps.
fn descend(problem: &Problem<'_>, mix: &mut Mix<'_, '_>) -> Time {
    let mut best = mix.makespan();
    loop {
        let before = best;
        for (c, class) in problem.classes.iter().enumerate() {
            let mut from = mix.counts[c].iter().position(|&n| n > 0).unwrap_or(0);
            for to in 0..class.modes.len() {
                if to == from {
                    continue;
                }
                mix.shift(c, from, to, class.count());
                let makespan = mix.makespan();
                if makespan < best {
                    (best, from) = (makespan, to);
                } else {
                    mix.shift(c, to, from, class.count());
                }
            }
        }
        if best == before {
            return best;
        }
    }
}

/// Searches everything that the problem of `found` allows, if it is small.
fn polish(found: &mut Found<'_>) {
    let Some(problem) = &found.problem else { return };
    if problem.jobs() <= RESTRICTED_JOBS_MAX {
        let exact = exact::search(problem, found.makespan, Time::ZERO, NODES_JOINT / 8);
        if let Some((makespan, outline)) = exact.better {
            (found.makespan, found.outline) = (makespan, outline);
        }
    }
}

/// Every job in its class's first mode, in the order of the workload.
fn arrival_outline(problem: &Problem<'_>) -> Outline {
    let mut members: Vec<(JobId, Member)> = Vec::new();
    for (class, c) in (0u32..).zip(&problem.classes) {
        let jobs = (0u32..).zip(c.jobs);
        members.extend(jobs.map(|(position, &job)| (job, Member { class, position })));
    }
    members.sort_by_key(|&(job, _)| job);
    let sends = members.iter().flat_map(|&(_, member)| {
        let mode = &problem.classes[member.class as usize].modes[0];
        mode.segments.iter().flat_map(|s| &s.parcels).map(move |&p| (member, p))
    });
    Outline {
        sends: sends.collect(),
        modes: problem.classes.iter().map(|c| vec![0; c.jobs.len()]).collect(),
        server: None,
    }
}

fn local(pricer: &Pricer<'_>) -> Vec<Mode> {
    pricer.mode(LayerSet::all(pricer.model), Vec::new()).into_iter().collect()
}

/// The modes with every layer on the server.
fn offloaded(pricer: &Pricer<'_>) -> Vec<Mode> {
    let mut candidates = Candidates::new(pricer);
    candidates.add_cut(&LayerSet::none(pricer.model));
    undominated(pricer, candidates.found)
}

/// Everything on the device, or everything on the server.
fn whole_jobs(pricer: &Pricer<'_>) -> Vec<Mode> {
    let mut candidates = Candidates::new(pricer);
    candidates.add_cut(&LayerSet::none(pricer.model));
    candidates.add_cut(&LayerSet::all(pricer.model));
    undominated(pricer, candidates.found)
}

/// The two cut points next to each other, along the model's topological order, between which the
/// uplink stops being the longer stage; cut points that another one beats are left out before.
///
/// Paper: the two adjacent cut points; a stand-in, since the published rule was not available.
fn adjacent(pricer: &Pricer<'_>) -> Vec<Mode> {
    let mut listed = Candidates::new(pricer);
    for layers in prefixes(pricer) {
        listed.add_cut(&layers);
    }
    let mut points = listed.found;
    points.sort_by_key(|c| (c.times.device, c.times.uplink, c.times.server));
    let mut kept: Vec<Candidate> = Vec::new();
    for point in points {
        if kept.last().is_none_or(|k| point.times.uplink < k.times.uplink) {
            kept.push(point);
        }
    }
    let crossing = kept.iter().position(|c| c.times.device >= c.times.uplink).unwrap_or(kept.len());
    let last = (crossing + 1).min(kept.len());
    let pair = kept.drain(crossing.saturating_sub(1)..last);
    pair.filter_map(|c| pricer.mode(c.layers, c.uploads)).collect()
}
