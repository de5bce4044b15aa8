//! Joint partition and scheduling of DNN inference jobs between a device and a server.
//!
//! A job is a graph of layers. Each layer takes a time on the device and a time on the server, and
//! writes tensors of known sizes. A plan says for every job which layers stay on the device, which
//! tensors cross the link and in which form, and when every operation runs; it comes with a lower
//! bound on the makespan of any plan. This crate computes: it reads no file and no clock, and starts
//! no thread. The crate `cutpoint` measures real models and executes plans.
//!
//! ```
//! use cutpoint_plan::{
//!     Bandwidth, LayerBuilder, Link, ModelBuilder, PlanOptions, Policy, Time, Workload, check_plan,
//!     plan,
//! };
//!
//! let ms = |ms| Time::from_milliseconds(ms).expect("neither negative nor too long");
//! let conv = LayerBuilder::new("conv").read("image").write("map", 20_000);
//! let head = LayerBuilder::new("head").read("map").write("label", 40);
//! let model = ModelBuilder::new("detector")
//!     .input("image", 150_528)
//!     .layer(conv.device(ms(8.0)).server(ms(0.5)))
//!     .layer(head.device(ms(30.0)).server(ms(2.0)));
//! let wifi = Bandwidth::from_mbit_per_s(20.0).expect("positive and finite");
//! let workload =
//!     Workload::builder(Link::at(wifi)).add_model(model).add_jobs("detector", 12).build()?;
//!
//! let planned = plan(&workload, Policy::Joint, &PlanOptions::default())?;
//! println!("{}, at most {:.2} % above the best", planned.makespan, planned.gap() * 100.0);
//! assert_eq!(check_plan(&workload, &planned), []);
//! # assert!(planned.makespan < ms(12.0 * 38.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`workload`] | models, jobs and link, and the builder that validates them |
//! | [`options`], [`policy`] | how to plan; one function for every policy |
//! | [`mod@plan`] | what a plan is: partitions and operations |
//! | [`check`] | judges a plan, and proves bounds, by code that the planner does not use |
//! | [`replan`] | the same cuts at another bandwidth, behind what has begun |
//! | [`explain`], [`gantt`] | a plan in words; charts as text and SVG |
//! | [`mod@format`] | `workload.json` and `plan.json` |
//! | [`instances`] | random workloads for tests and experiments |
//!
//! The crate's other modules are its parts: [`units`], [`error`], [`cut`], [`hull`], [`simulate`].

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

pub use check::check_plan;
pub use error::{InputError, UnknownName};
pub use format::{read_plan, read_workload, write_plan, write_workload};
pub use options::{Granularity, Objective, PlanOptions, Policy};
pub use plan::Plan;
pub use policy::{PlanError, plan};
pub use units::{Bandwidth, Time};
pub use workload::{LayerBuilder, Link, ModelBuilder, Workload};
