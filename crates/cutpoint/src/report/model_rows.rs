//! A model as rows: its layers from input to output, long runs joined, and the tensors between rows.

use super::cuts::CutInUse;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{LayerId, ModelGraph, TensorId};
use std::collections::BTreeSet;
use std::ops::Range;

/// Layers are joined until a model has at most this many rows: blocks with branches inside as a
/// whole, and layers without branches.
const ROWS_PREFERRED: usize = 30;

/// Beyond this many rows, any neighbours are joined.
const ROWS_MAX: usize = 44;

/// Models with more layers than this are first divided into this many equal parts.
const LAYERS_SEARCHED: usize = 3000;

/// All layers, each after those it reads from, so that a cut in use is a beginning of the list
/// wherever the cuts in use contain one another; branches follow each other.
pub(super) fn layer_order(model: &ModelGraph, cuts: &[CutInUse]) -> Vec<LayerId> {
    let mut order = depth_first(model);
    order.sort_by_key(|&l| level(cuts, l));
    order
}

/// How many of the cuts leave a layer to the server.
fn level(cuts: &[CutInUse], layer: LayerId) -> usize {
    cuts.iter().filter(|c| !c.partition.device_layers.contains(layer)).count()
}

fn depth_first(model: &ModelGraph) -> Vec<LayerId> {
    let written = |t: &&TensorId| model.tensors[t.index()].producer.is_some();
    let mut waiting: Vec<usize> =
        model.layers.iter().map(|l| l.reads.iter().filter(written).count()).collect();
    let mut ready: Vec<LayerId> =
        (0..model.layers.len()).rev().filter(|&l| waiting[l] == 0).map(LayerId::at).collect();
    let mut order = Vec::with_capacity(model.layers.len());
    while let Some(layer) = ready.pop() {
        order.push(layer);
        let start = ready.len();
        for tensor in &model.layers[layer.index()].writes {
            for reader in &model.tensors[tensor.index()].readers {
                waiting[reader.index()] -= 1;
                if waiting[reader.index()] == 0 {
                    ready.push(*reader);
                }
            }
        }
        ready[start..].reverse();
    }
    order
}

/// Consecutive layers shown as one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Positions in the order.
    pub layers: Range<usize>,
    pub device: Time,
    pub server: Time,
    level: usize,
}

impl Unit {
    fn take_in(&mut self, next: &Unit) {
        self.layers.end = next.layers.end;
        self.device += next.device;
        self.server += next.server;
    }
}

/// Divides `order` into rows. Layers on different sides of a cut in use are never joined.
pub(super) fn units(model: &ModelGraph, order: &[LayerId], cuts: &[CutInUse]) -> Vec<Unit> {
    let mut units: Vec<Unit> = order
        .iter()
        .enumerate()
        .map(|(i, &l)| {
            let layer = &model.layers[l.index()];
            let (device, server) = (layer.device, layer.server);
            Unit { layers: i..i + 1, device, server, level: level(cuts, l) }
        })
        .collect();
    if units.len() > LAYERS_SEARCHED {
        let chunk = units.len().div_ceil(LAYERS_SEARCHED);
        let may_join = |a: &Unit, _: &Unit| !(a.layers.end).is_multiple_of(chunk);
        join(&mut units, LAYERS_SEARCHED, may_join);
    }
    join_blocks(&mut units, &single_tensor_positions(model, order));
    let is_chain: BTreeSet<usize> =
        (1..order.len()).filter(|&p| is_chain(model, order[p - 1], order[p])).collect();
    join(&mut units, ROWS_PREFERRED, |a, _| is_chain.contains(&a.layers.end));
    if units.len() > ROWS_MAX {
        join(&mut units, ROWS_MAX, |_, _| true);
    }
    units
}

/// Makes one unit of all that is between two positions where a single tensor crosses, first where
/// it is far from every cut, until few enough units are left.
fn join_blocks(units: &mut Vec<Unit>, single: &BTreeSet<usize>) {
    let cuts: Vec<usize> =
        units.windows(2).filter(|w| w[0].level != w[1].level).map(|w| w[1].layers.start).collect();
    let ends: Vec<usize> =
        single.iter().copied().chain(units.last().map(|u| u.layers.end)).collect();
    let mut blocks: Vec<Range<usize>> = ends.windows(2).map(|w| w[0]..w[1]).collect();
    blocks.retain(|b| b.len() > 1 && !cuts.iter().any(|c| (b.start + 1..b.end).contains(c)));
    let distance = |b: &Range<usize>| {
        cuts.iter().map(|&c| c.abs_diff(b.start).min(c.abs_diff(b.end))).min().unwrap_or(0)
    };
    blocks.sort_by_key(|b| std::cmp::Reverse(distance(b)));
    for block in blocks {
        if units.len() <= ROWS_PREFERRED {
            return;
        }
        let first = units.partition_point(|u| u.layers.start < block.start);
        let last = units.partition_point(|u| u.layers.end <= block.end);
        if first < last && units[first].layers.start == block.start {
            let rest: Vec<Unit> = units.drain(first + 1..last).collect();
            rest.iter().for_each(|next| units[first].take_in(next));
        }
    }
}

