//! All downward-closed sets of a model's layers, each once.
//!
//! A walk over decisions: the first layer whose parents are all in the set is either taken in or
//! left out for good. Every downward-closed set is reached by exactly one series of decisions.
//! Taking a layer costs its edges plus one word operation per 64 tensors for the frontier.

use crate::cut::layer_set::LayerSet;
use crate::units::Time;
use crate::workload::{LayerId, ModelGraph, TensorId};

/// All downward-closed cuts are listed for a model that has at most this many; for large models
/// fewer, so that listing stays quick.
const CUTS_MAX: usize = 20_000;

/// Layers times cuts that may be listed.
pub(crate) const LISTED_MAX: usize = 4_000_000;

/// The most cuts that are listed of a model.
pub(crate) fn cuts_max(model: &ModelGraph) -> usize {
    let layers = model.layers.len();
    CUTS_MAX.min((LISTED_MAX / layers.max(1)).max(2 * layers + 2))
}

/// A downward-closed set as it is shown.
pub(crate) struct Ideal<'s> {
    pub layers: &'s LayerSet,
    pub frontier: &'s [TensorId],
    /// Device time of the layers.
    pub device: Time,
    /// The time of the same layers on the server.
    pub server: Time,
}

/// Shows every downward-closed set of layers, once, with its frontier, to `see` until that returns
/// false; returns whether it has shown them all. Stops, with false, where there are more than `limit`.
pub fn visit_cuts(
    model: &ModelGraph,
    limit: usize,
    mut see: impl FnMut(&LayerSet, &[TensorId]) -> bool,
) -> bool {
    let (mut frontier, mut shown) = (Vec::new(), 0);
    walk(model, |state| {
        shown += 1;
        frontier.clear();
        state.frontier(&mut frontier);
        shown <= limit && see(&state.set, &frontier)
    })
}

