//! `cutpoint explain`: a plan in words.

use crate::args::workload::PlanArgs;
use crate::files::print;
use cutpoint_plan::explain::explain_plan;
use std::process::ExitCode;

pub(crate) fn run(args: PlanArgs) -> anyhow::Result<ExitCode> {
    let (workload, plan) = args.load_valid()?;
    print(&explain_plan(&workload, &plan))?;
    Ok(ExitCode::SUCCESS)
}
