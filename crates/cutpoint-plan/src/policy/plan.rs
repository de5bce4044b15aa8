//! From a workload to a plan, by one of the policies.

use crate::joint::best_mix::share;
use crate::joint::job_order::Goal;
use crate::options::{Granularity, Objective, PlanOptions, Policy};
use crate::plan::Plan;
use crate::policy::budget::{
    NEAR_ENOUGH, NODES_EXHAUSTIVE, NODES_JOINT, NODES_JOINT_MANY, SMALL_JOBS_MAX,
};
use crate::policy::least_gain::with_least_gain;
use crate::policy::planner::Planner;
use crate::problem::Context;
use crate::simulate::plan_of;
use crate::workload::Workload;
use std::fmt;

/// The reasons why no plan can be made.
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
                write!(f, "too many plans to try for {jobs} jobs; use the policy joint")
            }
            PlanError::LateArrival => f.write_str(
                "with this period the last job arrives later than the planner can count; give a \
                 shorter one",
            ),
            PlanError::MakespanOnly => f.write_str(
                "policy exhaustive supports only the makespan of jobs that are all there from the \
                 start; use the policy joint",
            ),
        }
    }
}

impl std::error::Error for PlanError {}

/// Makes a plan for a workload.
///
/// Every policy gives a plan that can be carried out; only server-only may be impossible (a link
/// that nothing passes) and only exhaustive may give up. A plan by `joint` keeps every job on the
/// device unless it saves [`PlanOptions::least_gain`]. The same arguments give the same plan.
///
/// # Errors
///
/// Returns [`PlanError`] if no plan can be made.
pub fn plan(workload: &Workload, policy: Policy, options: &PlanOptions) -> Result<Plan, PlanError> {
    let found = search(workload, policy, options)?;
    Ok(with_least_gain(workload, found, options))
}

/// The best plan that the policy's search finds.
fn search(workload: &Workload, policy: Policy, options: &PlanOptions) -> Result<Plan, PlanError> {
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
    // Only where something is sent early do the granularities differ.
    let is_early = options.granularity == Granularity::Layer && planner.sends_early;
    let may_gain = policy == Policy::Joint && !plan.optimal && is_early;
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
    let decision = found.outline.decision(planner.problem_of(&found));
    let Plan { policy, objective, lower_bound, .. } = plan;
    plan_of(workload, policy, Granularity::Layer, objective, decision, |_| lower_bound)
}
