//! Estimation of the uplink's bandwidth, and what follows from it: when to probe, how much may be in
//! flight, and when a shaped uplink lets bytes pass. State machines without socket, clock or thread:
//! time is an argument.

pub(crate) mod arrival_rate;
pub(crate) mod estimator;
pub(crate) mod pacer;
pub(crate) mod probe_schedule;
pub(crate) mod window;
