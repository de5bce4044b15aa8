//! From a workload to a plan, by one of the policies.

mod goal;
mod simple;

use crate::bound::whole::{WholeJobs, whole_jobs};
use crate::bound::{LoadBound, add_cheapest_cuts, lower_bound};
use crate::flow_shop::identical::Solution;
use crate::joint::exact;
use crate::joint::identical::{LEAVES, identical};
use crate::joint::local_search::{balanced, first_choice, improve, promising};
use crate::joint::mix::{Counts, Line, Mix, Rule};
use crate::joint::outline::Outline;
use crate::joint::problem::{Context, EXACT_JOBS_MAX, Problem};
use crate::joint::sequence;
use crate::joint::shortlist::{Listed, Shortlist, shortlist};
use crate::joint::turns::Goal;
use crate::partition::modes;
use crate::plan::{Granularity, Objective, Plan, Policy};
use crate::simulate::plan_of;
use crate::units::Time;
use crate::workload::Workload;
use std::fmt;

/// Evaluations of a mix that a search may spend, whatever the number of classes.
const EVALUATIONS: u64 = 4_000;

/// Evaluations of a mix that a search may spend besides, for each class.
const EVALUATIONS_EACH: u64 = 200;

/// Jobs of sequences that a search may look at.
const STEPS: u64 = 60_000;

/// Evaluations of a mix that a search may spend if it starts near the bound.
const EVALUATIONS_NEAR: u64 = 1_000;

/// A plan that exceeds the bound by less than one part in this is not searched for a better one.
const CLOSE: u64 = 2_000;

/// The same for more jobs than [`SEQUENCE_JOBS_MAX`] / 4.
const CLOSE_MANY: u64 = 1_000;

/// A mix that exceeds the bound by less than one part in this is the only one to start from.
const NEAR: u64 = 20;

/// A plan that exceeds the bound by less than one part in this is near enough to need no sharper
/// bound; and counts that exceed a plan by no more may yet lead to a shorter one.
const NEAR_ENOUGH: u64 = 500;

/// So many mixes whose loads leave room for a shorter plan are tried.
const STARTS_MAX: usize = 4;

/// A sequence of more jobs than this is not searched.
const SEQUENCE_JOBS_MAX: usize = 200;

/// Nodes that the exact search may visit on behalf of `joint`.
const NODES_JOINT: u64 = 400_000;

/// The same for more than [`SMALL_JOBS_MAX`] jobs where server or downlink count: there the search
/// seldom ends, and a node costs more.
const NODES_JOINT_MANY: u64 = 8_000;

/// Up to this many jobs the search may take its time.
const SMALL_JOBS_MAX: usize = 5;

/// Nodes that the exact search may visit on behalf of `exhaustive`.
const NODES_EXHAUSTIVE: u64 = 20_000_000;

/// On two machines, the exact search is tried for at most this many jobs, where Johnson's rule leaves only the modes to choose.
const EXACT_JOBS_MAX_TWO_MACHINES: usize = 200;

/// What a plan depends on besides workload and policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// When transfers may start.
    pub granularity: Granularity,
    /// What is to be small.
    pub objective: Objective,
    /// If jobs arrive one after the other, in the order of the workload: the time between two.
    pub period: Option<Time>,
}

