//! Inference engines: what it costs to divide a model.

pub(crate) mod split_cost;
