//! One HTML page about a workload, its plan and, with a trace, its execution. The page needs nothing
//! else to be opened.
//!
//! Rust works out the data and writes the verdict as plain HTML; `script.js` draws the charts from
//! one JSON object. Without JavaScript the page still has the verdict, the figures and the cuts.

mod contents;
mod cuts;
mod data;
mod model_rows;
mod page;
mod places;
mod plane;
mod prediction_error;
mod text;
mod timeline_blocks;
mod verdict;

#[cfg(test)]
mod tests;

use crate::trace::Execution;
use contents::Report;
use cutpoint_plan::plan::Plan;
use cutpoint_plan::workload::Workload;

/// The report as one HTML page. `plan` keeps the rules of the cost model
/// ([`check_plan`](cutpoint_plan::check::check_plan)), and `measured` is an execution of it.
///
/// Plans the workload by every policy, for comparison. The page's size is bounded: blocks of the
/// timeline, layers, cuts and jobs are joined or left out, and the page says so, where there are too
/// many to be seen. A workload of 500 jobs gives less than a megabyte.
pub fn html(workload: &Workload, plan: &Plan, measured: Option<&Execution>) -> String {
    page::page(&Report::new(workload, plan, measured))
}
