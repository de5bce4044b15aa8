//! From decisions to checked plans, and back.

use crate::plans::checked;
use cutpoint_plan::options::{Granularity, Objective, Policy};
use cutpoint_plan::plan::{Plan, Work};
use cutpoint_plan::simulate::{Decision, plan_of};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;

/// The plan that follows from a decision, if it keeps every rule. Its policy is only a label.
pub(super) fn simulated(
    workload: &Workload,
    granularity: Granularity,
    decision: Decision,
) -> anyhow::Result<Plan> {
    let no_bound = |_| Time::ZERO;
    let (policy, objective) = (Policy::PartitionOnly, Objective::Makespan);
    checked(workload, plan_of(workload, policy, granularity, objective, decision, no_bound))
}

/// The decisions in a plan, without times; the server takes jobs as they arrive.
pub(super) fn decision_of(plan: &Plan) -> Decision {
    let device = plan.schedule.device.iter().map(|op| (op.job, op.work)).collect();
    let sent = plan.schedule.uplink.iter().filter_map(|op| match op.work {
        Work::Transfer(tensor) => Some((op.job, tensor)),
        _ => None,
    });
    Decision {
        partitions: plan.partitions.clone(),
        device,
        uplink: sent.collect(),
        server: None,
        period: None,
    }
}
