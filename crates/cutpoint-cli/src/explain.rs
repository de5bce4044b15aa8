//! `cutpoint explain`: a plan in words.

use crate::args::workload::PlanArgs;
use crate::files::print;
use cutpoint_plan::explain::explain_plan;

pub(crate) fn run(args: PlanArgs) -> anyhow::Result<()> {
    let (workload, plan) = args.load_valid()?;
    Ok(print(&explain_plan(&workload, &plan))?)
}
