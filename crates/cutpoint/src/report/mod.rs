//! One HTML page about a workload, its plan and, with a trace, its execution. The page needs nothing
//! else to be opened.
//!
//! Rust works out the data and writes the verdict as plain HTML; `script.js` draws the charts from
//! one JSON object. Without JavaScript the page still has the verdict, the figures and the cuts.

mod cuts;
mod data;
mod model_rows;
mod page;
mod plane;
mod policies;
mod prediction_error;
mod text;
mod timeline_blocks;
mod verdict;

#[cfg(test)]
mod tests;

use crate::trace::MeasuredRun;
use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;
use policies::PolicyOutcome;

/// Everything that a page is made from.
struct Report<'a> {
    workload: &'a Workload,
    plan: &'a Plan,
    measured: Option<&'a MeasuredRun>,
    policies: Vec<PolicyOutcome>,
    /// The highest lower bound that the plan and the policies proved.
    bound: Time,
}

impl<'a> Report<'a> {
    fn new(workload: &'a Workload, plan: &'a Plan, measured: Option<&'a MeasuredRun>) -> Self {
        let policies = policies::policy_outcomes(workload, plan);
        let proved = policies.iter().filter_map(|o| o.outcome.ok()).map(|o| o.bound);
        let bound = proved.fold(plan.lower_bound, Time::max);
        Report { workload, plan, measured, policies, bound }
    }
}

/// The report as one HTML page. `plan` keeps the rules of the cost model
/// ([`check_plan`](cutpoint_plan::check::check_plan)), and `measured` is an execution of it.
///
/// Plans the workload by every policy, for comparison. The page's size is bounded: blocks of the
/// timeline, layers, cuts and jobs are joined or left out, and the page says so, where there are too
/// many to be seen. A workload of 500 jobs gives less than a megabyte.
pub fn html(workload: &Workload, plan: &Plan, measured: Option<&MeasuredRun>) -> String {
    page::page(&Report::new(workload, plan, measured))
}
