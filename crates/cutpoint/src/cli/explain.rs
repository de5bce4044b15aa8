//! `cutpoint explain`: a plan in words.

use super::output::write_whole;
use super::plan_files::WorkloadArgs;
use crate::error::{Error, ErrorKind};
use cutpoint_plan::check::check_plan;
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
    if let Some(first) = check_plan(&workload, &plan).first() {
        let error = Error::new(ErrorKind::Workload, format!("the plan is not valid: {first}"));
        return Err(error.hint("cutpoint check lists all violations").into());
    }
    write_whole(Path::new("-"), explain_plan(&workload, &plan).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
