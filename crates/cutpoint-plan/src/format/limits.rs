//! The largest files that are read.

/// The largest workload file, in bytes.
pub const WORKLOAD_BYTES_MAX: u64 = 256 << 20;
/// The largest plan file, in bytes.
pub const PLAN_BYTES_MAX: u64 = 16 << 30;
