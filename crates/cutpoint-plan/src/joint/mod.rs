//! The search for the mode of each job and for the order in which parcels are sent.
//!
//! Jobs of one model are interchangeable, so a mix of modes is a count for each (model, mode) and
//! costs the same to evaluate for ten jobs and for a million ([`mix`]). Small instances are solved
//! by a search over everything ([`exact`]).

pub(crate) mod best_mix;
pub(crate) mod exact;
pub(crate) mod identical;
pub(crate) mod job_order;
pub(crate) mod local_search;
pub(crate) mod mix;
pub(crate) mod reinsertion;
pub(crate) mod send_order;
pub(crate) mod sequence;
pub(crate) mod shortlist;
