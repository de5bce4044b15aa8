//! Jobs that arrive over time: patterns of cuts, made for a period and repeated.
//!
//! A pattern is a plan for some jobs that arrive one each period. Job k is cut as job k of the
//! pattern, and from its end on as in the pattern's middle, again and again: the first and the last
//! jobs of a plan see empty machines. Jobs keep their order on every machine. There is a pattern for
//! each of a few bandwidths of the uplink; when the link changes, the nearest one is taken up, and
//! without a server everything stays on the device.

mod arrivals;
mod pattern;
mod pauses;
mod plan;

pub use arrivals::{Names, Replay, Watch};
pub(in crate::session) use pattern::Patterns;
pub use plan::{PATTERN_JOBS_MAX, StreamPlan};
