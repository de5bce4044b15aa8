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
mod cost;

pub use accuracy::{AccuracyBudget, Effect};

use super::statistics::median;
use super::unsplit_outputs;
use crate::encoding::{Decoder, Encoder, Encoding};
use crate::engine::{Engine, EngineOptions, Session};
use crate::error::Result;
use crate::input::{Input, Inputs, tensors};
use crate::onnx::{Boundary, LayeredModel};
use crate::tensor::Tensor;
pub use cost::Sample;
use cost::Samples;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The most inputs that are measured, evenly chosen.
pub const INPUTS_MAX: usize = 8;

/// The most bytes of tensors that are held for the measurement; fewer inputs are used beyond.
const HELD_BYTES_MAX: usize = 512 << 20;

/// The time that runs for the sake of accuracy may take; fewer inputs are used beyond.
const BUDGET: Duration = Duration::from_secs(60);

/// An encoding that saves less than this share of the bytes is not worth a choice.
const SAVING_MIN: f64 = 0.05;

/// What is measured, and on what.
#[derive(Clone, Debug, Default)]
pub struct EncodingOptions {
    /// For each model, inputs like those of the jobs.
    pub inputs: Vec<Vec<Inputs>>,
    /// How far outputs may move.
    pub budget: AccuracyBudget,
}

/// What an encoding does to a tensor: medians over the inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodingCost {
    /// The encoding.
    pub encoding: Encoding,
    /// How many bytes cross the link.
    pub bytes: u64,
    /// The time to encode on this machine.
    pub encode_ms: f64,
    /// The time to decode: on this machine, until it is scaled to the server.
    pub decode_ms: f64,
}

/// What sending all tensors of a cut in an encoding does to the outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct CutEffect {
    /// How many layers are before the cut.
    pub device_layers: usize,
    /// The encoding; compression changes nothing.
    pub encoding: Encoding,
    /// The effect.
    pub effect: Effect,
}

/// What was measured of a model.
#[derive(Clone, Debug, Default)]
pub struct EncodingProfile {
    /// How many inputs were used.
    pub inputs: usize,
    /// How many candidate cuts there are.
    pub cuts: usize,
    /// The sizes of the candidate cuts' tensors.
    pub raw_bytes: BTreeMap<String, u64>,
    /// What each encoding does to each of them, if it can hold it on every input.
    pub costs: BTreeMap<String, Vec<EncodingCost>>,
    /// Those of `costs` that a plan may use.
    pub admitted: BTreeMap<String, Vec<EncodingCost>>,
    /// What lossy encodings do to the outputs.
    pub effects: Vec<CutEffect>,
    /// For each encoding, what the server takes to decode over what this machine takes; none where
    /// the server was not asked.
    pub server_over_here: BTreeMap<Encoding, f64>,
    /// For each encoding, a tensor in it to measure the server with.
    pub samples: Vec<Sample>,
}

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
    let mut probe = Probe::load(engine, options, model, crossing)?;
    let begin = Instant::now();
    let values = probe.values(first)?;
    let run_time = begin.elapsed();
    let mut coder = Coder::new()?;
    let cuts = candidates::promising(cuts, &values, |value| coder.sizes(&encodings, value));
    let kept: BTreeSet<&str> =
        cuts.iter().flat_map(|cut| &cut.frontier).map(String::as_str).collect();
    let held: usize =
        kept.iter().filter_map(|name| values.get(*name)).map(|t| t.bytes().len()).sum();
    let lossy_runs = if budget.is_exact() { 0 } else { 3 * cuts.len() };
    let affordable = BUDGET.as_secs_f64() / (run_time.as_secs_f64() * lossy_runs as f64).max(1e-9);
    let count =
        inputs.len().min(INPUTS_MAX).min(HELD_BYTES_MAX / held.max(1)).min(affordable as usize);
    let chosen = evenly(inputs.len(), count.max(1));

    let mut all_values = Vec::with_capacity(chosen.len());
    let mut samples = Samples::default();
    for &index in &chosen {
        let mut values = probe.values(&inputs[index])?;
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
    drop(probe);
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
        .filter_map(|&name| Some((name.to_owned(), values.get(name)?.bytes().len() as u64)));
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

impl EncodingProfile {
    /// Chooses what a plan may use.
    fn admit(&mut self, cuts: &[Boundary], budget: &AccuracyBudget) {
        let is_allowed = |name: &String, encoding: Encoding| {
            let crosses = |cut: &&Boundary| cut.frontier.contains(name);
            encoding.is_exact()
                || cuts.iter().filter(crosses).all(|cut| {
                    let mut found = self.effects.iter().filter(|e| {
                        e.device_layers == cut.device_layers
                            && e.encoding == encoding.without_compression()
                    });
                    found.next().is_some_and(|e| budget.allows(&e.effect))
                })
        };
        let mut admitted = BTreeMap::new();
        for (name, costs) in &self.costs {
            let raw = self.raw_bytes.get(name).copied().unwrap_or(0) as f64;
            let is_small = |cost: &&EncodingCost| cost.bytes as f64 <= raw * (1.0 - SAVING_MIN);
            let chosen = costs.iter().filter(is_small);
            let chosen: Vec<EncodingCost> =
                chosen.filter(|cost| is_allowed(name, cost.encoding)).cloned().collect();
            if !chosen.is_empty() {
                admitted.insert(name.clone(), chosen);
            }
        }
        self.admitted = admitted;
    }

    /// Takes note of what the server took to decode a sample, and what came out: an exact encoding
    /// that came back as other bits than here must not be used.
    pub fn hear(&mut self, sample: &Sample, took: Duration, sha256: &str) {
        let encoding = sample.encoded.encoding();
        if encoding.is_exact() && sha256 != sample.sha256 {
            log::warn!("{encoding} is not used: the server makes another tensor of it");
            self.admitted.values_mut().for_each(|all| all.retain(|c| c.encoding != encoding));
        }
        let ratio = took.as_secs_f64() * 1e3 / sample.here_ms.max(1e-6);
        self.server_over_here.insert(encoding, ratio);
    }

    /// What the planner is told: costs on a device of a fraction of this machine's speed, and on
    /// the server as far as it was measured.
    pub fn for_device(&self, speed: f64) -> BTreeMap<String, Vec<EncodingCost>> {
        let scaled = |cost: &EncodingCost| EncodingCost {
            encode_ms: cost.encode_ms / speed,
            decode_ms: cost.decode_ms
                * self.server_over_here.get(&cost.encoding).copied().unwrap_or(1.0),
            ..cost.clone()
        };
        let all = self.admitted.iter();
        all.map(|(name, costs)| (name.clone(), costs.iter().map(scaled).collect())).collect()
    }

    /// One line for each encoding.
    pub fn summaries(&self) -> Vec<EncodingSummary> {
        let of = |encoding: Encoding| {
            let found: Vec<(f64, &EncodingCost)> = (self.costs.iter())
                .flat_map(|(name, costs)| costs.iter().map(move |cost| (name, cost)))
                .filter(|(_, cost)| cost.encoding == encoding)
                .map(|(name, cost)| (self.raw_bytes.get(name).copied().unwrap_or(0) as f64, cost))
                .collect();
            let over = |value: &dyn Fn(f64, &EncodingCost) -> f64| {
                median(&found.iter().map(|(raw, cost)| value(*raw, cost)).collect::<Vec<_>>())
            };
            let plain = encoding.without_compression();
            let effects = self.effects.iter().filter(|e| e.encoding == plain).map(|e| e.effect);
            let admitted = self.admitted.values().flatten();
            (!found.is_empty()).then(|| EncodingSummary {
                encoding,
                ratio: over(&|raw, cost| raw / cost.bytes.max(1) as f64),
                encode_ms_per_mb: over(&|raw, cost| cost.encode_ms * 1e6 / raw.max(1.0)),
                decode_ms_per_mb: over(&|raw, cost| cost.decode_ms * 1e6 / raw.max(1.0)),
                worst: effects.reduce(Effect::worse),
                tensors: found.len(),
                admitted: admitted.filter(|cost| cost.encoding == encoding).count(),
            })
        };
        Encoding::every().filter_map(of).collect()
    }
}

/// An encoding over all tensors of the candidate cuts: medians, and the worst effect.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodingSummary {
    /// Which.
    pub encoding: Encoding,
    /// Raw bytes over encoded bytes.
    pub ratio: f64,
    /// Time to encode on this machine, for each million raw bytes.
    pub encode_ms_per_mb: f64,
    /// Time to decode on this machine, for each million raw bytes.
    pub decode_ms_per_mb: f64,
    /// The worst effect on the outputs at any candidate cut.
    pub worst: Option<Effect>,
    /// How many tensors it was measured on.
    pub tensors: usize,
    /// For how many of them a plan may use it.
    pub admitted: usize,
}

