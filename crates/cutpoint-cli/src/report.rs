//! `cutpoint report`: one HTML page that shows a plan and its run.

use crate::args::workload::{PlanArgs, read_trace};
use crate::files::write_whole;
use cutpoint::report::html;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    plan: PlanArgs,

    /// The run's trace.json, as written by `cutpoint run`.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// Where the page goes; - for standard output.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let (workload, plan) = args.plan.load_valid()?;
    let measured = read_trace(args.trace.as_deref(), &workload, &plan)?;
    let page = html(&workload, &plan, measured.as_ref());
    Ok(write_whole(&args.output, page.as_bytes())?)
}
