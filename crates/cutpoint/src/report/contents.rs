//! Everything that a page is made from.

use super::policies::{PolicyOutcome, policy_outcomes};
use crate::trace::Execution;
use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;

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
