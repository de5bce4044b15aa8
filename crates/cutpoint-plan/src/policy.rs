//! From a workload to a plan, by one of the policies.

use crate::bound::{LoadBound, lower_bound};
use crate::cost::{Mode, Pricer, Pricing};
use crate::cut::{LayerSet, frontier};
use crate::flow_shop::identical::Solution;
use crate::joint::exact;
use crate::joint::identical::identical;
use crate::joint::local_search::{first_choice, improve, promising};
use crate::joint::mix::{Counts, Line, Rule};
use crate::joint::outline::{Member, Outline};
use crate::joint::problem::Problem;
use crate::partition::{ModeSet, modes, prefixes, with_encodings};
use crate::plan::{Granularity, Plan, Policy};
use crate::simulate::simulate;
use crate::units::Time;
use crate::workload::{Model, Workload};
use std::fmt;

/// Evaluations of a mix that a search may spend.
const EVALUATIONS: u64 = 30_000;

/// Nodes that the exact search may visit on behalf of `joint`.
const NODES_JOINT: u64 = 400_000;

/// Nodes that the exact search may visit on behalf of `exhaustive`.
const NODES_EXHAUSTIVE: u64 = 20_000_000;

/// The exact search is tried for at most this many jobs.
const EXACT_JOBS_MAX: usize = 12;

/// What a plan depends on besides workload and policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// When transfers may start.
    pub granularity: Granularity,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// A job cannot be done the way the policy wants it: its inputs never get through the uplink,
    /// or its results never get back.
    Unreachable(Policy),
    /// Too many possibilities to try them all.
    TooLarge {
        /// Jobs in the workload.
        jobs: usize,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Unreachable(policy) => write!(
                f,
                "policy {policy} needs the link, but at this bandwidth a transfer takes longer \
                 than the planner can count"
            ),
            PlanError::TooLarge { jobs } => {
                write!(f, "{jobs} jobs have too many plans to try them all; use the policy joint")
            }
        }
    }
}

impl std::error::Error for PlanError {}

/// Makes a plan for a workload.
///
/// Every policy gives a plan that can be carried out; only server-only may be impossible (a link
/// that nothing passes) and only exhaustive may give up. The same arguments give the same plan.
///
/// # Errors
///
/// [`PlanError`] says which of the two it is.
pub fn plan(workload: &Workload, policy: Policy, options: &PlanOptions) -> Result<Plan, PlanError> {
    let problem =
        Problem::new(workload, options.granularity, modes).ok_or(PlanError::Unreachable(policy))?;
    let mut bound = lower_bound(&problem);
    let identical = identical(&problem);
    if let Some((solution, _)) = identical.as_ref().filter(|_| problem.is_complete) {
        bound.time = bound.time.max(solution.lower_bound);
    }
    let found = match policy {
        Policy::LocalOnly | Policy::ServerOnly | Policy::PartitionOnly => {
            in_arrival_order(workload, options.granularity, policy, &problem)
        }
        Policy::ScheduleOnly | Policy::BestSingle | Policy::Adjacent => {
            restricted(workload, options.granularity, policy, &problem)
        }
        Policy::Joint => Some(joint(
            workload,
            options.granularity,
            &problem,
            identical.as_ref(),
            &bound,
            NODES_JOINT,
        )),
        Policy::Exhaustive => {
            let found = joint(
                workload,
                options.granularity,
                &problem,
                identical.as_ref(),
                &bound,
                NODES_EXHAUSTIVE,
            );
            if !found.is_proved {
                return Err(PlanError::TooLarge { jobs: workload.jobs.len() });
            }
            Some(found)
        }
    };
    let found = found.ok_or(PlanError::Unreachable(policy))?;
    Ok(found.into_plan(workload, policy, options.granularity, &problem, bound.time))
}

/// A plan in short, with the problem that its modes belong to if that is not the whole one.
struct Found<'w> {
    makespan: Time,
    outline: Outline,
    problem: Option<Problem<'w>>,
    is_proved: bool,
}

