//! Encodings: what they save and cost; and photographs to measure them on.

pub(crate) mod cost;
pub(crate) mod photos;
