//! The device's end of the link: a blocking client for plain threads, which measures the link and
//! can limit its uplink to a bandwidth.
//!
//! A [`Client`] speaks the Open Inference Protocol, version 2, so the server may be Cutpoint's own
//! or a generic one. Each stream has its own connection, on which the first and last byte of a
//! tensor can be timed; all connections of a client share one uplink limit.

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
pub use measure::{LinkMeasurement, MEASURE_BUDGET};
pub use messages::{DecodeMeasurement, HeldModel, Hello, InferReply, InferRequest, Part, Suffix};
pub use options::{ConnectOptions, Tls};
pub use probe::LinkProbe;
pub use stream::{Sent, StreamReceiver, StreamReply, StreamSender, Waited};
