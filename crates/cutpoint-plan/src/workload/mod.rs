//! What there is to do, and with what: models as layers with measured times, the link, the server,
//! and the list of jobs.
//!
//! [`Workload::builder`] makes workloads and validates them, so that planning cannot fail; the JSON
//! reader in [`crate::format`] goes through the same builder.

mod builder;
mod json;
pub(crate) mod limits;
mod size;
mod types;

pub use builder::{JobRun, LayerBuilder, ModelBuilder, WorkloadBuilder};
pub(crate) use json::{by_name, whole};
pub use size::{Size, TensorEncoding};
pub use types::{
    JobId, Layer, LayerId, Link, ModelGraph, ModelId, ModelTensor, TensorId, Workload,
};