impl<'w> Found<'w> {
    fn of(problem: Problem<'w>, outline: Outline) -> Found<'w> {
        let makespan = outline.makespan(&problem);
        Found { makespan, outline, problem: Some(problem), is_proved: false }
    }

    fn into_plan(
        self,
        workload: &Workload,
        policy: Policy,
        granularity: Granularity,
        whole: &Problem<'_>,
        lower_bound: Time,
    ) -> Plan {
        let decision = self.outline.decision(self.problem.as_ref().unwrap_or(whole));
        let simulated = simulate(workload, granularity, &decision);
        let makespan = simulated.makespan;
        let is_proved = self.is_proved && makespan == self.makespan;
        let lower_bound = if is_proved { makespan } else { lower_bound.min(makespan) };
        Plan {
            policy,
            granularity,
            partitions: decision.partitions,
            schedule: simulated.schedule,
            completions: simulated.completions,
            makespan,
            lower_bound,
            optimal: makespan == lower_bound,
        }
    }
}

/// One mode for every job of a model, jobs in the order of the workload.
fn in_arrival_order<'w>(
    workload: &'w Workload,
    granularity: Granularity,
    policy: Policy,
    whole: &Problem<'w>,
) -> Option<Found<'w>> {
    let half = whole.half;
    let restricted = Problem::new(workload, granularity, |model, pricing| {
        let fixed = match policy {
            Policy::LocalOnly => local(model, pricing),
            Policy::ServerOnly => offloaded(model, pricing),
            _ => {
                let known = whole
                    .classes
                    .iter()
                    .find(|c| workload.models[c.model.index()].name == model.name);
                known.map(|c| c.modes.clone()).unwrap_or_default()
            }
        };
        let quickest = fixed.into_iter().min_by_key(|m| (m.latency(half), m.device));
        ModeSet { modes: quickest.into_iter().collect(), is_complete: false }
    })?;
    let outline = arrival_outline(&restricted);
    Some(Found::of(restricted, outline))
}

/// Every job in its class's first mode, in the order of the workload.
fn arrival_outline(problem: &Problem<'_>) -> Outline {
    let mut members: Vec<(crate::workload::JobId, Member)> = Vec::new();
    for (class, c) in (0u32..).zip(&problem.classes) {
        members.extend(
            (0u32..).zip(&c.jobs).map(|(position, &job)| (job, Member { class, position })),
        );
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

fn local(model: &Model, pricing: Pricing) -> Vec<Mode> {
    Pricer::new(model, pricing).mode(LayerSet::all(model), Vec::new()).into_iter().collect()
}

/// The modes with every layer on the server.
fn offloaded(model: &Model, pricing: Pricing) -> Vec<Mode> {
    let mut modes = Vec::new();
    let nothing = LayerSet::none(model);
    let frontier = frontier(model, &nothing);
    with_encodings(&Pricer::new(model, pricing), &nothing, &frontier, &mut modes);
    modes
}

/// The best mix of a few modes of each model.
fn restricted<'w>(
    workload: &'w Workload,
    granularity: Granularity,
    policy: Policy,
    whole: &Problem<'w>,
) -> Option<Found<'w>> {
    if policy == Policy::BestSingle {
        return Some(best_single(whole));
    }
    let problem = Problem::new(workload, granularity, |model, pricing| {
        let modes = match policy {
            Policy::ScheduleOnly => {
                let mut modes = local(model, pricing);
                modes.extend(offloaded(model, pricing));
                crate::partition::dominance::undominated(modes)
            }
            _ => adjacent(model, pricing),
        };
        ModeSet { modes, is_complete: true }
    })?;
    let bound = LoadBound { time: Time::ZERO, ..lower_bound(&problem) };
    let (counts, rule) = match identical(&problem) {
        Some((_, counts)) => (counts, Rule::TwoMachine),
        None => best_mix(&problem, &bound),
    };
    let outline = Line::new(&problem, rule).outline(&counts);
    let mut found = Found::of(problem, outline);
    polish(&mut found, NODES_JOINT / 8);
    Some(found)
}

/// Searches everything that the problem of `found` allows, if it is small.
fn polish(found: &mut Found<'_>, nodes: u64) {
    let Some(problem) = &found.problem else { return };
    if problem.jobs() <= EXACT_JOBS_MAX {
        let exact = exact::search(problem, found.makespan, Time::ZERO, nodes);
        if let Some((makespan, outline)) = exact.better {
            (found.makespan, found.outline) = (makespan, outline);
        }
    }
}

/// The two cut points next to each other, along the model's topological order, between which the
/// uplink stops being the longer stage; cut points that another one beats are left out before.
///
/// Paper: the two adjacent cut points; a stand-in, since the published rule was not available.
fn adjacent(model: &Model, pricing: Pricing) -> Vec<Mode> {
    let pricer = Pricer::new(model, pricing);
    let mut points: Vec<Mode> = Vec::new();
    for layers in prefixes(model) {
        let mut modes = Vec::new();
        let frontier = frontier(model, &layers);
        with_encodings(&pricer, &layers, &frontier, &mut modes);
        points.extend(modes);
    }
    points.sort_by_key(|m| (m.device, m.uplink, m.server));
    let mut kept: Vec<Mode> = Vec::new();
    for point in points {
        if kept.last().is_none_or(|k| point.uplink < k.uplink) {
            kept.push(point);
        }
    }
    let crossing = kept.iter().position(|m| m.device >= m.uplink).unwrap_or(kept.len());
    let last = (crossing + 1).min(kept.len());
    kept.drain(crossing.saturating_sub(1)..last).collect()
}