/// Both directions.
struct Coder {
    encoder: Encoder,
    decoder: Decoder,
}

impl Coder {
    fn new() -> Result<Coder> {
        Ok(Coder { encoder: Encoder::new()?, decoder: Decoder::default() })
    }

    /// The size of a tensor as it is, then in each encoding; as it is where one cannot hold it.
    fn sizes(&mut self, encodings: &[Encoding], value: &Tensor) -> Vec<u64> {
        let raw = value.bytes().len();
        let size = |&e: &Encoding| self.encoder.encode(e, value).map_or(raw, |c| c.bytes().len());
        std::iter::once(raw).chain(encodings.iter().map(size)).map(|size| size as u64).collect()
    }

    /// What the server has after a tensor has crossed the link in an encoding, and whether it could.
    fn crossed(&mut self, encoding: Encoding, value: &Tensor) -> Result<(Tensor, bool)> {
        match self.encoder.encode(encoding, value) {
            Ok(encoded) => Ok((self.decoder.decode(&encoded)?, true)),
            Err(_) => Ok((value.clone(), false)),
        }
    }
}

/// A model that gives every tensor that crosses a cut.
struct Probe {
    session: Box<dyn Session>,
}

impl Probe {
    fn load(
        engine: &dyn Engine,
        options: EngineOptions,
        model: &LayeredModel,
        crossing: BTreeSet<&str>,
    ) -> Result<Probe> {
        let segment = model.whole_with_outputs(&crossing)?;
        Ok(Probe { session: engine.load_unoptimized(&segment.onnx, options)? })
    }

    /// The tensors for an input, itself included.
    fn values(&mut self, inputs: &Inputs) -> Result<BTreeMap<String, Tensor>> {
        let inputs = tensors(inputs)?;
        let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
        let made = self.session.run(&given)?;
        Ok(made.into_iter().chain(inputs).collect())
    }
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
/// `wanted` of `count` positions, evenly chosen, the first among them.
fn evenly(count: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(|i| i * count / wanted.max(1)).collect()
}

#[cfg(test)]
mod tests;
