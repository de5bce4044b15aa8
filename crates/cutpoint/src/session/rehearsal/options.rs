//! How to rehearse.

use crate::error::Result;
use crate::session::plan::plan_for;
use crate::tensor::Tensor;
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, Workload};

/// How to rehearse.
#[derive(Clone, Copy)]
pub struct RehearsalOptions<'o> {
    /// How many jobs are executed in a round, but at least two for each cut of the plan; more if they
    /// are short, and fewer if they are long.
    pub jobs: usize,
    /// How to plan.
    pub policy: Policy,
    /// The granularity and objective of the plan.
    pub plan: PlanOptions,
    /// Gets the outputs of each job that is executed, and does with them what will be done in the run:
    /// that takes the device's time too.
    pub on_outputs: &'o dyn Fn(JobId, Vec<(String, Tensor)>),
}

impl Default for RehearsalOptions<'_> {
    /// Ten jobs a round, planned jointly; their outputs are dropped.
    fn default() -> Self {
        let plan = PlanOptions::default();
        RehearsalOptions { jobs: 10, policy: Policy::Joint, plan, on_outputs: &|_, _| () }
    }
}

/// A plan with the bound of one that is freer; no bound is above the makespan.
pub(super) fn with_bound(plan: Plan, bound: Time) -> Plan {
    let lower_bound = bound.min(plan.makespan);
    Plan { lower_bound, optimal: plan.makespan == lower_bound, ..plan }
}

pub(super) fn planned(workload: &Workload, how: &RehearsalOptions<'_>) -> Result<Plan> {
    // What saves little is rehearsed too: only the times of the last round decide.
    let options = PlanOptions { least_gain: 0.0, ..how.plan };
    plan_for(workload, how.policy, &options)
}
