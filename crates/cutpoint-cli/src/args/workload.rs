//! Reading workloads and plans for the subcommands that take them.

use super::values;
use crate::files::read_whole;
use cutpoint::error::{Error, ErrorKind, Result};
use cutpoint::trace::{Execution, TRACE_BYTES_MAX, read_measured};
use cutpoint_plan::check::check_plan;
use cutpoint_plan::error::InputError;
use cutpoint_plan::format::{self, limits};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::Workload;
use std::path::{Path, PathBuf};

/// A workload and what replaces parts of it.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkloadArgs {
    /// The workload, as `cutpoint profile` writes it; - for standard input.
    #[arg(value_name = "WORKLOAD")]
    workload: PathBuf,
    /// Override the workload's uplink bandwidth, in Mbit/s.
    #[arg(long, value_name = "MBPS", value_parser = values::bandwidth_or_none)]
    uplink_mbps: Option<Bandwidth>,
    /// Override the workload's downlink bandwidth, in Mbit/s.
    #[arg(long, value_name = "MBPS", value_parser = values::bandwidth_or_none)]
    downlink_mbps: Option<Bandwidth>,
    /// Override the workload's round trip, in milliseconds.
    #[arg(long, value_name = "MS", value_parser = values::milliseconds)]
    rtt_ms: Option<Time>,
}

impl WorkloadArgs {
    /// The workload, validated after the replacements.
    pub(crate) fn load(&self) -> Result<Workload> {
        let json = read_whole(&self.workload, limits::WORKLOAD_BYTES_MAX)?;
        let refused = |e| refused(&self.workload, &e);
        let mut builder = format::read_workload_builder(&json).map_err(refused)?;
        let link = &mut builder.link;
        link.uplink = self.uplink_mbps.unwrap_or(link.uplink);
        link.downlink = self.downlink_mbps.or(link.downlink);
        link.round_trip = self.rtt_ms.unwrap_or(link.round_trip);
        builder.build().map_err(refused)
    }
}

/// The workload in a file.
pub(crate) fn read_workload(path: &Path) -> Result<Workload> {
    let json = read_whole(path, limits::WORKLOAD_BYTES_MAX)?;
    format::read_workload(&json).map_err(|e| refused(path, &e))
}

/// A workload and a plan for it.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// The plan; - for standard input.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
}

impl PlanArgs {
    /// Both, the workload validated.
    pub(crate) fn load(&self) -> anyhow::Result<(Workload, Plan)> {
        if self.workload.workload == Path::new("-") && self.plan == Path::new("-") {
            anyhow::bail!("workload and plan cannot both come from standard input");
        }
        let workload = self.workload.load()?;
        let json = read_whole(&self.plan, limits::PLAN_BYTES_MAX)?;
        let plan = format::read_plan(&json, &workload).map_err(|e| refused(&self.plan, &e))?;
        Ok((workload, plan))
    }

    /// Both; a plan that breaks a rule is an error.
    pub(crate) fn load_valid(&self) -> anyhow::Result<(Workload, Plan)> {
        let (workload, plan) = self.load()?;
        match check_plan(&workload, &plan).as_slice() {
            [] => Ok((workload, plan)),
            [first, rest @ ..] => {
                let more = match rest.len() {
                    0 => String::new(),
                    count => format!(" (and {count} more)"),
                };
                let message = format!("the plan breaks a rule: {first}{more}");
                Err(Error::new(ErrorKind::Workload, message)
                    .at(self.plan.display())
                    .hint("`cutpoint check` lists all violations")
                    .into())
            }
        }
    }
}

fn refused(path: &Path, error: &InputError) -> Error {
    let message = format!("{} [{}]", error.message, error.code());
    let refusal = Error::new(ErrorKind::Workload, message);
    let refusal = if error.place.is_empty() { refusal } else { refusal.at(&error.place) };
    refusal.at(path.display()).hint(format!("docs/errors.md explains the code {}", error.code()))
}

/// What was measured in an execution of `plan`; `None`, with a warning, if the trace holds only the
/// plan.
pub(crate) fn read_trace(
    path: Option<&Path>,
    workload: &Workload,
    plan: &Plan,
) -> Result<Option<Execution>> {
    let Some(path) = path else { return Ok(None) };
    let trace = read_whole(path, TRACE_BYTES_MAX)?;
    let found = read_measured(&trace, workload, plan).map_err(|e| e.at(path.display()))?;
    if found.is_none() {
        log::warn!("{}: the trace holds a plan, but no measured times", path.display());
    }
    Ok(found)
}
