//! The named limits on everything that comes from a file or the network. Whatever exceeds one is
//! refused before it is allocated.

use std::time::Duration;

/// The longest gRPC message that either side reads, unless the server is told otherwise. Whole
/// models are pushed in one message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// How many bytes of one HTTP/2 stream may be on the way, in either direction.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// How many bytes of one HTTP/2 connection may be on the way, in either direction.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// A connection that does not answer a keep-alive message within this time is given up.
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest tensor.
pub(crate) const TENSOR_BYTES_MAX: usize = 256 << 20;

/// The most dimensions that a tensor may have on the wire.
pub(crate) const RANK_MAX: usize = 16;

/// The most tensors in one request or reply.
pub(crate) const TENSORS_MAX: usize = 1024;

/// The longest name of a model or tensor, and the longest id, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 1024;

/// How many jobs may wait for an executor.
pub(crate) const QUEUE_JOBS_MAX: usize = 4096;

/// How many bytes of input tensors may wait for an executor.
pub(crate) const QUEUE_BYTES_MAX: usize = 4 << 30;

/// How many jobs of one stream may be between their first tensor and their reply.
pub(crate) const STREAM_JOBS_MAX: usize = 256;

/// How many jobs of one stream may lack some of their tensors.
pub(crate) const ASSEMBLY_JOBS_MAX: usize = 64;

/// How many bytes the incomplete jobs of one stream may hold.
pub(crate) const ASSEMBLY_BYTES_MAX: usize = 1 << 30;

/// How long a job may wait for its next tensor.
pub(crate) const ASSEMBLY_AGE_MAX: Duration = Duration::from_secs(300);

/// How many models a server holds.
pub(crate) const MODELS_MAX: usize = 256;

/// How many bytes the tensors of one job may have once they are decoded.
pub(crate) const JOB_BYTES_MAX: usize = 1 << 30;

/// How many bytes a reply to a probe may have.
pub(crate) const PROBE_REPLY_BYTES_MAX: u64 = 16 << 20;

/// The most runs of one kind in a profile.
pub(crate) const PROFILE_REPEATS_MAX: u32 = 1000;

/// How long a profile may take.
pub(crate) const PROFILE_BUDGET_MAX: Duration = Duration::from_secs(600);

/// How often a tensor is decoded for a measurement.
pub(crate) const DECODE_REPEATS_MAX: u32 = 100;

/// How many calls one connection may have open.
pub(crate) const CONNECTION_CALLS_MAX: u32 = 128;

/// The most bytes of a model file and of all its external data together.
pub(crate) const MODEL_BYTES_MAX: u64 = 16 << 30;

/// The most nodes of a graph.
pub(crate) const NODES_MAX: usize = 100_000;

/// The most dimensions that a tensor of a model may have.
pub(crate) const MODEL_RANK_MAX: usize = 64;

/// The most bytes of one input of a model.
pub(crate) const INPUT_BYTES_MAX: u64 = 4 << 30;

/// The most bytes of a segment: protobuf allows no more in one message.
pub(crate) const SEGMENT_BYTES_MAX: usize = (1 << 31) - 1;

/// The most bytes one input file may have, and the most an image may take when it is decoded.
pub(crate) const FILE_BYTES_MAX: u64 = 512 << 20;

/// The most pixels a picture may have on a side.
pub(crate) const SIDE_MAX: u32 = 32_768;
