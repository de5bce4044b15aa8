//! What travels between device and server: the messages, the limits on them, and the conversions
//! from and to tensors. docs/wire.md describes the same from the outside.
//!
//! The messages are those of the Open Inference Protocol, version 2, over gRPC, plus Cutpoint's
//! own small service. `messages` includes the code that is generated from `proto/`.

mod messages;
pub(crate) mod parameters;
mod tensors;

#[cfg(feature = "server")]
pub(crate) use messages::health;
pub(crate) use messages::{cutpoint, inference};
pub(crate) use parameters::RepositoryParameters;
#[cfg(feature = "server")]
pub(crate) use tensors::check_name;
#[cfg(feature = "server")]
pub(crate) use tensors::{ContentsForm, input_tensors, raw_output, typed_output};
pub(crate) use tensors::{output_tensors, raw_input};

/// The version of Cutpoint's own part of the protocol, told in `Hello`.
pub(crate) const PROTOCOL: u32 = 1;