/// Goes through every downward-closed set until `see` returns false; returns whether that never was.
fn walk(model: &ModelGraph, mut see: impl FnMut(&State<'_>) -> bool) -> bool {
    let mut state = State::new(model);
    // What could be taken, for one decision after the other.
    let mut ready: Vec<LayerId> =
        model.topological.iter().copied().filter(|l| state.parents_left[l.index()] == 0).collect();
    let mut frames = vec![Frame { next: 0, end: ready.len(), taken: None }];
    if !see(&state) {
        return false;
    }
    while let Some(frame) = frames.last_mut() {
        if frame.next == frame.end {
            frame.taken.into_iter().for_each(|l| state.put_back(l));
            frames.pop();
            ready.truncate(frames.last().map_or(0, |f| f.end));
            continue;
        }
        let layer = ready[frame.next];
        frame.next += 1;
        let (next, end) = (frame.next, frame.end);
        ready.extend_from_within(next..end);
        state.take(layer, &mut ready);
        frames.push(Frame { next: end, end: ready.len(), taken: Some(layer) });
        if !see(&state) {
            return false;
        }
    }
    true
}

/// One decision: where in the list of all are the layers that could be taken and are not decided.
struct Frame {
    next: usize,
    end: usize,
    /// The layer whose taking opened this frame.
    taken: Option<LayerId>,
}

/// All downward-closed sets of a model, each with its frontier and sums. Neither the link nor the
/// granularity matters to them.
#[derive(Debug)]
pub(crate) struct Cuts {
    /// The sets; of each, where its frontier ends, and the time of its layers on device and server.
    all: Vec<(LayerSet, usize, Time, Time)>,
    frontiers: Vec<TensorId>,
}

impl Cuts {
    /// Lists them; nothing if there are more than `limit`.
    pub(crate) fn list(model: &ModelGraph, limit: usize) -> Option<Cuts> {
        // Counting costs little, and listing in vain a lot.
        let mut count = 0;
        let mut is_within = |_: &State<'_>| {
            count += 1;
            count <= limit
        };
        if !walk(model, &mut is_within) {
            return None;
        }
        let mut cuts = Cuts { all: Vec::with_capacity(count), frontiers: Vec::new() };
        walk(model, |state| {
            state.frontier(&mut cuts.frontiers);
            let end = cuts.frontiers.len();
            cuts.all.push((state.set.clone(), end, state.device, state.server));
            true
        });
        Some(cuts)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// One of the sets.
    pub(crate) fn layers(&self, cut: usize) -> &LayerSet {
        &self.all[cut].0
    }

    /// Shows every set to `see` until that returns false; returns whether it has shown them all.
    pub(crate) fn visit(&self, mut see: impl FnMut(Ideal<'_>) -> bool) -> bool {
        let mut start = 0;
        self.all.iter().all(|&(ref layers, end, device, server)| {
            let frontier = &self.frontiers[start..end];
            start = end;
            see(Ideal { layers, frontier, device, server })
        })
    }
}

struct State<'m> {
    model: &'m ModelGraph,
    set: LayerSet,
    device: Time,
    server: Time,
    /// For each layer, how many of its reads are of tensors not yet on the device.
    parents_left: Vec<u32>,
    /// For each tensor, how many of its readers are outside the set.
    readers_left: Vec<u32>,
    /// Tensors on the device with readers outside, as bits.
    open: Vec<u64>,
}

impl<'m> State<'m> {
    fn new(model: &'m ModelGraph) -> State<'m> {
        let written = |t: &&TensorId| model.tensors[t.index()].producer.is_some();
        let count = |n: usize| u32::try_from(n).expect("lists are numbered in 32 bits");
        let mut state = State {
            model,
            set: LayerSet::none(model),
            device: Time::ZERO,
            server: Time::ZERO,
            parents_left: model
                .layers
                .iter()
                .map(|l| count(l.reads.iter().filter(written).count()))
                .collect(),
            readers_left: model.tensors.iter().map(|t| count(t.readers.len())).collect(),
            open: vec![0; model.tensors.len().div_ceil(64)],
        };
        for t in 0..model.tensors.len() {
            if model.tensors[t].producer.is_none() {
                state.set_open(t, state.readers_left[t] > 0);
            }
        }
        state
    }

    fn take(&mut self, layer: LayerId, ready: &mut Vec<LayerId>) {
        let model = self.model;
        self.set.insert(layer);
        self.device += model.layers[layer.index()].device;
        self.server += model.layers[layer.index()].server;
        for t in &model.layers[layer.index()].reads {
            self.readers_left[t.index()] -= 1;
            if self.readers_left[t.index()] == 0 {
                self.set_open(t.index(), false);
            }
        }
        for t in &model.layers[layer.index()].writes {
            self.set_open(t.index(), self.readers_left[t.index()] > 0);
            for reader in &model.tensors[t.index()].readers {
                self.parents_left[reader.index()] -= 1;
                if self.parents_left[reader.index()] == 0 {
                    ready.push(*reader);
                }
            }
        }
    }

    fn put_back(&mut self, layer: LayerId) {
        let model = self.model;
        self.set.remove(layer);
        self.device -= model.layers[layer.index()].device;
        self.server -= model.layers[layer.index()].server;
        for t in &model.layers[layer.index()].writes {
            self.set_open(t.index(), false);
            for reader in &model.tensors[t.index()].readers {
                self.parents_left[reader.index()] += 1;
            }
        }
        for t in &model.layers[layer.index()].reads {
            self.readers_left[t.index()] += 1;
            self.set_open(t.index(), true);
        }
    }

    fn set_open(&mut self, tensor: usize, is_open: bool) {
        let (word, bit) = (tensor / 64, 1u64 << (tensor % 64));
        if is_open {
            self.open[word] |= bit;
        } else {
            self.open[word] &= !bit;
        }
    }

    /// Adds the frontier to a list.
    fn frontier(&self, into: &mut Vec<TensorId>) {
        for (w, &word) in self.open.iter().enumerate() {
            let mut left = word;
            while left != 0 {
                into.push(TensorId::at(w * 64 + left.trailing_zeros() as usize));
                left &= left - 1;
            }
        }
    }
}
