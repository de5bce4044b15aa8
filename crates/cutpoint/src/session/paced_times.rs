//! What the device takes in the rhythm of a run: work, then rest, the same part again and again.
//!
//! The profiler's clock says how layers compare; it does not say what a part of the model takes
//! when only that part runs, with caches filled by it alone and emptied by every rest. So the cuts
//! that a first plan makes use of are run as they will be, and the layers between one such cut and
//! the next are scaled to what was measured.

use crate::device::{ComputeClock, SpeedFraction, Stint};
use crate::engine::{Engine, EngineOptions, InferenceSession};
use crate::error::Result;
use crate::onnx::LayeredModel;
use crate::tensor::Tensor;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use cutpoint_plan::workload::{ModelId, Workload};
use std::time::{Duration, Instant};

/// How often each part is run.
const TURNS: usize = 9;

/// Fewer turns than this are never made, whatever they take.
const TURNS_MIN: usize = 3;

/// Turns end when they have taken this long.
const BUDGET: Duration = Duration::from_secs(8);

/// The most cuts of a model that are run in addition to the whole.
const CUTS_MAX: usize = 4;

/// Layers between two cuts are scaled by at most this factor more or less than the whole model.
const SCALE_MAX: f64 = 2.0;

/// The cuts of a model that first plans make use of: the layers on the device, each set within the
/// next.
pub(super) fn cuts_in_use(workload: &Workload, model: ModelId) -> Vec<Vec<usize>> {
    let options = PlanOptions::at(Granularity::Layer);
    let plans =
        [Policy::Joint, Policy::PartitionOnly].map(|policy| plan(workload, policy, &options));
    let layers = workload.models()[model.index()].layers.len();
    let mut used: Vec<(LayerSet, usize)> = Vec::new();
    for plan in plans.into_iter().flatten() {
        for (partition, &of) in plan.partitions.iter().zip(workload.jobs()) {
            let set = &partition.device_layers;
            if of != model || set.count() == 0 || set.count() == layers {
                continue;
            }
            match used.iter_mut().find(|(known, _)| known == set) {
                Some((_, jobs)) => *jobs += 1,
                None => used.push((set.clone(), 1)),
            }
        }
    }
    used.sort_by_key(|&(_, jobs)| std::cmp::Reverse(jobs));
    let chain = nested(used.into_iter().map(|(set, _)| set));
    chain.iter().map(|set| set.iter().map(|layer| layer.index()).collect()).collect()
}

/// A chain of nested sets, smallest first, at most [`CUTS_MAX`]; earlier sets take precedence.
pub(super) fn nested(sets: impl Iterator<Item = LayerSet>) -> Vec<LayerSet> {
    let mut chain: Vec<LayerSet> = Vec::new();
    let is_within = |a: &LayerSet, b: &LayerSet| a.iter().all(|layer| b.contains(layer));
    for set in sets {
        let is_nested = chain.iter().all(|k| is_within(k, &set) || is_within(&set, k));
        if is_nested && chain.len() < CUTS_MAX {
            chain.push(set);
        }
    }
    chain.sort_by_key(LayerSet::count);
    chain
}

/// A session and its inputs by name.
type Part<'i> = (Box<dyn InferenceSession>, Vec<(&'i str, &'i Tensor)>);

/// What each part of a model takes on the device at its speed, the whole model last: medians of
/// several turns, in milliseconds.
///
/// # Errors
/// If a part cannot be made, loaded or run.
pub(super) fn times_ms(
    engine: &dyn Engine,
    options: EngineOptions,
    speed: SpeedFraction,
    model: &LayeredModel,
    parts: &[Vec<usize>],
) -> Result<Vec<f64>> {
    let inputs = model.model().synthetic_inputs(0);
    let mut sessions: Vec<Part<'_>> = Vec::new();
    let whole = model.whole()?;
    let segments = parts.iter().map(|layers| model.segment(layers));
    for segment in segments.chain([Ok(whole)]) {
        let segment = segment?;
        let is_read = |name: &str| segment.inputs.iter().any(|i| i == name);
        let read = inputs.iter().filter(|(name, _)| is_read(name));
        let read = read.map(|(name, value)| (name.as_str(), value)).collect();
        sessions.push((engine.load(&segment.onnx, options)?, read));
    }
    let mut times = vec![Vec::with_capacity(TURNS); sessions.len()];
    let clock = ComputeClock::new(engine, options);
    let begin = Instant::now();
    for turn in 0..TURNS {
        if turn >= TURNS_MIN && begin.elapsed() > BUDGET {
            break;
        }
        for ((session, inputs), times) in sessions.iter_mut().zip(&mut times) {
            let mut paced_ms = || -> Result<f64> {
                let stint = Stint::begin(clock);
                session.run(inputs)?;
                speed.rest_after(stint, clock);
                Ok(stint.start().elapsed().as_secs_f64() * 1e3)
            };
            // The first run finds the caches as another part left them; the second one finds them
            // as the job before leaves them in a run.
            paced_ms()?;
            times.push(paced_ms()?);
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Ok(times.iter_mut().map(median).collect())
}

/// Scales the layers' times so that each part takes what was measured; `parts` are each within the
/// next, the last of `measured_ms` is the whole model's time.
pub(super) fn scale(layers_ms: &mut [f64], parts: &[Vec<usize>], measured_ms: &[f64]) {
    let Some(&whole_ms) = measured_ms.last() else { return };
    let sum: f64 = layers_ms.iter().sum();
    if sum <= 0.0 {
        return;
    }
    let overall = whole_ms / sum;
    let all: Vec<usize> = (0..layers_ms.len()).collect();
    let mut is_done = vec![false; layers_ms.len()];
    let mut so_far_ms = 0.0;
    for (part, part_ms) in parts.iter().chain([&all]).zip(measured_ms) {
        let new: Vec<usize> = part.iter().copied().filter(|&layer| !is_done[layer]).collect();
        let between: f64 = new.iter().map(|&layer| layers_ms[layer]).sum();
        if between <= 0.0 {
            continue;
        }
        let factor = (part_ms - so_far_ms) / between;
        let factor = factor.clamp(overall / SCALE_MAX, overall * SCALE_MAX);
        for layer in new {
            layers_ms[layer] *= factor;
            is_done[layer] = true;
        }
        so_far_ms += between * factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_the_measured_time() {
        let mut layers = vec![1.0, 2.0, 3.0, 4.0];
        scale(&mut layers, &[vec![0, 1], vec![0, 1, 2]], &[6.0, 12.0, 22.0]);
        assert_eq!(layers, [2.0, 4.0, 6.0, 10.0]);
    }

    #[test]
    fn without_parts_the_whole_is_scaled() {
        let mut layers = vec![1.0, 0.0, 3.0];
        scale(&mut layers, &[], &[8.0]);
        assert_eq!(layers, [2.0, 0.0, 6.0]);
    }

    #[test]
    fn a_part_measured_as_zero_keeps_a_positive_time() {
        let mut layers = vec![2.0, 2.0];
        scale(&mut layers, &[vec![0]], &[4.0, 4.0]);
        assert_eq!(layers, [4.0, 1.0]);
    }
}
