//! From a workload to a plan, by one of the policies.

mod baselines;
pub(crate) mod budget;
mod joint;
mod least_gain;
mod other_objectives;
mod plan;
mod planner;

pub use least_gain::with_least_gain;
pub use plan::{PlanError, plan};
