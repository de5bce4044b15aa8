//! The measured times of a model: what is kept, and how it is checked.

use crate::error::{Error, ErrorKind, Result};
use crate::onnx::LayeredModel;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The name of the JSON form of [`ModelProfile`].
pub const SCHEMA: &str = "cutpoint.profile/1";

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfileOptions {
    /// Runs that come first and do not count.
    pub warm_up: usize,
    /// Runs with a clock on the nodes; the whole model is run as often without.
    pub repeats: usize,
    /// The time that all runs may take together; a slow model is run less often, but three times.
    pub budget: Duration,
}

impl Default for ProfileOptions {
    /// 3 runs to warm up, then 20 repeats, in a minute.
    fn default() -> ProfileOptions {
        ProfileOptions { warm_up: 3, repeats: 20, budget: Duration::from_secs(60) }
    }
}

/// The measured times of a model on an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelProfile {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The SHA-256 of the model's file.
    pub sha256: String,
    /// Name and version of the engine.
    pub engine: String,
    /// How many threads each run could use.
    pub threads: usize,
    /// How the layers were timed.
    pub method: Method,
    /// In the order of the model's layers.
    pub layers: Vec<LayerTime>,
    /// The whole model, without a clock on its nodes.
    pub whole: WholeTime,
    /// The share of the time in which the engine's threads were ready to run and waited for a
    /// processor; none where the operating system does not say.
    pub waiting: Option<f64>,
    /// The sum of the layers' medians as measured, divided by the whole model's median.
    pub sum_over_whole: f64,
    /// Whether `layers` were scaled, after measuring, to add up to the whole model's median.
    pub is_scaled: bool,
    /// Whether the measurement is too uneven to be relied on.
    pub is_noisy: bool,
    /// What a person should know about this measurement, a sentence each.
    pub warnings: Vec<String>,
}

/// How layers were timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// By the engine's own clock on every node, in runs of the whole model.
    Clock,
    /// Each as a segment of its own; what the engine fuses across layers is not seen.
    Segments,
}

/// The time of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerTime {
    /// The layer's name.
    pub name: String,
    /// The median over all repeats, in milliseconds.
    pub median_ms: f64,
    /// The median absolute deviation divided by the median; 0 if the median is 0.
    pub spread: f64,
}

/// The time of a whole model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeTime {
    /// The median over all runs, in milliseconds.
    pub median_ms: f64,
    /// The shortest run, in milliseconds.
    pub min_ms: f64,
    /// The median absolute deviation divided by the median.
    pub spread: f64,
    /// How many runs were timed.
    pub runs: usize,
}

/// Measured times, in milliseconds.
pub(super) struct Measured {
    pub(super) method: Method,
    /// By layer, then by repeat.
    pub(super) layers: Vec<Vec<f64>>,
    /// By repeat, without a clock.
    pub(super) whole: Vec<f64>,
    pub(super) waiting: Option<f64>,
}

impl ModelProfile {
    /// The median time of each layer in milliseconds, scaled so that they add up to `whole_ms`.
    pub fn layers_ms(&self, whole_ms: f64) -> Vec<f64> {
        let sum: f64 = self.layers.iter().map(|layer| layer.median_ms).sum();
        let scale = if sum > 0.0 { whole_ms / sum } else { 1.0 };
        self.layers.iter().map(|layer| layer.median_ms * scale).collect()
    }

    /// Checks a profile that came from elsewhere against the model that it should be of.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if it is of another model or schema, if its layers are others, or if
    /// a time or ratio is negative or not finite.
    pub fn check(&self, model: &LayeredModel) -> Result<()> {
        let error = |message: String| Err(Error::new(ErrorKind::Protocol, message).at("profile"));
        if self.schema != SCHEMA {
            return error(format!("schema {:?}, expected {SCHEMA:?}", self.schema));
        }
        if self.sha256 != model.model().sha256() {
            return error("it is of another model file".into());
        }
        let expected = &model.layers().layers;
        if self.layers.len() != expected.len() {
            let (found, expected) = (self.layers.len(), expected.len());
            return error(format!("it has {found} layers, expected {expected}"));
        }
        for (found, expected) in self.layers.iter().zip(expected) {
            if found.name != expected.name {
                return error(format!("layer {:?}, expected {:?}", found.name, expected.name));
            }
            check_number("median_ms", found.median_ms).map_err(|e| e.at(&found.name))?;
            check_number("spread", found.spread).map_err(|e| e.at(&found.name))?;
        }
        let whole = &self.whole;
        check_number("whole.median_ms", whole.median_ms)?;
        check_number("whole.min_ms", whole.min_ms)?;
        check_number("whole.spread", whole.spread)?;
        check_number("waiting", self.waiting.unwrap_or(0.0))?;
        check_number("sum_over_whole", self.sum_over_whole)
    }
}

fn check_number(field: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    let message = format!("{field} is {value}, expected a finite number of at least 0");
    Err(Error::new(ErrorKind::Protocol, message).at("profile"))
}
