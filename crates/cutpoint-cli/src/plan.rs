//! `cutpoint plan`: from a workload to a plan.

use crate::args::format::Format;
use crate::args::values;
use crate::args::workload::WorkloadArgs;
use crate::files::{print, write_whole};
use cutpoint::error::{Error, ErrorKind};
use cutpoint_plan::check::check_plan;
use cutpoint_plan::explain::render_summary;
use cutpoint_plan::format::write_plan;
use cutpoint_plan::options::{Granularity, Objective, PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::units::count;
use cutpoint_plan::workload::Workload;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// The policy: local-only, server-only, partition-only, schedule-only, best-single, adjacent, joint,
    /// or exhaustive (small workloads only).
    #[arg(long, default_value_t = Policy::Joint)]
    policy: Policy,
    /// When a tensor may be sent: as soon as its layer has run (layer), or after the last device layer
    /// of its job (job).
    #[arg(long, default_value_t = Granularity::Layer)]
    granularity: Granularity,
    /// What to minimise: the last completion (makespan), or the mean of all completions
    /// (mean-completion).
    #[arg(long, default_value_t = Objective::Makespan)]
    objective: Objective,
    /// Jobs arrive one every PERIOD_MS, in the workload's order; by default all are there from the
    /// start.
    #[arg(long, value_name = "PERIOD_MS", value_parser = values::milliseconds, allow_negative_numbers = true)]
    arrivals: Option<Time>,
    /// Where the plan goes; - for standard output.
    #[arg(short, long, value_name = "PLAN")]
    output: Option<PathBuf>,
    /// Standard output: a summary (text) or the plan itself (json).
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let workload = args.workload.load()?;
    let options = PlanOptions {
        granularity: args.granularity,
        objective: args.objective,
        period: args.arrivals,
        ..PlanOptions::default()
    };
    let plan = checked_plan(&workload, args.policy, &options)?;
    let mut json = Vec::new();
    write_plan(&workload, &plan, &mut json)?;
    if let Some(path) = &args.output {
        write_whole(path, &json)?;
    }
    let stdout = Path::new("-");
    match args.format {
        _ if args.output.as_deref() == Some(stdout) => {}
        Format::Json => write_whole(stdout, &json)?,
        Format::Text => {
            // Both are always possible to compare with, if the link lets anything pass.
            let other = |policy| checked_plan(&workload, policy, &options).ok().map(|p| p.makespan);
            let others = [Policy::LocalOnly, Policy::ServerOnly].map(|p| (p, other(p)));
            print(&render_summary(&workload, &plan, &others))?;
        }
    }
    Ok(())
}

/// A plan that the checker has found to keep every rule.
fn checked_plan(
    workload: &Workload,
    policy: Policy,
    options: &PlanOptions,
) -> anyhow::Result<Plan> {
    let plan = plan(workload, policy, options)
        .map_err(|e| Error::new(ErrorKind::Workload, e.to_string()))?;
    let violations = check_plan(workload, &plan);
    if let Some(first) = violations.first() {
        anyhow::bail!(
            "the plan breaks {} of the cost model; first: {first}",
            count(violations.len(), "rule")
        );
    }
    Ok(plan)
}
