//! The workload in the planner's terms: classes of interchangeable jobs, their modes and parcels, and
//! what each mode loads the machines with.

mod context;
mod counts;
mod loads;
mod mode;
mod parcels;
mod pricer;

pub use context::Backlog;
pub(crate) use context::{Class, Context, EXACT_JOBS_MAX, Problem};
pub(crate) use counts::Counts;
pub(crate) use loads::{Loads, loads, weighted};
pub(crate) use mode::{Form, Mode, ModeSet, PARCELS_MAX, Parcel, Times};
#[cfg(test)]
pub(crate) use pricer::Pricing;
pub(crate) use pricer::{Pricer, download_time};
