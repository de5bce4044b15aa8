//! Every limit on what a workload may hold, in one place.

/// Models in a workload.
pub(crate) const MODELS_MAX: u64 = 1 << 12;
/// Layers in a model.
pub(crate) const LAYERS_MAX: u64 = 1 << 16;
/// Tensors in a model, inputs included.
pub(crate) const TENSORS_MAX: u64 = 1 << 18;
/// Tensors that one layer reads, counted with repetitions.
pub(crate) const READS_MAX: u64 = 1 << 16;
/// Encodings of a tensor.
pub(crate) const ENCODINGS_MAX: u64 = 64;
/// Jobs in a workload, all counts added up.
pub(crate) const JOBS_MAX: u64 = 1 << 20;
/// Layers and tensors over all jobs: what a plan may have to list.
pub(crate) const OPERATIONS_MAX: u64 = 1 << 27;
/// The size of a tensor, in bytes.
pub(crate) const TENSOR_BYTES_MAX: u64 = 1 << 63;
/// Executors of a server.
pub(crate) const EXECUTORS_MAX: u64 = u32::MAX as u64;
