//! `cutpoint explain`: a plan in words.

use crate::args::workload::PlanArgs;
use crate::files::print;
use cutpoint_plan::explain::explain_plan;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    plan: PlanArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (workload, plan) = args.plan.load_valid()?;
    print(&explain_plan(&workload, &plan))?;
    Ok(ExitCode::SUCCESS)
}
