//! `cutpoint report`: one HTML page that shows a plan and what came of it.

use crate::cli::output::write_whole;
use crate::error::{Error, ErrorKind, Result};
use crate::report::{Report, policy_outcomes, render_report};
use crate::trace::{MeasuredRun, TRACE_BYTES_MAX, read_measured};
use anyhow::Context as _;
use cutpoint_plan::check::check_plan;
use cutpoint_plan::format::{read_plan, read_workload};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::workload::Workload;
use std::fs::File;
use std::io::{Read as _, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// No file that makes a readable report is larger than this.
const FILE_BYTES_MAX: u64 = TRACE_BYTES_MAX;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What there is to do: workload.json.
    workload: PathBuf,

    /// How it is to be done: plan.json.
    plan: PathBuf,

    /// How it was done: trace.json, as `cutpoint run` writes it.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// Where the page goes; - for standard output.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let workload = read_workload(&read(&args.workload)?)
        .with_context(|| args.workload.display().to_string())?;
    let plan = read_plan(&read(&args.plan)?, &workload)
        .with_context(|| args.plan.display().to_string())?;
    let violations = check_plan(&workload, &plan);
    if let Some(first) = violations.first() {
        let rest = match violations.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let message = format!("the plan breaks a rule: {first}{rest}");
        return Err(Error::new(ErrorKind::Workload, message)
            .at(args.plan.display())
            .hint("run `cutpoint check` for the whole list")
            .into());
    }
    let measured = match &args.trace {
        None => None,
        Some(path) => read_trace(path, &workload, &plan)?,
    };
    let policies = policy_outcomes(&workload, plan.granularity);
    let page = render_report(&Report {
        workload: &workload,
        plan: &plan,
        measured: measured.as_ref(),
        policies: &policies,
    });
    write_whole(&args.output, page.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What was measured in an execution of `plan`; nothing, and a warning, if the trace has none.
pub(super) fn read_trace(
    path: &Path,
    workload: &Workload,
    plan: &Plan,
) -> Result<Option<MeasuredRun>> {
    let found = read_measured(&read(path)?, workload, plan).map_err(|e| e.at(path.display()))?;
    if found.is_none() {
        log::warn!("{} has only what was planned, nothing measured", path.display());
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| {
        let message = format!("cannot be read: {e}");
        Error::new(ErrorKind::File, message).at(path.display()).because(e)
    };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = File::open(path).map_err(failed)?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("is larger than {FILE_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::File, message).at(path.display()));
    }
    Ok(bytes)
}
