//! The messages and services of the three protocols, generated from `proto/` by
//! `scripts/generate-wire-protos`.

/// Messages and services of the Open Inference Protocol, version 2.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/open_inference.proto, which documents it"
)]
pub mod inference {
    include!("../../generated/wire/inference/messages.rs");
    include!("../../generated/wire/inference/client.rs");
    #[cfg(feature = "server")]
    include!("../../generated/wire/inference/server.rs");
}

/// Messages and services of Cutpoint's own part of the protocol.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/cutpoint.proto, which documents it"
)]
pub mod cutpoint {
    include!("../../generated/wire/cutpoint/messages.rs");
    include!("../../generated/wire/cutpoint/client.rs");
    #[cfg(feature = "server")]
    include!("../../generated/wire/cutpoint/server.rs");
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
    include!("../../generated/wire/health/messages.rs");
    include!("../../generated/wire/health/client.rs");
    #[cfg(feature = "server")]
    include!("../../generated/wire/health/server.rs");
}
