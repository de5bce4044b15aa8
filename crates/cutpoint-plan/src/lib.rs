//! Joint partition and scheduling of DNN inference jobs between a device and a server.

#![warn(missing_docs)]

mod bound;
pub mod check;
pub mod cut;
pub mod error;
pub mod explain;
mod flow_shop;
pub mod format;
pub mod gantt;
pub mod hull;
pub mod instances;
mod joint;
pub mod options;
#[cfg(test)]
mod oracle;
mod partition;
pub mod plan;
pub mod policy;
mod problem;
pub mod replan;
pub mod simulate;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod units;
pub mod workload;
