//! What every policy makes of the same workload.

use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::{PlanError, plan};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;

/// The exhaustive policy tries all plans of at most this many jobs.
const EXHAUSTIVE_JOBS_MAX: usize = 6;

/// One policy's plan, or why it has none.
pub(super) struct PolicyOutcome {
    pub policy: Policy,
    pub plan: Result<Plan, PlanError>,
}

/// Plans `workload` by every policy, the exhaustive one only where it is small; `given` stands for
/// its own policy.
pub(super) fn policy_outcomes(workload: &Workload, given: &Plan) -> Vec<PolicyOutcome> {
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

/// The mean of times; zero for none.
pub(super) fn mean_time(times: &[Time]) -> Time {
    let sum: u128 = times.iter().map(|t| u128::from(t.nanoseconds())).sum();
    let mean = sum / times.len().max(1) as u128;
    Time::from_nanoseconds(u64::try_from(mean).unwrap_or(u64::MAX))
}
