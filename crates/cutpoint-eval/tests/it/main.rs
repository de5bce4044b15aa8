//! Tests of the source tree itself, and of the evaluation.

mod gaps;
#[cfg(target_os = "linux")]
mod testbed;
mod tidy;