impl PlanOptions {
    /// The smallest makespan of jobs that are all there from the start.
    pub fn at(granularity: Granularity) -> PlanOptions {
        PlanOptions { granularity, ..PlanOptions::default() }
    }
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
    /// The last job arrives later than the planner can count.
    LateArrival,
    /// Exhaustive search is there for the smallest makespan of jobs that are all there.
    MakespanOnly,
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
            PlanError::LateArrival => f.write_str(
                "with this period the last job arrives later than the planner can count; give a \
                 shorter one",
            ),
            PlanError::MakespanOnly => f.write_str(
                "policy exhaustive knows the makespan of jobs that are all there from the start; \
                 use the policy joint",
            ),
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
    let context = Context::new(workload, options.granularity);
    let PlanOptions { objective, period, .. } = *options;
    let is_makespan = objective == Objective::Makespan && period.is_none();
    let planner =
        Planner::new(&context, is_makespan, None).ok_or(PlanError::Unreachable(policy))?;
    if !is_makespan {
        if policy == Policy::Exhaustive {
            return Err(PlanError::MakespanOnly);
        }
        let last = period.unwrap_or_default().checked_mul(workload.jobs.len() as u64);
        last.ok_or(PlanError::LateArrival)?;
        let goal = Goal { objective, period };
        return planner.toward(goal, policy).ok_or(PlanError::Unreachable(policy));
    }
    let found = match policy {
        Policy::Joint => {
            let problem = &planner.problem;
            let is_small = problem.jobs() <= SMALL_JOBS_MAX || problem.is_two_machine();
            Some(planner.joint(if is_small { NODES_JOINT } else { NODES_JOINT_MANY }))
        }
        Policy::Exhaustive => {
            let found = planner.joint(NODES_EXHAUSTIVE);
            if !found.is_proved {
                return Err(PlanError::TooLarge { jobs: workload.jobs.len() });
            }
            Some(found)
        }
        _ => planner.simple(policy),
    };
    let found = found.ok_or(PlanError::Unreachable(policy))?;
    let plan = planner.write_out(found, policy);
    let may_gain = policy == Policy::Joint && !plan.optimal && planner.has_early_sends();
    Ok(if may_gain { or_by_whole_jobs(&context, plan) } else { plan })
}

/// The better of a plan at layer granularity and the one made at job granularity, carried out at
/// layer granularity.
fn or_by_whole_jobs(context: &Context<'_>, plan: Plan) -> Plan {
    let workload = context.workload;
    let context = context.by_job();
    let limit = plan.makespan + share(plan.makespan, NEAR_ENOUGH);
    let Some(planner) = Planner::new(&context, true, Some(limit)) else { return plan };
    if planner.bound.time >= plan.makespan {
        return plan;
    }
    let found = planner.joint(NODES_JOINT);
    if found.makespan >= plan.makespan {
        return plan;
    }
    let decision = found.outline.decision(found.problem.as_ref().unwrap_or(&planner.problem));
    let Plan { policy, objective, lower_bound, .. } = plan;
    plan_of(workload, policy, Granularity::Layer, objective, decision, |_| lower_bound)
}

/// A plan in short, with the problem that its modes belong to if that is not the whole one.
struct Found<'c> {
    makespan: Time,
    outline: Outline,
    problem: Option<Problem<'c>>,
    is_proved: bool,
    /// A bound on every plan, if one was looked for on behalf of this plan.
    lower_bound: Time,
}

impl<'c> Found<'c> {
    fn of(problem: Problem<'c>, outline: Outline) -> Found<'c> {
        let makespan = outline.makespan(&problem);
        Found {
            makespan,
            outline,
            problem: Some(problem),
            is_proved: false,
            lower_bound: Time::ZERO,
        }
    }
}

/// The whole problem of a workload, and what is known about it.
struct Planner<'c> {
    context: &'c Context<'c>,
    problem: Problem<'c>,
    bound: LoadBound,
    identical: Option<(Solution, Counts)>,
    /// Whether some mode sends something before all device work of its job is done.
    sends_early: bool,
}

