//! What a strategy made of a workload, judged by the checker.

use anyhow::bail;
use cutpoint_plan::check::check_plan;
use cutpoint_plan::options::{Granularity, Objective, Policy};
use cutpoint_plan::plan::{Plan, Work};
use cutpoint_plan::simulate::{Decision, plan_of};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;

/// A checked plan in short.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub makespan: Time,
    pub plan: Plan,
}

impl Outcome {
    /// A plan, if it keeps every rule.
    pub(crate) fn of(workload: &Workload, plan: Plan) -> anyhow::Result<Outcome> {
        if let Some(first) = check_plan(workload, &plan).first() {
            bail!("a plan by {} breaks a rule: {first}", plan.policy);
        }
        Ok(Outcome { makespan: plan.makespan, plan })
    }

    /// What comes of a decision, if that keeps every rule. The policy is a label: plans have no
    /// other.
    pub(crate) fn simulated(
        workload: &Workload,
        granularity: Granularity,
        decision: Decision,
    ) -> anyhow::Result<Outcome> {
        let no_bound = |_| Time::ZERO;
        let objective = Objective::Makespan;
        let policy = Policy::PartitionOnly;
        Outcome::of(workload, plan_of(workload, policy, granularity, objective, decision, no_bound))
    }

    /// The makespan less that of `other`, relative to that of `other`.
    pub(crate) fn over(&self, other: &Outcome) -> f64 {
        self.makespan.nanoseconds() as f64 / other.makespan.nanoseconds().max(1) as f64 - 1.0
    }
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
