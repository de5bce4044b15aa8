//! What does each encoding make of the tensors that a plan may send: how small they get, what that
//! costs on both sides, and how far the model's outputs move?
//!
//! The model runs once on each of some inputs with every tensor that crosses a cut as an output.
//! On the first input the candidate cuts are found; at those every encoding is timed on every
//! input. What a lossy encoding does to the outputs is measured at each candidate cut with all
//! of its tensors in that encoding, against the unsplit model: only encodings within the budget at
//! every candidate cut of a tensor are admitted for it.

mod accuracy;
mod candidates;
mod coder;
mod cost;
mod encoding_profile;
mod measure;
#[cfg(test)]
mod tests;

pub use accuracy::{AccuracyBudget, Effect};
pub use encoding_profile::{
    CutEffect, EncodingCost, EncodingOptions, EncodingProfile, EncodingSummary, Sample,
};
pub use measure::{INPUTS_MAX, profile_encodings};
