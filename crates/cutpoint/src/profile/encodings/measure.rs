//! Measures encodings on some inputs of a model.

use super::accuracy::{AccuracyBudget, Effect};
use super::candidates;
use super::coder::Coder;
use super::cost::{self, Samples};
use super::encoding_profile::{CutEffect, EncodingProfile};
use crate::encoding::Encoding;
use crate::engine::{Engine, EngineOptions, InferenceSession};
use crate::error::Result;
use crate::input::{Input, Inputs, tensors};
use crate::onnx::{Boundary, LayeredModel};
use crate::profile::reference_outputs::unsplit_outputs;
use crate::profile::statistics::evenly;
use crate::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The most inputs that are measured, evenly chosen.
pub const INPUTS_MAX: usize = 8;

/// The most bytes of tensors that are held for the measurement; fewer inputs are used beyond.
const HELD_BYTES_MAX: usize = 512 << 20;

/// The time that runs for the sake of accuracy may take; fewer inputs are used beyond.
const BUDGET: Duration = Duration::from_secs(60);

/// Measures the encodings on a model.
///
/// # Errors
/// Those of the engine; [`crate::error::ErrorKind::Input`] if an input does not fit the model.
pub fn profile_encodings(
    engine: &dyn Engine,
    options: EngineOptions,
    model: &LayeredModel,
    inputs: &[Inputs],
    budget: &AccuracyBudget,
) -> Result<EncodingProfile> {
    let is_wanted = |e: &Encoding| e.is_exact() || !budget.is_exact();
    let encodings: Vec<Encoding> = Encoding::ALL.into_iter().filter(is_wanted).collect();
    let Some(first) = inputs.first() else { return Ok(EncodingProfile::default()) };
    let cuts = candidates::all(model);
    let crossing: BTreeSet<&str> =
        cuts.iter().flat_map(|cut| &cut.frontier).map(String::as_str).collect();
    let whole = model.whole_with_outputs(&crossing)?;
    let mut session = engine.load_unoptimized(&whole.onnx, options)?;
    drop(whole);
    let begin = Instant::now();
    let first_values = values(session.as_mut(), first)?;
    let run_time = begin.elapsed();
    let mut coder = Coder::new()?;
    let cuts = candidates::promising(cuts, &first_values, |value| coder.sizes(&encodings, value));
    let kept: BTreeSet<&str> =
        cuts.iter().flat_map(|cut| &cut.frontier).map(String::as_str).collect();
    let held: usize =
        kept.iter().filter_map(|name| first_values.get(*name)).map(|t| t.bytes().len()).sum();
    let lossy_runs = if budget.is_exact() { 0 } else { 3 * cuts.len() };
    let affordable = BUDGET.as_secs_f64() / (run_time.as_secs_f64() * lossy_runs as f64).max(1e-9);
    let count =
        inputs.len().min(INPUTS_MAX).min(HELD_BYTES_MAX / held.max(1)).min(affordable as usize);
    let chosen = evenly(inputs.len(), count.max(1));

    let mut all_values = Vec::with_capacity(chosen.len());
    let mut samples = Samples::default();
    for &index in &chosen {
        let mut values = values(session.as_mut(), &inputs[index])?;
        values.retain(|name, _| kept.contains(name.as_str()));
        for (name, value) in &values {
            samples.take(&mut coder, name, &encodings, &value.clone().into());
        }
        for (name, input) in inputs[index].iter().filter(|(name, _)| kept.contains(name.as_str())) {
            if let Input::Picture(_) = input {
                samples.take(&mut coder, name, &Encoding::PICTURES, input);
            }
        }
        all_values.push(values);
    }
    drop(session);
    let costs = samples.medians(chosen.len());
    let lossy: Vec<Encoding> =
        encodings.iter().copied().filter(|e| !e.is_exact() && !e.is_compressed()).collect();
    let mut effects = Vec::new();
    if !lossy.is_empty() {
        let chosen: Vec<Inputs> = chosen.iter().map(|&index| inputs[index].clone()).collect();
        let expected = unsplit_outputs(engine, options, model.model(), &chosen)?;
        let trial = Trial { engine, options, model, values: &all_values, expected: &expected };
        effects = trial.effects(&cuts, &lossy, &mut coder)?;
    }
    let raw_bytes = kept
        .iter()
        .filter_map(|&name| Some((name.to_owned(), first_values.get(name)?.bytes().len() as u64)));
    let mut profile = EncodingProfile {
        inputs: chosen.len(),
        cuts: cuts.len(),
        raw_bytes: raw_bytes.collect(),
        costs,
        effects,
        ..EncodingProfile::default()
    };
    profile.admit(&cuts, budget);
    let measured: Vec<&Inputs> = chosen.iter().map(|&index| &inputs[index]).collect();
    profile.samples = cost::samples(&profile, &all_values, &measured, &mut coder);
    Ok(profile)
}

/// The tensors for an input, itself included.
fn values(session: &mut dyn InferenceSession, inputs: &Inputs) -> Result<BTreeMap<String, Tensor>> {
    let inputs = tensors(inputs)?;
    let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let made = session.run(&given)?;
    Ok(made.into_iter().chain(inputs).collect())
}

/// What lossy encodings are tried on.
struct Trial<'t> {
    engine: &'t dyn Engine,
    options: EngineOptions,
    model: &'t LayeredModel,
    /// For each input, the tensors that cross at some cut.
    values: &'t [BTreeMap<String, Tensor>],
    /// For each input, the unsplit model's outputs.
    expected: &'t [Vec<(String, Tensor)>],
}

impl Trial<'_> {
    /// What each lossy encoding does to the outputs at each cut.
    fn effects(
        &self,
        cuts: &[Boundary],
        lossy: &[Encoding],
        coder: &mut Coder,
    ) -> Result<Vec<CutEffect>> {
        let count = self.model.layers().layers.len();
        let mut effects = Vec::new();
        for cut in cuts {
            let suffix = self.model.segment(&(cut.device_layers..count).collect::<Vec<_>>())?;
            let mut session = self.engine.load(&suffix.onnx, self.options)?;
            for &encoding in lossy {
                let mut worst: Option<Effect> = None;
                let mut any = false;
                for (values, expected) in self.values.iter().zip(self.expected) {
                    let mut given = Vec::with_capacity(suffix.inputs.len());
                    for (name, value) in
                        suffix.inputs.iter().filter_map(|n| Some((n, values.get(n)?)))
                    {
                        let (crossed, could) = coder.crossed(encoding, value)?;
                        any |= could;
                        given.push((name.as_str(), crossed));
                    }
                    let given: Vec<(&str, &Tensor)> = given.iter().map(|(n, t)| (*n, t)).collect();
                    let found = session.run(&given)?;
                    let effect = Effect::between(&found, expected);
                    worst = Some(worst.map_or(effect, |worst| worst.and(effect)));
                }
                if let (Some(effect), true) = (worst, any) {
                    let device_layers = cut.device_layers;
                    effects.push(CutEffect { device_layers, encoding, effect });
                }
            }
        }
        Ok(effects)
    }
}