/// One mode for all jobs of a model: every choice tried for one model, class by class for several.
fn best_single<'w>(problem: &Problem<'w>) -> Found<'w> {
    let tried: Vec<Vec<usize>> =
        problem.classes.iter().map(|c| (0..c.modes.len()).collect()).collect();
    let bound = lower_bound(problem);
    let start = first_choice(problem, &promising(problem, bound.prices));
    let mut best: Option<(Time, Counts, Rule)> = None;
    for rule in rules(problem) {
        let line = Line::new(problem, rule);
        let mut counts = start.clone();
        let mut makespan = line.makespan(&counts);
        loop {
            let before = makespan;
            for class in 0..counts.len() {
                for &mode in &tried[class] {
                    let old = std::mem::replace(&mut counts[class], vec![0; tried[class].len()]);
                    counts[class][mode] = problem.classes[class].count();
                    let now = line.makespan(&counts);
                    if now < makespan {
                        makespan = now;
                    } else {
                        counts[class] = old;
                    }
                }
            }
            if makespan == before {
                break;
            }
        }
        if best.as_ref().is_none_or(|(b, _, _)| makespan < *b) {
            best = Some((makespan, counts, rule));
        }
    }
    let (_, counts, rule) = best.expect("there is at least one rule");
    let outline = Line::new(problem, rule).outline(&counts);
    Found { makespan: outline.makespan(problem), outline, problem: None, is_proved: false }
}

/// The orders worth trying for a problem.
fn rules(problem: &Problem<'_>) -> Vec<Rule> {
    if problem.is_two_machine() { vec![Rule::TwoMachine] } else { Rule::ALL.to_vec() }
}

/// The best mix found from the bound's prices, by any rule.
fn best_mix(problem: &Problem<'_>, bound: &LoadBound) -> (Counts, Rule) {
    let tried = promising(problem, bound.prices);
    let mut best: Option<(Counts, Rule, Time)> = None;
    for rule in rules(problem) {
        let line = Line::new(problem, rule);
        let mut counts = first_choice(problem, &tried);
        let mut budget = EVALUATIONS;
        let makespan = improve(&line, &tried, &mut counts, bound, &mut budget);
        if best.as_ref().is_none_or(|(_, _, b)| makespan < *b) {
            best = Some((counts, rule, makespan));
        }
    }
    let (counts, rule, _) = best.expect("there is at least one rule");
    (counts, rule)
}

/// Cuts and order together, starting from the best of all other policies.
fn joint<'w>(
    workload: &'w Workload,
    granularity: Granularity,
    problem: &Problem<'w>,
    identical: Option<&(Solution, Counts)>,
    bound: &LoadBound,
    nodes: u64,
) -> Found<'w> {
    let (counts, rule) = match identical {
        Some((_, counts)) => (counts.clone(), Rule::TwoMachine),
        None => best_mix(problem, bound),
    };
    let outline = Line::new(problem, rule).outline(&counts);
    let makespan = outline.makespan(problem);
    let mut best = Found { makespan, outline, problem: None, is_proved: false };
    let others = [
        Policy::LocalOnly,
        Policy::ServerOnly,
        Policy::PartitionOnly,
        Policy::ScheduleOnly,
        Policy::BestSingle,
        Policy::Adjacent,
    ];
    for policy in others {
        if best.makespan <= bound.time {
            break;
        }
        let found = match policy {
            Policy::LocalOnly | Policy::ServerOnly | Policy::PartitionOnly => {
                in_arrival_order(workload, granularity, policy, problem)
            }
            _ => restricted(workload, granularity, policy, problem),
        };
        if let Some(found) = found.filter(|f| f.makespan < best.makespan) {
            best = found;
        }
    }
    if best.makespan > bound.time && problem.jobs() <= EXACT_JOBS_MAX {
        let exact = exact::search(problem, best.makespan, bound.time, nodes);
        if let Some((makespan, outline)) = exact.better {
            best = Found { makespan, outline, problem: None, is_proved: false };
        }
        best.is_proved = exact.is_proved;
    }
    best.is_proved |= best.makespan <= bound.time;
    best
}
