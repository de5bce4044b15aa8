//! What was planned, what happened, and why: one HTML page from a workload, its plan and, where
//! there is one, the trace of its execution. The page needs nothing else to be opened.

mod cuts;
mod hull;
mod markup;
mod model_chart;
mod model_layout;
mod page;
mod plane;
mod policies;
mod prediction_error;
mod prediction_error_tables;
mod scale;
mod sections;
mod timeline;
mod timeline_blocks;
mod verdict;

#[cfg(test)]
mod tests;

pub use policies::{Outcome, PolicyOutcome, policy_outcomes};

use crate::trace::MeasuredRun;
use cutpoint_plan::plan::Plan;
use cutpoint_plan::workload::Workload;

/// What a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What there was to do.
    pub workload: &'a Workload,
    /// How it was to be done: a plan that keeps the rules of the cost model.
    pub plan: &'a Plan,
    /// How it was done.
    pub measured: Option<&'a MeasuredRun>,
    /// What the policies make of the workload, from [`policy_outcomes`].
    pub policies: &'a [PolicyOutcome],
}

/// The report as one HTML page.
///
/// Its size is bounded: rows of the timeline, layers, cuts and jobs are joined or left out, and the
/// page says so, where there are too many to be seen. A workload of 500 jobs gives less than a
/// megabyte.
pub fn render_report(report: &Report<'_>) -> String {
    page::page(report)
}
