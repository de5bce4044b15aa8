//! Everything that a page is made from, with the plans of all policies.

use crate::trace::Execution;
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::{PlanError, plan};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;

/// The exhaustive policy tries all plans of at most this many jobs.
const EXHAUSTIVE_JOBS_MAX: usize = 6;

/// Everything that a page is made from.
pub(super) struct Report<'a> {
    pub(super) workload: &'a Workload,
    pub(super) plan: &'a Plan,
    pub(super) measured: Option<&'a Execution>,
    pub(super) policies: Vec<PolicyOutcome>,
    /// The highest lower bound that the plan and the policies proved.
    pub(super) bound: Time,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        workload: &'a Workload,
        plan: &'a Plan,
        measured: Option<&'a Execution>,
    ) -> Self {
        let policies = policy_outcomes(workload, plan);
        let proved = policies.iter().filter_map(|o| Some(o.plan.as_ref().ok()?.lower_bound));
        let bound = proved.fold(plan.lower_bound, Time::max);
        Report { workload, plan, measured, policies, bound }
    }
}

/// One policy's plan, or why it has none.
pub(super) struct PolicyOutcome {
    pub policy: Policy,
    pub plan: Result<Plan, PlanError>,
}

/// Plans `workload` by every policy, the exhaustive one only where it is small; `given` stands for
/// its own policy.
fn policy_outcomes(workload: &Workload, given: &Plan) -> Vec<PolicyOutcome> {
    let is_small = workload.jobs().len() <= EXHAUSTIVE_JOBS_MAX;
    let is_tried =
        |p: &Policy| *p != Policy::Exhaustive || is_small || given.policy == Policy::Exhaustive;
    let outcome = |policy| {
        let plan = if policy == given.policy {
            Ok(given.clone())
        } else {
            plan(workload, policy, &PlanOptions::at(given.granularity))
        };
        PolicyOutcome { policy, plan }
    };
    Policy::ALL.into_iter().filter(is_tried).map(outcome).collect()
}
