//! Measurements of the encodings on a model, and the encodings that a plan may use.

use super::accuracy::{AccuracyBudget, Effect};
use crate::encoding::{Encoded, Encoding};
use crate::input::Inputs;
use crate::onnx::Boundary;
use crate::profile::statistics::median;
use std::collections::BTreeMap;
use std::time::Duration;

/// An encoding that saves less than this share of the bytes is not worth a choice.
const SAVING_MIN: f64 = 0.05;

/// Options of a measurement of encodings.
#[derive(Clone, Debug, Default)]
pub struct EncodingOptions {
    /// For each model, inputs like those of the jobs.
    pub inputs: Vec<Vec<Inputs>>,
    /// How far outputs may move.
    pub budget: AccuracyBudget,
}

/// The costs of an encoding of a tensor: medians over the inputs.
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

/// The effect on the outputs of sending all tensors of a cut in an encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct CutEffect {
    /// How many layers are before the cut.
    pub device_layers: usize,
    /// The encoding; compression changes nothing.
    pub encoding: Encoding,
    /// The effect.
    pub effect: Effect,
}

/// The measured encodings of a model.
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
    /// The effects of lossy encodings on the outputs.
    pub effects: Vec<CutEffect>,
    /// For each encoding, what the server takes to decode over what this machine takes; none where
    /// the server was not asked.
    pub server_over_here: BTreeMap<Encoding, f64>,
    /// For each encoding, a tensor in it to measure the server with.
    pub samples: Vec<Sample>,
}

/// A tensor in an encoding to measure the server with.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The tensor in the encoding.
    pub encoded: Encoded,
    /// The time to decode it on this machine, in milliseconds.
    pub here_ms: f64,
    /// Of the bytes that come back.
    pub sha256: String,
}

impl EncodingProfile {
    /// Chooses what a plan may use.
    pub(super) fn admit(&mut self, cuts: &[Boundary], budget: &AccuracyBudget) {
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
    /// The encoding.
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
