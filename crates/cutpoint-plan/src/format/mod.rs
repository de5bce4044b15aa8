//! How workloads and plans look in files: `workload.json` and `plan.json`.
//!
//! Reading validates: what comes out of [`read_workload`] can be planned without an error, and
//! what comes out of [`read_plan`] refers only to what its workload has. Whether a plan keeps the
//! rules of the cost model is another question; `check` answers it. docs/formats.md describes
//! every key.

mod entries;
mod json;
pub mod limits;
mod plan_file;
mod validate;
mod workload_file;

#[cfg(test)]
mod tests;

pub use entries::{Entries, Quantity};
pub use plan_file::{PLAN_SCHEMA, read_plan, write_plan};
pub use workload_file::{
    EncodingFile, JobsFile, LayerFile, LinkFile, ModelFile, ServerFile, SizeFile, WORKLOAD_SCHEMA,
    WorkloadFile,
};

use crate::error::InputError;
use crate::workload::Workload;
use json::parse;
use std::io::{self, Write};

/// Reads and validates a workload.
///
/// # Errors
/// The first broken rule, with its place.
pub fn read_workload(json: &[u8]) -> Result<Workload, InputError> {
    Workload::try_from(read_workload_file(json)?)
}

/// Reads a workload file without judging it, so that parts can be replaced first.
///
/// # Errors
/// The text is not JSON, or has other keys or types than the format.
pub fn read_workload_file(json: &[u8]) -> Result<WorkloadFile, InputError> {
    parse(json, limits::WORKLOAD_BYTES_MAX)
}

/// Writes a workload, indented; [`read_workload`] gives the same workload back.
///
/// # Errors
/// Whatever `sink` returns.
pub fn write_workload(workload: &Workload, sink: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *sink, &WorkloadFile::from(workload))?;
    sink.write_all(b"\n")
}
