//! How workloads and plans look in files: `workload.json` and `plan.json`.
//!
//! Reading validates: what comes out of [`read_workload`] can be planned without an error, and
//! what comes out of [`read_plan`] refers only to what its workload has. Whether a plan keeps the
//! rules of the cost model is another question; `check` answers it. docs/formats.md describes
//! every key.

mod json;
pub mod limits;
mod plan_file;
mod workload_file;

#[cfg(test)]
mod tests;

pub use plan_file::{read_plan, write_plan};
pub use workload_file::WORKLOAD_SCHEMA;

use crate::error::InputError;
use crate::workload::{Workload, WorkloadBuilder};
use json::parse;
use std::io::{self, Write};
use workload_file::WorkloadFile;

/// Reads and validates a workload.
///
/// # Errors
/// The first broken rule, with its place.
pub fn read_workload(json: &[u8]) -> Result<Workload, InputError> {
    read_workload_builder(json)?.build()
}

/// Reads a workload and does not validate it yet, so that parts can be replaced first.
///
/// # Errors
/// The text is not JSON, or not of the format: it has other keys, types or numbers.
pub fn read_workload_builder(json: &[u8]) -> Result<WorkloadBuilder, InputError> {
    parse::<WorkloadFile>(json, limits::WORKLOAD_BYTES_MAX)?.try_into()
}

/// Writes a workload, indented; [`read_workload`] gives the same workload back.
///
/// # Errors
/// Whatever `sink` returns.
pub fn write_workload(workload: &Workload, sink: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *sink, &WorkloadFile::from(workload))?;
    sink.write_all(b"\n")
}
