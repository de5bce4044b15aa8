//! Measures the layers of a model and the whole in turns, and puts the two together.

use super::model_profile::{
    LayerTime, Measured, Method, ModelProfile, ProfileOptions, SCHEMA, WholeTime,
};
use super::statistics::{median, spread};
use super::{by_layer, by_segment};
use crate::engine::{Engine, EngineOptions, ProfileRuns};
use crate::error::Result;
use crate::onnx::{LayerGraph, LayeredModel, OnnxLayer};
use crate::tensor::Tensor;

/// A measurement is called noisy if its spread is larger than this, if the whole model's median
/// changed by more between its first and its second half, or if the engine's threads waited for a
/// processor for a larger share of the time.
pub const NOISE_MAX: f64 = 0.10;

/// Layer times are scaled to add up to the whole model's time if they do so within this already.
pub const SUM_TOLERANCE: f64 = 0.10;

/// Fewer repeats than this are never made, whatever the time budget.
const REPEATS_MIN: usize = 3;

/// Measures every layer of a model, and the whole.
///
/// Takes about twice `repeats` runs of the model, held under `budget`, and up to twice the memory of
/// the model.
///
/// # Errors
/// [`crate::error::ErrorKind::Engine`] if the engine cannot run the model or the layers in what it ran;
/// [`crate::error::ErrorKind::Input`] if the inputs do not fit the model.
pub fn profile_model(
    engine: &dyn Engine,
    options: EngineOptions,
    model: &LayeredModel,
    inputs: &[(&str, &Tensor)],
    how: &ProfileOptions,
) -> Result<ModelProfile> {
    let onnx = model.whole()?.onnx;
    let warm_up = how.warm_up.max(1);
    let fastest_s = {
        let runs = ProfileRuns { warm_up: 0, repeats: warm_up };
        let (times, _) = by_segment::time(engine.load(&onnx, options)?.as_mut(), inputs, runs)?;
        times.into_iter().fold(f64::INFINITY, f64::min) / 1e3
    };
    let affordable = how.budget.as_secs_f64() / (2.0 * fastest_s.max(1e-6));
    let repeats = how.repeats.min(affordable as usize).max(REPEATS_MIN);
    let runs = ProfileRuns { warm_up, repeats };
    let named = by_layer::name_nodes(&onnx)?;
    let measured = match engine.profile(&named, options, inputs, runs)? {
        Some(profiled) => Measured {
            method: Method::Clock,
            layers: by_layer::by_layer(&profiled.nodes, model.layers(), repeats)?,
            whole: profiled.whole.iter().map(|time| time.as_secs_f64() * 1e3).collect(),
            waiting: profiled.waiting,
        },
        None => by_segment::measure(engine, options, model, inputs, runs)?,
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

/// The statistics of a measurement, engine and model left empty.
pub(super) fn summarize(graph: &LayerGraph, measured: &Measured) -> ModelProfile {
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
    let layer = |(layer, times): (&OnnxLayer, &Vec<f64>)| LayerTime {
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