impl<'c> Planner<'c> {
    /// `None` if some job cannot be done at all. `is_makespan` says that nothing else than the
    /// makespan of jobs that are all there is asked for; then `None` also if no counts below
    /// `limit` are found among thousands of cuts.
    fn new(
        context: &'c Context<'c>,
        is_makespan: bool,
        limit: Option<Time>,
    ) -> Option<Planner<'c>> {
        if let Some(listed) = is_makespan.then(|| shortlist(context, LEAVES, limit)).flatten() {
            let Listed::Short(found) = listed else { return None };
            let Shortlist { problem, mut bound, solution, counts, sends_early } = *found;
            bound.time = bound.time.max(solution.lower_bound);
            let identical = Some((solution, counts));
            return Some(Planner { context, problem, bound, identical, sends_early });
        }
        let mut problem = context.problem(|_, pricer| modes(pricer, context.executors))?;
        if !problem.is_complete {
            add_cheapest_cuts(&mut problem);
        }
        if is_makespan {
            problem.leave_out_longer_segments();
        }
        let mut bound = lower_bound(&problem);
        let identical = identical(&problem, LEAVES);
        if let Some((solution, _)) = identical.as_ref().filter(|_| problem.is_complete) {
            bound.time = bound.time.max(solution.lower_bound);
        }
        let sends_early = problem.all_modes().any(|(_, m)| {
            !m.is_exact || m.parcels.len() > 1 || (m.has_suffix && m.rest() > Time::ZERO)
        });
        Some(Planner { context, problem, bound, identical, sends_early })
    }

    /// Cuts and order together, starting from the best of all other policies.
    fn joint(&self, nodes: u64) -> Found<'c> {
        let problem = &self.problem;
        let counts = self.identical.as_ref().map(|(_, counts)| counts);
        let (counts, rule) = best_mix(problem, &self.bound, counts);
        let outline = Line::new(problem, rule).outline(&counts);
        let makespan = outline.makespan(problem);
        let mut best =
            Found { makespan, outline, problem: None, is_proved: false, lower_bound: Time::ZERO };
        for policy in Policy::ALL {
            if matches!(policy, Policy::Joint | Policy::Exhaustive) || self.is_reached(&best) {
                break;
            }
            if let Some(found) = self.simple(policy).filter(|f| f.makespan < best.makespan) {
                best = found;
            }
        }
        if !self.is_reached(&best) && !problem.is_two_machine() {
            self.search_sequences(&mut best);
        }
        let exact_jobs_max = match problem.is_two_machine() {
            true => EXACT_JOBS_MAX_TWO_MACHINES,
            false => EXACT_JOBS_MAX,
        };
        let is_close = best.makespan <= close_to(self.bound.time, problem.jobs());
        if !is_close && problem.jobs() <= exact_jobs_max {
            let nodes = nodes_for(nodes, problem.jobs() as u64);
            let exact = exact::search(problem, best.makespan, self.bound.time, nodes);
            if let Some((makespan, outline)) = exact.better {
                best = Found {
                    makespan,
                    outline,
                    problem: None,
                    is_proved: false,
                    lower_bound: Time::ZERO,
                };
            }
            best.is_proved = exact.is_proved;
        }
        best.is_proved |= self.is_reached(&best);
        let is_near = best.makespan <= self.bound.time + share(self.bound.time, NEAR_ENOUGH);
        if !best.is_proved && !is_near {
            self.try_whole_jobs(&mut best);
        }
        best
    }

    /// Whether some mode sends something before all device work of its job is done: only then do
    /// the granularities differ.
    fn has_early_sends(&self) -> bool {
        self.context.granularity == Granularity::Layer && self.sends_early
    }

    /// Whether a plan is as short as the bound.
    fn is_reached(&self, found: &Found<'_>) -> bool {
        found.makespan <= self.bound.time
    }

    fn search_sequences(&self, best: &mut Found<'c>) {
        let jobs = self.problem.jobs();
        if best.makespan <= close_to(self.bound.time, jobs) || jobs > SEQUENCE_JOBS_MAX {
            return;
        }
        let problem = best.problem.as_ref().unwrap_or(&self.problem);
        let tried = promising(problem, self.bound.prices);
        let better = sequence::improve(problem, &tried, &best.outline, best.makespan, STEPS);
        if let Some((makespan, outline)) = better {
            (best.makespan, best.outline) = (makespan, outline);
        }
    }

    /// A sharper bound, and the mixes that it leaves room for.
    fn try_whole_jobs(&self, best: &mut Found<'c>) {
        let problem = &self.problem;
        let WholeJobs { bound, mixes } = whole_jobs(problem, &self.bound, best.makespan);
        let mut starts: Vec<(Time, Outline)> = Vec::new();
        for rule in rules(problem) {
            let line = Line::new(problem, rule);
            let outlines = mixes.iter().map(|counts| line.outline(counts));
            starts.extend(outlines.map(|o| (o.makespan(problem), o)));
        }
        starts.sort_by_key(|&(makespan, _)| makespan);
        starts.dedup_by_key(|&mut (makespan, _)| makespan);
        let tried = promising(problem, self.bound.prices);
        for (makespan, outline) in starts.into_iter().take(STARTS_MAX) {
            let better = sequence::improve(problem, &tried, &outline, makespan, STEPS);
            let (makespan, outline) = better.unwrap_or((makespan, outline));
            if makespan < best.makespan {
                (best.makespan, best.outline, best.problem) = (makespan, outline, None);
            }
        }
        best.lower_bound = bound;
        best.is_proved = best.makespan <= bound;
    }

    /// The plan in full.
    fn write_out(&self, found: Found<'_>, policy: Policy) -> Plan {
        let Context { workload, granularity, .. } = *self.context;
        let decision = found.outline.decision(found.problem.as_ref().unwrap_or(&self.problem));
        let objective = Objective::Makespan;
        plan_of(workload, policy, granularity, objective, decision, |makespan| {
            let is_proved = found.is_proved && makespan == found.makespan;
            if is_proved { makespan } else { self.bound.time.max(found.lower_bound) }
        })
    }
}

