//! How workloads and plans look in files: `workload.json` and `plan.json`.
//!
//! Reading validates: what comes out of [`read_workload`] can be planned without an error, and
//! what comes out of [`read_plan`] refers only to what its workload has. Whether a plan keeps the
//! rules of the cost model is another question; `check` answers it. docs/formats.md describes
//! every key.

mod entries;
mod error;
pub mod limits;
mod plan_file;
mod validate;
mod workload_file;

#[cfg(test)]
mod tests;

pub use entries::{Entries, Quantity};
pub use error::{FormatError, Rule};
pub use plan_file::{PLAN_SCHEMA, read_plan, write_plan};
pub use workload_file::{
    EncodingFile, JobsFile, LayerFile, LinkFile, ModelFile, ServerFile, SizeFile, WORKLOAD_SCHEMA,
    WorkloadFile,
};

use crate::workload::Workload;
use serde::Deserialize;
use std::io::{self, Write};

/// Reads and validates a workload.
///
/// # Errors
/// The first broken rule, with its place.
pub fn read_workload(json: &[u8]) -> Result<Workload, FormatError> {
    Workload::try_from(read_workload_file(json)?)
}

/// Reads a workload file without judging it, so that parts can be replaced first.
///
/// # Errors
/// What is not JSON, or not of the format's keys and types.
pub fn read_workload_file(json: &[u8]) -> Result<WorkloadFile, FormatError> {
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

/// Parses JSON; only a file that fails is parsed again to find the place, which costs memory.
fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], limit: u64) -> Result<T, FormatError> {
    let found = json.len() as u64;
    if found > limit {
        return Err(FormatError::new("", Rule::TooMany { what: "bytes", found, limit }));
    }
    if let Ok(value) = serde_json::from_slice(json) {
        return Ok(value);
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|e| FormatError::from_json(e.path().to_string(), e.inner()))?;
    reader.end().map_err(|e| FormatError::from_json(String::new(), &e))?;
    Ok(value)
}
