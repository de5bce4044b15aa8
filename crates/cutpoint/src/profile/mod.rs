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
//! `layers` are in the order of the model's [`LayerGraph`]. A spread is the median absolute
//! deviation from the median, divided by the median.

mod attribute;
mod encodings;
mod segments;
mod statistics;
mod unsplit;

pub use encodings::{
    AccuracyBudget, CutEffect, Effect, EncodingCost, EncodingOptions, EncodingProfile,
    EncodingSummary, INPUTS_MAX, Sample, profile_encodings,
};
pub use unsplit::unsplit_outputs;

use crate::engine::{Engine, EngineOptions, ProfileRuns, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::onnx::{LayerGraph, LayeredModel};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
pub use statistics::median;
use statistics::spread;
use std::time::{Duration, Instant};

/// The name of the JSON form of [`ModelProfile`].
pub const SCHEMA: &str = "cutpoint.profile/1";

/// A measurement is called noisy if its spread is larger than this, if the whole model's median
/// changed by more between its first and its second half, or if the engine's threads waited for a
/// processor for a larger share of the time.
pub const NOISE_MAX: f64 = 0.10;

/// Layer times are scaled to add up to the whole model's time if they do so within this already.
pub const SUM_TOLERANCE: f64 = 0.10;

/// Fewer repeats than this are never made, whatever the time budget.
const REPEATS_MIN: usize = 3;

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
    /// In the order of the model's [`LayerGraph`].
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

/// What was measured, in milliseconds.
struct Measured {
    method: Method,
    /// By layer, then by repeat.
    layers: Vec<Vec<f64>>,
    /// By repeat, without a clock.
    whole: Vec<f64>,
    waiting: Option<f64>,
}

/// Measures every layer of a model, and the whole.
///
/// Takes about twice `repeats` runs of the model, held under `budget`, and up to twice the memory of
/// the model.
///
/// # Errors
/// [`ErrorKind::Engine`] if the engine cannot run the model or the layers in what it ran;
/// [`ErrorKind::Input`] if the inputs do not fit the model.
pub fn profile_model(
    engine: &dyn Engine,
    options: EngineOptions,
    model: &LayeredModel,
    inputs: &[(&str, &Tensor)],
    how: &ProfileOptions,
) -> Result<ModelProfile> {
    let onnx = model.whole()?.onnx;
    let warm_up = how.warm_up.max(1);
    let estimate = estimate(engine.load(&onnx, options)?.as_mut(), inputs, warm_up)?;
    let affordable = how.budget.as_secs_f64() / (2.0 * estimate.as_secs_f64().max(1e-6));
    let repeats = how.repeats.min(affordable as usize).max(REPEATS_MIN);
    let runs = ProfileRuns { warm_up, repeats };
    let named = attribute::name_nodes(&onnx)?;
    let measured = match engine.profile(&named, options, inputs, runs)? {
        Some(profiled) => Measured {
            method: Method::Clock,
            layers: attribute::by_layer(&profiled.nodes, model.layers(), repeats)?,
            whole: profiled.whole.iter().map(|time| time.as_secs_f64() * 1e3).collect(),
            waiting: profiled.waiting,
        },
        None => segments::measure(engine, options, model, inputs, runs)?,
    };
    let mut profile = summarize(model.layers(), &measured);
    profile.sha256 = model.model().sha256().to_owned();
    profile.engine = engine.name();
    profile.threads = options.threads.get();
    if repeats < how.repeats {
        let wanted = how.repeats;
        profile.warnings.push(format!(
            "the model is slow for the time budget: {repeats} repeats instead of {wanted}"
        ));
    }
    Ok(profile)
}

/// What one run takes, the fastest of a few.
fn estimate(
    session: &mut dyn Session,
    inputs: &[(&str, &Tensor)],
    runs: usize,
) -> Result<Duration> {
    let mut fastest = Duration::MAX;
    for _ in 0..runs {
        let start = Instant::now();
        session.run(inputs)?;
        fastest = fastest.min(start.elapsed());
    }
    Ok(fastest)
}

/// The statistics of a measurement, engine and model left empty.
fn summarize(graph: &LayerGraph, measured: &Measured) -> ModelProfile {
    let whole = WholeTime {
        median_ms: median(&measured.whole),
        min_ms: measured.whole.iter().copied().fold(f64::INFINITY, f64::min),
        spread: spread(&measured.whole),
        runs: measured.whole.len(),
    };
    let sum: f64 = measured.layers.iter().map(|times| median(times)).sum();
    let sum_over_whole = sum / whole.median_ms;
    let is_close = (sum_over_whole - 1.0).abs() <= SUM_TOLERANCE;
    let is_scaled = is_close || measured.method == Method::Segments;
    let scale = if is_scaled && sum > 0.0 { whole.median_ms / sum } else { 1.0 };
    let layer = |(layer, times): (&crate::onnx::Layer, &Vec<f64>)| LayerTime {
        name: layer.name.clone(),
        median_ms: median(times) * scale,
        spread: spread(times),
    };
    let layers = graph.layers.iter().zip(&measured.layers).map(layer).collect();
    let noise = noise(measured, &whole);
    let is_noisy = noise.is_some();
    let mut warnings = Vec::from_iter(noise);
    let percent = |ratio: f64| (ratio * 100.0).round();
    if !is_close {
        let (direction, off) = match sum_over_whole > 1.0 {
            true => ("more", percent(sum_over_whole - 1.0)),
            false => ("less", percent(1.0 - sum_over_whole)),
        };
        let scaled = if is_scaled { "; they were scaled to it" } else { "" };
        warnings.push(format!(
            "the layers' times add up to {off} % {direction} than the whole model's time{scaled}"
        ));
    }
    ModelProfile {
        schema: SCHEMA.to_owned(),
        sha256: String::new(),
        engine: String::new(),
        threads: 0,
        method: measured.method,
        layers,
        whole,
        waiting: measured.waiting,
        sum_over_whole,
        is_scaled,
        is_noisy,
        warnings,
    }
}

/// Says how a measurement is noisy, if it is.
fn noise(measured: &Measured, whole: &WholeTime) -> Option<String> {
    let (first, second) = measured.whole.split_at(measured.whole.len() / 2);
    let drift = (median(first) - median(second)).abs() / whole.median_ms;
    let waiting = measured.waiting.unwrap_or(0.0);
    let percent = |ratio: f64| (ratio * 100.0).round();
    let mut signs = Vec::new();
    if waiting > NOISE_MAX {
        signs.push(format!("it waited for a processor for {} % of the time", percent(waiting)));
    }
    if whole.spread > NOISE_MAX {
        let spread = percent(whole.spread);
        signs.push(format!("runs of the whole model deviate by {spread} % in the median"));
    }
    if drift > NOISE_MAX {
        signs.push(format!("the second half of the runs differs by {} %", percent(drift)));
    }
    (!signs.is_empty()).then(|| {
        let signs = signs.join(", ");
        format!("the measurement is noisy: {signs}; is the machine busy with other work?")
    })
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

#[cfg(test)]
mod tests;
