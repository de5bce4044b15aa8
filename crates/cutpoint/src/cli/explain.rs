//! `cutpoint explain`: a plan in words.

use super::output::write_whole;
use super::plan_files::WorkloadArgs;
use cutpoint_plan::explain::explain_plan;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// The plan; - for standard input.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let workload = args.workload.load()?;
    let plan = args.workload.load_plan(&workload, &args.plan)?;
    write_whole(Path::new("-"), explain_plan(&workload, &plan).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
