//! Joint partition and scheduling of DNN inference jobs between a device and a server.

#![warn(missing_docs)]

pub mod cut;
pub mod format;
pub mod plan;
pub mod units;
pub mod workload;
