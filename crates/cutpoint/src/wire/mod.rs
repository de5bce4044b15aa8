//! What travels between device and server: the messages, the limits on them, and the conversions
//! from and to tensors. docs/wire.md describes the same from the outside.
//!
//! The messages are those of the Open Inference Protocol, version 2, over gRPC, plus Cutpoint's
//! own small service. `messages` includes the code that is generated from `proto/`.

mod messages;
pub(crate) mod parameters;
mod tensors;

pub use messages::{cutpoint, health, inference};
pub use parameters::{Parameters, RepositoryParameters, names};
#[cfg(feature = "server")]
pub(crate) use tensors::check_name;
pub use tensors::{
    ContentsForm, input_tensors, output_tensors, raw_input, raw_output, typed_output,
};

/// The version of Cutpoint's own part of the protocol, told in `Hello`.
pub const PROTOCOL: u32 = 1;
