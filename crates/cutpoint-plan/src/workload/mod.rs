//! What there is to do, and with what: models as layers with measured times, the link, the server,
//! and the list of jobs.
//!
//! [`Workload::builder`] makes workloads and validates them, so that planning cannot fail; the JSON
//! reader in [`crate::format`] goes through the same builder.

mod builder;
pub mod limits;
mod types;

pub use builder::{LayerBuilder, ModelBuilder, Size, WorkloadBuilder};
pub use types::{
    JobId, Layer, LayerId, Link, ModelGraph, ModelId, ModelTensor, TensorEncoding, TensorId,
    Workload,
};
