//! How much a model may ask for. Whatever exceeds a limit is refused before it is allocated.

/// Bytes of a model file and of all its external data together.
pub const MODEL_BYTES_MAX: u64 = 16 << 30;

/// Nodes of a graph.
pub const NODES_MAX: usize = 100_000;

/// Dimensions of a tensor.
pub const RANK_MAX: usize = 64;

/// Bytes of one input of a model.
pub const INPUT_BYTES_MAX: u64 = 4 << 30;

/// Bytes of a segment: protobuf allows no more in one message.
pub const SEGMENT_BYTES_MAX: usize = (1 << 31) - 1;