/// Joins neighbours that `may_join`, the cheapest first, until `count` are left or none may.
fn join(units: &mut Vec<Unit>, count: usize, may_join: impl Fn(&Unit, &Unit) -> bool) {
    while units.len() > count {
        let cheapest = (1..units.len())
            .filter(|&i| units[i - 1].level == units[i].level)
            .filter(|&i| may_join(&units[i - 1], &units[i]))
            .min_by_key(|&i| units[i - 1].device + units[i].device);
        let Some(i) = cheapest else { return };
        let next = units.remove(i);
        units[i - 1].take_in(&next);
    }
}

/// Whether all that `a` writes goes to `b`, and all that `b` reads comes from `a`.
fn is_chain(model: &ModelGraph, a: LayerId, b: LayerId) -> bool {
    let written = &model.layers[a.index()].writes;
    let only_to_b = written.iter().all(|t| model.tensors[t.index()].readers == [b]);
    let reads = &model.layers[b.index()].reads;
    only_to_b && !reads.is_empty() && reads.iter().all(|t| written.contains(t))
}

/// The positions in `order` before which a single tensor crosses.
fn single_tensor_positions(model: &ModelGraph, order: &[LayerId]) -> BTreeSet<usize> {
    let mut left: Vec<usize> = model.tensors.iter().map(|t| t.readers.len()).collect();
    let mut open = model.inputs.iter().filter(|t| left[t.index()] > 0).count();
    let mut positions = BTreeSet::new();
    for (i, layer) in order.iter().enumerate() {
        if open == 1 {
            positions.insert(i);
        }
        let layer = &model.layers[layer.index()];
        for t in &layer.reads {
            left[t.index()] -= 1;
            open -= usize::from(left[t.index()] == 0);
        }
        open += layer.writes.iter().filter(|t| left[t.index()] > 0).count();
    }
    positions
}

/// If `set` is a beginning of `order`: how long a one.
pub(super) fn prefix_length(order: &[LayerId], set: &LayerSet) -> Option<usize> {
    let count = set.count();
    order[..count].iter().all(|&l| set.contains(l)).then_some(count)
}

/// What the names of `layers` and of no other layer of `model` begin with, up to a separator.
pub(super) fn common_name<'m>(model: &'m ModelGraph, layers: &[LayerId]) -> Option<&'m str> {
    let (first, rest) = layers.split_first()?;
    let first = model.layers[first.index()].name.as_str();
    let shared = rest.iter().fold(first.len(), |shared, l| {
        let name = &model.layers[l.index()].name;
        let same = first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        shared.min(same)
    });
    // A separator is one byte, so the prefix before it ends between two characters.
    let end = first.bytes().take(shared).rposition(|b| b"/._:-".contains(&b))?;
    let name = &first[..end];
    let with_separator = &first[..=end];
    let users = model.layers.iter().filter(|l| l.name.starts_with(with_separator)).count();
    (users == layers.len() && name.len() > 1).then_some(name)
}

/// A tensor that leaves the row that writes it; row 0 is the inputs, row i + 1 is unit i.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub tensor: TensorId,
    pub from: usize,
    /// The later rows that read it, from the top; none for an output.
    pub to: BTreeSet<usize>,
}

/// The tensors that leave their rows, by row.
pub(super) fn edges(model: &ModelGraph, order: &[LayerId], units: &[Unit]) -> Vec<Edge> {
    let mut row_of = vec![0; model.layers.len()];
    for (i, unit) in units.iter().enumerate() {
        order[unit.layers.clone()].iter().for_each(|l| row_of[l.index()] = i + 1);
    }
    let written = order.iter().flat_map(|l| &model.layers[l.index()].writes);
    let edge = |&tensor: &TensorId| {
        let tensor_of = &model.tensors[tensor.index()];
        let from = tensor_of.producer.map_or(0, |layer| row_of[layer.index()]);
        let readers = tensor_of.readers.iter().map(|r| row_of[r.index()]);
        let to: BTreeSet<usize> = readers.filter(|&row| row > from).collect();
        (!to.is_empty() || tensor_of.readers.is_empty()).then_some(Edge { tensor, from, to })
    };
    model.inputs.iter().chain(written).filter_map(edge).collect()
}
