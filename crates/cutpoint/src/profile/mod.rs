//! How long does every layer of a model take on an engine?
//!
//! The engine's own clock times every node in runs of the whole model, and the nodes' times are
//! added up by layer; where an engine has no such clock, every layer is run as a segment of its
//! own. In turns with that the whole model is run without a clock: what it takes then is the truth
//! that the layers must add up to.
//!
//! # As JSON
//! [`ModelProfile`] is serialised with the schema `cutpoint.profile/1`:
//!
//! ```json
//! { "schema": "cutpoint.profile/1", "sha256": "e3b0...", "engine": "rten 0.27.0", "threads": 1,
//!   "method": "clock",
//!   "layers": [ { "name": "conv1", "median_ms": 1.25, "spread": 0.012 } ],
//!   "whole": { "median_ms": 37.6, "min_ms": 37.1, "spread": 0.008, "runs": 20 },
//!   "waiting": 0.01, "sum_over_whole": 0.98, "is_scaled": true, "is_noisy": false, "warnings": [] }
//! ```
//!
//! `layers` are in the order of the model's layers. A spread is the median absolute
//! deviation from the median, divided by the median.

mod by_layer;
mod by_segment;
mod encodings;
mod measure;
mod model_profile;
mod reference_outputs;
mod statistics;
#[cfg(test)]
mod tests;

pub use encodings::{
    AccuracyBudget, CutEffect, Effect, EncodingCost, EncodingOptions, EncodingProfile,
    EncodingSummary, INPUTS_MAX, Sample, profile_encodings,
};
pub use measure::{NOISE_MAX, SUM_TOLERANCE, profile_model};
pub use model_profile::{LayerTime, Method, ModelProfile, ProfileOptions, SCHEMA, WholeTime};
pub use reference_outputs::unsplit_outputs;
pub use statistics::median;
