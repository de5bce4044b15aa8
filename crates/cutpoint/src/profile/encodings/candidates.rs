//! The cuts that are worth a measurement.

use crate::onnx::{Boundary, LayeredModel};
use crate::profile::statistics::evenly;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// The most candidate cuts of a model, evenly chosen.
const CUTS_MAX: usize = 16;

/// Every cut along the model's order, from the one with nothing on the device.
pub(super) fn all(model: &LayeredModel) -> Vec<Boundary> {
    let graph = model.layers();
    let is_read = |name: &&String| graph.layers.iter().any(|layer| layer.reads.contains(name));
    let frontier = graph.inputs.iter().filter(is_read).cloned().collect();
    let nothing = Boundary { device_layers: 0, frontier };
    std::iter::once(nothing).chain(model.boundaries()).collect()
}

/// The cuts that in some form, raw or in an encoding, send less than every earlier one: all others
/// do more on the device without sending less. `sizes` gives a tensor's size in each form.
pub(super) fn promising(
    cuts: Vec<Boundary>,
    values: &BTreeMap<String, Tensor>,
    mut sizes: impl FnMut(&Tensor) -> Vec<u64>,
) -> Vec<Boundary> {
    let mut known: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut least: Vec<u64> = Vec::new();
    let mut chosen = Vec::new();
    for cut in cuts {
        let mut total: Vec<u64> = Vec::new();
        for name in &cut.frontier {
            let Some(value) = values.get(name) else { continue };
            let sizes = known.entry(name.clone()).or_insert_with(|| sizes(value));
            total.resize(sizes.len(), 0);
            total.iter_mut().zip(sizes.iter()).for_each(|(total, size)| *total += *size);
        }
        least.resize(total.len().max(least.len()), u64::MAX);
        let is_less = total.iter().zip(&least).any(|(total, least)| total < least);
        least.iter_mut().zip(&total).for_each(|(least, total)| *least = (*least).min(*total));
        if is_less {
            chosen.push(cut);
        }
    }
    let count = chosen.len();
    let wanted = evenly(count, CUTS_MAX);
    let mut position = 0;
    chosen.retain(|_| {
        position += 1;
        wanted.contains(&(position - 1))
    });
    chosen
}
