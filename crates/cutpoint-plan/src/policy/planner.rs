//! The whole problem of a workload, with what is known about it before any search.

use crate::bound::{LoadBound, add_cheapest_cuts, lower_bound};
use crate::flow_shop::identical::choices::Solution;
use crate::joint::identical::{LEAVES, identical};
use crate::joint::send_order::Outline;
use crate::joint::shortlist::{Listed, Shortlist, shortlist};
use crate::options::{Objective, Policy};
use crate::partition::modes;
use crate::plan::Plan;
use crate::problem::{Context, Counts, Problem};
use crate::simulate::plan_of;
use crate::units::Time;

/// A plan in short, with the problem that its modes belong to if that is not the whole one.
pub(super) struct Found<'c> {
    pub(super) makespan: Time,
    pub(super) outline: Outline,
    pub(super) problem: Option<Problem<'c>>,
    pub(super) is_proved: bool,
    /// A bound on every plan, if one was looked for on behalf of this plan.
    pub(super) lower_bound: Time,
}

impl<'c> Found<'c> {
    /// A plan with modes of `problem`, or of the whole one.
    pub(super) fn new(makespan: Time, outline: Outline, problem: Option<Problem<'c>>) -> Found<'c> {
        Found { makespan, outline, problem, is_proved: false, lower_bound: Time::ZERO }
    }
}

/// The whole problem of a workload, and what is known about it.
pub(super) struct Planner<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) problem: Problem<'c>,
    pub(super) bound: LoadBound,
    pub(super) identical: Option<(Solution, Counts)>,
    /// Whether some mode sends something before all device work of its job is done.
    pub(super) sends_early: bool,
}

impl<'c> Planner<'c> {
    /// `None` if some job cannot be done at all. `is_makespan` says that nothing else than the
    /// makespan of jobs that are all there is asked for; then `None` also if no counts below
    /// `limit` are found among thousands of cuts.
    pub(super) fn new(
        context: &'c Context<'c>,
        is_makespan: bool,
        limit: Option<Time>,
    ) -> Option<Planner<'c>> {
        if let Some(listed) = is_makespan.then(|| shortlist(context, LEAVES, limit)).flatten() {
            let Listed::Short(found) = listed else { return None };
            let Shortlist { problem, bound, identical, sends_early } = *found;
            return Some(Planner {
                context,
                problem,
                bound,
                identical: Some(identical),
                sends_early,
            });
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
        let sends_early = problem.all_modes().any(|(_, m)| !m.is_exact || m.sends_early());
        Some(Planner { context, problem, bound, identical, sends_early })
    }

    /// Whether a plan is as short as the bound.
    pub(super) fn is_reached(&self, found: &Found<'_>) -> bool {
        found.makespan <= self.bound.time
    }

    /// The problem that the modes of a plan belong to.
    pub(super) fn problem_of<'f>(&'f self, found: &'f Found<'c>) -> &'f Problem<'c> {
        found.problem.as_ref().unwrap_or(&self.problem)
    }

    /// The plan in full.
    pub(super) fn write_out(&self, found: Found<'c>, policy: Policy) -> Plan {
        let Context { workload, granularity, .. } = *self.context;
        let decision = found.outline.decision(self.problem_of(&found));
        let objective = Objective::Makespan;
        plan_of(workload, policy, granularity, objective, decision, |makespan| {
            let is_proved = found.is_proved && makespan == found.makespan;
            if is_proved { makespan } else { self.bound.time.max(found.lower_bound) }
        })
    }
}
