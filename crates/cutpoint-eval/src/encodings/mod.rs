//! Encodings: what they save and cost, and what they bring to jobs whose inputs are JPEG files.

pub(crate) mod cost;
pub(crate) mod jpeg_inputs;
pub(crate) mod photos;
