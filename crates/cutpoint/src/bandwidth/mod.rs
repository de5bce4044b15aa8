//! Estimates the uplink's bandwidth and derives from it when to probe, how many bytes may be in
//! flight, and when a paced uplink lets bytes pass. State machines without socket, clock or thread:
//! time is an argument.

pub(crate) mod arrival_rate;
pub(crate) mod estimator;
pub(crate) mod pacer;
pub(crate) mod probe_schedule;
pub(crate) mod window;
