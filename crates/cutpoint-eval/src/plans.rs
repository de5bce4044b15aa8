//! Plans and their figures.

use anyhow::{Context, bail};
use cutpoint_plan::check::{check_plan, load_bound, proved_bound};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy;
use cutpoint_plan::workload::Workload;
use serde::Serialize;

/// A policy's plan, without the rule for the least gain.
pub(crate) fn plan(
    workload: &Workload,
    policy: Policy,
    granularity: Granularity,
) -> anyhow::Result<Plan> {
    let plan = policy::plan(workload, policy, &PlanOptions::raw(granularity));
    plan.with_context(|| format!("policy {policy}"))
}

/// A plan, if it keeps every rule.
pub(crate) fn checked(workload: &Workload, plan: Plan) -> anyhow::Result<Plan> {
    if let Some(first) = check_plan(workload, &plan).first() {
        bail!("a plan by {} breaks a rule: {first}", plan.policy);
    }
    Ok(plan)
}

/// A plan's length, and what it says about how good it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub makespan_ns: u64,
    pub lower_bound_ns: u64,
    /// Makespan over lower bound, less 1.
    pub gap: f64,
    /// Whether the plan says that it is optimal.
    pub is_optimal: bool,
}

/// The checker's bounds on a workload, by its own means.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bounds {
    /// As far as the checker proves the plan's lower bound.
    pub proved_bound_ns: u64,
    /// As far as weighted loads alone prove it.
    pub load_bound_ns: u64,
}

impl Figures {
    pub(crate) fn of(plan: &Plan) -> Figures {
        Figures {
            makespan_ns: plan.makespan.nanoseconds(),
            lower_bound_ns: plan.lower_bound.nanoseconds(),
            gap: plan.gap(),
            is_optimal: plan.optimal,
        }
    }
}

impl Bounds {
    pub(crate) fn of(workload: &Workload, plan: &Plan) -> Bounds {
        let proved = proved_bound(workload, plan.granularity, plan.lower_bound);
        Bounds {
            proved_bound_ns: proved.nanoseconds(),
            load_bound_ns: load_bound(workload, plan.granularity).nanoseconds(),
        }
    }
}
