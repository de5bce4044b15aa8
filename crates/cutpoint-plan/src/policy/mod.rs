//! From a workload to a plan, by one of the policies.

mod baselines;
pub(crate) mod budget;
mod joint;
mod other_objectives;
mod plan;
mod planner;

pub use plan::{PlanError, plan};
