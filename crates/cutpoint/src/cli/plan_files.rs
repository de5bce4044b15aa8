//! Reading workloads and plans for the subcommands that take them.

use crate::error::{Error, ErrorKind, Result};
use cutpoint_plan::format::{self, FormatError, limits};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::workload::Workload;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A workload and what replaces parts of it.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkloadArgs {
    /// The workload, as `cutpoint profile` writes it; - for standard input.
    #[arg(value_name = "WORKLOAD")]
    workload: PathBuf,
    /// Instead of the workload's bandwidth from device to server, in Mbit/s.
    #[arg(long, value_name = "MBPS", value_parser = not_negative)]
    uplink_mbps: Option<f64>,
    /// Instead of the workload's bandwidth from server to device, in Mbit/s.
    #[arg(long, value_name = "MBPS", value_parser = not_negative)]
    downlink_mbps: Option<f64>,
    /// Instead of the workload's round trip, in milliseconds.
    #[arg(long, value_name = "MS", value_parser = not_negative)]
    rtt_ms: Option<f64>,
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("expected a number, 0 or more".to_string()),
    }
}

impl WorkloadArgs {
    /// The workload, validated after the replacements.
    pub(crate) fn load(&self) -> Result<Workload> {
        let json = read(&self.workload, limits::WORKLOAD_BYTES_MAX)?;
        let refused = |e| refused(&self.workload, &e);
        let mut file = format::read_workload_file(&json).map_err(refused)?;
        if let Some(mbps) = self.uplink_mbps {
            file.link.uplink_mbps = mbps;
        }
        if self.downlink_mbps.is_some() {
            file.link.downlink_mbps = self.downlink_mbps;
        }
        if let Some(rtt) = self.rtt_ms {
            file.link.rtt_ms = rtt;
        }
        Workload::try_from(file).map_err(refused)
    }

    /// A plan for this workload.
    pub(crate) fn load_plan(&self, workload: &Workload, path: &Path) -> anyhow::Result<Plan> {
        if self.workload == Path::new("-") && path == Path::new("-") {
            anyhow::bail!("workload and plan cannot both come from standard input");
        }
        let json = read(path, limits::PLAN_BYTES_MAX)?;
        Ok(format::read_plan(&json, workload).map_err(|e| refused(path, &e))?)
    }
}

/// A whole file of at most `limit` bytes; `-` is standard input.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::File, format!("cannot be read: {e}")).at(path.display())
    };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = File::open(path).map_err(failed)?;
        file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}

fn refused(path: &Path, error: &FormatError) -> Error {
    let message = format!("{} [{}]", error.rule, error.code());
    let refusal = Error::new(ErrorKind::Workload, message);
    let refusal = if error.place.is_empty() { refusal } else { refusal.at(&error.place) };
    refusal.at(path.display()).hint(format!("docs/errors.md explains the code {}", error.code()))
}
