//! The device's side of the link: a blocking client for plain threads, whose uplink can be held
//! to a bandwidth, and which measures the link that it has.
//!
//! A [`Client`] speaks the Open Inference Protocol, version 2, so the other side may be Cutpoint's
//! own server or another one. Each stream has a connection of its own, on which a tensor's first
//! and last byte can be told; all connections of a client share one uplink limit.

mod bounded;
mod client;
mod connect;
mod measure;
mod messages;
mod options;
mod probe;
mod socket;
mod stream;
mod warm_up;

pub use crate::bandwidth::window::Acknowledgement;
pub use client::Client;
pub use measure::{LinkMeasurement, MeasureOptions};
pub use messages::{DecodeMeasurement, HeldModel, Hello, InferReply, InferRequest, Part, Suffix};
pub use options::{ConnectOptions, Tls};
pub use probe::LinkProbe;
pub use stream::{Sent, StreamReceiver, StreamReply, StreamSender, Waited};
