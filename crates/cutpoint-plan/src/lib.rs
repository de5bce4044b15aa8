//! Joint partition and scheduling of DNN inference jobs between a device and a server.

#![warn(missing_docs)]

pub mod check;
pub mod cut;
pub mod format;
pub mod plan;
#[cfg(test)]
mod testing;
pub mod units;
pub mod workload;
