//! The border of a cut: what the device holds and the server reads.

use crate::cut::layer_set::LayerSet;
use crate::workload::{LayerId, ModelGraph, TensorId};

/// Whether every layer that a member reads from is a member.
#[cfg(test)]
pub(crate) fn is_downward_closed(model: &ModelGraph, set: &LayerSet) -> bool {
    set.iter().all(|layer| {
        model.layers[layer.index()]
            .reads
            .iter()
            .filter_map(|t| model.tensors[t.index()].producer)
            .all(|p| set.contains(p))
    })
}

/// The tensors that are on the device (inputs included) and that some layer outside `set` reads,
/// in the order of [`ModelGraph::tensors`]. Each is sent once.
pub fn frontier(model: &ModelGraph, set: &LayerSet) -> Vec<TensorId> {
    (0..model.tensors.len())
        .filter(|&t| {
            let tensor = &model.tensors[t];
            tensor.producer.is_none_or(|p| set.contains(p))
                && tensor.readers.iter().any(|&r| !set.contains(r))
        })
        .map(TensorId::at)
        .collect()
}

/// The layers that `layer` reads from, possibly with repeats.
pub(crate) fn parents(model: &ModelGraph, layer: LayerId) -> impl Iterator<Item = LayerId> + '_ {
    model.layers[layer.index()].reads.iter().filter_map(|t| model.tensors[t.index()].producer)
}
