//! The policies that joint is compared with, and starts from.

use crate::bound::{LoadBound, lower_bound};
use crate::cut::LayerSet;
use crate::joint::best_mix::{best_mix, rules};
use crate::joint::exact;
use crate::joint::identical::{LEAVES, identical};
use crate::joint::local_search::{first_choice, promising};
use crate::joint::mix::{Line, Mix, RuledMix};
use crate::joint::send_order::Outline;
use crate::options::Policy;
use crate::partition::candidates::{Candidate, Candidates};
use crate::partition::dominance::undominated;
use crate::partition::prefixes;
use crate::policy::budget::{NODES_JOINT, RESTRICTED_JOBS_MAX};
use crate::policy::planner::{Found, Planner};
use crate::problem::{Mode, ModeSet, Pricer, Problem};
use crate::units::Time;
use crate::workload::JobId;

impl<'c> Planner<'c> {
    /// The plan of a policy other than joint and exhaustive; `None` if a job cannot be done so.
    pub(super) fn simple(&self, policy: Policy) -> Option<Found<'c>> {
        match policy {
            Policy::ScheduleOnly => self.mix_of(|pricer| {
                let model = pricer.model;
                modes_of(pricer, &[LayerSet::none(model), LayerSet::all(model)])
            }),
            Policy::Adjacent => self.mix_of(adjacent),
            Policy::BestSingle => Some(self.best_single()),
            Policy::LocalOnly => self.in_arrival_order(|_, pricer| {
                self.quickest(&modes_of(pricer, &[LayerSet::all(pricer.model)]))
            }),
            Policy::ServerOnly => self.in_arrival_order(|_, pricer| {
                self.quickest(&modes_of(pricer, &[LayerSet::none(pricer.model)]))
            }),
            Policy::PartitionOnly | Policy::Joint | Policy::Exhaustive => {
                self.in_arrival_order(|class, _| self.quickest(&self.problem.classes[class].modes))
            }
        }
    }

    /// The mode in which a job alone completes first.
    fn quickest(&self, modes: &[Mode]) -> Vec<Mode> {
        let quickest = modes.iter().min_by_key(|m| (m.latency(self.problem.half), m.device));
        quickest.cloned().into_iter().collect()
    }

    /// One mode for every job of a class, jobs in the order of the workload.
    fn in_arrival_order(
        &self,
        mode: impl Fn(usize, &Pricer<'_>) -> Vec<Mode>,
    ) -> Option<Found<'c>> {
        let problem = self
            .context
            .problem(|class, pricer| ModeSet { modes: mode(class, pricer), is_complete: false })?;
        let classes = problem.classes.iter().enumerate();
        let mut jobs: Vec<(JobId, usize)> =
            classes.flat_map(|(class, c)| c.jobs.iter().map(move |&job| (job, class))).collect();
        jobs.sort_unstable();
        let outline = Outline::in_sequence(&problem, jobs.into_iter().map(|(_, class)| (class, 0)));
        Some(Found::new(outline.makespan(&problem), outline, Some(problem)))
    }

    /// The best mix of a few modes of each class.
    fn mix_of(&self, modes: impl Fn(&Pricer<'_>) -> Vec<Mode>) -> Option<Found<'c>> {
        let problem = self
            .context
            .problem(|_, pricer| ModeSet { modes: modes(pricer), is_complete: true })?;
        let known = identical(&problem, LEAVES);
        let time = known.as_ref().map_or(Time::ZERO, |(solution, _)| solution.lower_bound);
        let bound = LoadBound { time, ..lower_bound(&problem) };
        let known = known.as_ref().map(|(_, counts)| counts);
        let outline = best_mix(&problem, &bound, known).outline(&problem);
        let mut found = (outline.makespan(&problem), outline);
        if problem.jobs() <= RESTRICTED_JOBS_MAX {
            // Everything that a small problem allows is searched.
            let exact = exact::search(&problem, found.0, Time::ZERO, NODES_JOINT / 8);
            found = exact.better.unwrap_or(found);
        }
        Some(Found::new(found.0, found.1, Some(problem)))
    }

    /// One mode for all jobs of a model: every choice tried for one model, class by class for
    /// several.
    fn best_single(&self) -> Found<'c> {
        let problem = &self.problem;
        let start = first_choice(problem, &promising(problem, self.bound.prices));
        let descended = rules(problem).into_iter().map(|rule| {
            let line = Line::new(problem, rule);
            let mut mix = Mix::new(&line, start.clone());
            let makespan = descend(problem, &mut mix);
            RuledMix { counts: mix.counts, rule, makespan }
        });
        let best = descended.min_by_key(|mix| mix.makespan).expect("there is at least one rule");
        let outline = best.outline(problem);
        Found::new(outline.makespan(problem), outline, None)
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

/// The modes of some cuts.
fn modes_of<'p>(pricer: &'p Pricer<'p>, cuts: &[LayerSet]) -> Vec<Mode> {
    let mut candidates = Candidates::new(pricer);
    for layers in cuts {
        candidates.add_cut(layers);
    }
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
