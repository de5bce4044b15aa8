//! Tests of the source tree itself, and of the evaluation.

#[cfg(target_os = "linux")]
mod testbed;
mod tidy;
