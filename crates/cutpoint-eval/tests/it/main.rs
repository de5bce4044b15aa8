//! Tests of the source tree itself, and of the evaluation.

mod gaps;
mod imports;
mod rooms;
#[cfg(target_os = "linux")]
mod testbed;
mod tidy;
