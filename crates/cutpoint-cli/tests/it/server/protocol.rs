//! The Open Inference Protocol as any client has it: messages and calls made from its definition.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/open_inference.proto, which documents it"
)]

include!("../../../../cutpoint/generated/wire/inference/messages.rs");
include!("../../../../cutpoint/generated/wire/inference/client.rs");
