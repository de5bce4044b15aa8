//! `cutpoint explain`: a plan in words.

use crate::args::workload::PlanArgs;
use crate::files::write_whole;
use cutpoint_plan::explain::explain_plan;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    plan: PlanArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (workload, plan) = args.plan.load_valid()?;
    write_whole(Path::new("-"), explain_plan(&workload, &plan).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