/// A makespan that is not worth improving: the bound itself where the exact search may follow, and
/// little more where there are more jobs.
fn close_to(bound: Time, jobs: usize) -> Time {
    if jobs <= EXACT_JOBS_MAX {
        return bound;
    }
    let close = if jobs > SEQUENCE_JOBS_MAX / 4 { CLOSE_MANY } else { CLOSE };
    bound + share(bound, close)
}

/// One of this many parts of a time.
fn share(time: Time, parts: u64) -> Time {
    Time::from_nanoseconds(time.nanoseconds() / parts)
}

/// Nodes of an exact search for this many jobs: with more jobs it takes longer, and less is to be
/// gained.
fn nodes_for(nodes: u64, jobs: u64) -> u64 {
    const UNDIMINISHED: u64 = 30;
    match jobs {
        0..=UNDIMINISHED => nodes,
        _ => nodes * UNDIMINISHED.pow(3) / jobs.pow(3),
    }
}

/// The orders worth trying for a problem.
fn rules(problem: &Problem<'_>) -> Vec<Rule> {
    if problem.is_two_machine() { vec![Rule::TwoMachine] } else { Rule::ALL.to_vec() }
}

/// The best mix found from the bound's prices, by any rule; `known` is a mix to start from.
pub(crate) fn best_mix(
    problem: &Problem<'_>,
    bound: &LoadBound,
    known: Option<&Counts>,
) -> (Counts, Rule) {
    let each = EVALUATIONS_EACH * problem.classes.len() as u64;
    best_mix_within(problem, bound, known, (EVALUATIONS + each, EVALUATIONS_NEAR + each))
}

/// The same with so many evaluations for each start: in general, and if `known` is near the bound.
pub(crate) fn best_mix_within(
    problem: &Problem<'_>,
    bound: &LoadBound,
    known: Option<&Counts>,
    (evaluations, evaluations_near): (u64, u64),
) -> (Counts, Rule) {
    let enough = close_to(bound.time, problem.jobs());
    let mut best: Option<(Time, Counts, Rule)> = None;
    if let Some(counts) = known {
        let line = Line::new(problem, Rule::TwoMachine);
        let makespan = Mix::new(&line, counts.clone()).makespan();
        best = Some((makespan, counts.clone(), Rule::TwoMachine));
    }
    if let Some((_, counts, rule)) = best.as_ref().filter(|(b, _, _)| *b <= enough) {
        return (counts.clone(), *rule);
    }
    let tried = promising(problem, bound.prices);
    let mut starts: Vec<Counts> = known.cloned().into_iter().collect();
    let near = bound.time + share(bound.time, NEAR);
    let is_near = best.as_ref().is_some_and(|(b, _, _)| *b <= near);
    if !is_near {
        starts.extend([balanced(problem), first_choice(problem, &tried)]);
    }
    let budget = if is_near { evaluations_near } else { evaluations };
    for rule in rules(problem) {
        let line = Line::new(problem, rule);
        for start in &starts {
            if best.as_ref().is_some_and(|(b, _, _)| *b <= enough) {
                break;
            }
            let mut mix = Mix::new(&line, start.clone());
            let makespan = improve(&mut mix, &tried, enough, budget);
            if best.as_ref().is_none_or(|(b, _, _)| makespan < *b) {
                best = Some((makespan, mix.counts, rule));
            }
        }
    }
    let (_, counts, rule) = best.expect("there is at least one rule");
    (counts, rule)
}
