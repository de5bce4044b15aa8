//! The named limits on everything that comes from the network.

use std::time::Duration;

/// The longest gRPC message that either side reads, unless the server is told otherwise. Whole
/// models are pushed in one message.
pub const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// The largest tensor.
pub const TENSOR_BYTES_MAX: usize = 256 << 20;

/// The most dimensions that a tensor may have.
pub const RANK_MAX: usize = 16;

/// The most tensors in one request or reply.
pub const TENSORS_MAX: usize = 1024;

/// The longest name of a model or tensor, and the longest id, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;

/// How many jobs may wait for an executor.
pub const QUEUE_JOBS_MAX: usize = 4096;

/// How many bytes of input tensors may wait for an executor.
pub const QUEUE_BYTES_MAX: usize = 4 << 30;

/// How many jobs of one stream may be between their first tensor and their reply.
pub const STREAM_JOBS_MAX: usize = 256;

/// How many jobs of one stream may lack some of their tensors.
pub const ASSEMBLY_JOBS_MAX: usize = 64;

/// How many bytes the incomplete jobs of one stream may hold.
pub const ASSEMBLY_BYTES_MAX: usize = 1 << 30;

/// How long a job may wait for its next tensor.
pub const ASSEMBLY_AGE_MAX: Duration = Duration::from_secs(300);

/// How many models a server holds.
pub const MODELS_MAX: usize = 256;

/// How many bytes the tensors of one job may have once they are decoded.
pub const JOB_BYTES_MAX: usize = 1 << 30;

/// How many bytes a reply to a probe may have.
pub const PROBE_REPLY_BYTES_MAX: u64 = 16 << 20;

/// The most runs of one kind in a profile.
pub const PROFILE_REPEATS_MAX: u32 = 1000;

/// How long a profile may take.
pub const PROFILE_BUDGET_MAX: Duration = Duration::from_secs(600);

/// How often a tensor is decoded for a measurement.
pub const DECODE_REPEATS_MAX: u32 = 100;

/// How many calls one connection may have open.
pub const CONNECTION_CALLS_MAX: u32 = 128;
