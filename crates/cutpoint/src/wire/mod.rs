//! What travels between device and server: the messages, the limits on them, and the conversions
//! from and to tensors. docs/wire.md describes the same from the outside.
//!
//! The messages are those of the Open Inference Protocol, version 2, over gRPC, plus Cutpoint's
//! own small service. The code under `generated/` comes from `proto/` by
//! `scripts/generate-wire-protos`.

pub mod limits;
pub(crate) mod parameters;
mod tensors;

pub use parameters::{Parameters, RepositoryParameters, names};
pub(crate) use tensors::check_name;
pub use tensors::{
    ContentsForm, input_tensors, output_tensors, raw_input, raw_output, typed_output,
};

/// Messages and services of the Open Inference Protocol, version 2.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/open_inference.proto, which documents it"
)]
pub mod inference {
    include!("generated/inference/messages.rs");
    include!("generated/inference/client.rs");
    include!("generated/inference/server.rs");
}

/// Messages and services of Cutpoint's own part of the protocol.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/cutpoint.proto, which documents it"
)]
pub mod own {
    include!("generated/cutpoint.v1/messages.rs");
    include!("generated/cutpoint.v1/client.rs");
    include!("generated/cutpoint.v1/server.rs");
}

/// Messages and services of the gRPC health checking protocol.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/grpc_health.proto, which documents it"
)]
pub mod health {
    include!("generated/grpc.health.v1/messages.rs");
    include!("generated/grpc.health.v1/client.rs");
    include!("generated/grpc.health.v1/server.rs");
}

/// The version of Cutpoint's own part of the protocol, told in `Hello`.
pub const PROTOCOL: u32 = 1;
