//! Fewer parcels where a cut has too many: which ones leave together?
//!
//! The order in which the transfers of the job alone are best sent comes from composite jobs, if
//! what they wait for is series-parallel, as it is in every forest. Then neighbours in this order
//! are joined, those first whose joining delays the uplink least.
//!
//! Layers that the same parcels wait for count as one task. One that more parcels wait for goes
//! first: nothing is released between the two.

use crate::cut::LayerSet;
use crate::flow_shop::composite::composites;
use crate::flow_shop::johnson::Block;
use crate::problem::mode::Parcel;
use crate::units::Time;
use crate::workload::{LayerId, ModelGraph};

/// A parcel, the layers it waits for, and the time of its encodes.
pub(super) type Waiting = (Parcel, LayerSet, Time);

/// Joins parcels until there are no more than `most`.
pub(super) fn join(model: &ModelGraph, mut parcels: Vec<Waiting>, most: usize) -> Vec<Waiting> {
    match order(model, &parcels) {
        Some(order) => {
            let mut left: Vec<Option<Waiting>> = parcels.into_iter().map(Some).collect();
            parcels = order.into_iter().filter_map(|p| left[p].take()).collect();
        }
        None => parcels.sort_by_key(|(_, needs, encode)| device(model, needs) + *encode),
    }
    while parcels.len() > most {
        let Some(second) = (1..parcels.len()).min_by_key(|&p| delay(model, &parcels, p)) else {
            break;
        };
        let (parcel, needs, encode) = parcels.remove(second);
        let joined = &mut parcels[second - 1];
        joined.0.uploads.extend(parcel.uploads);
        joined.0.uplink += parcel.uplink;
        joined.1.extend(&needs);
        joined.2 += encode;
    }
    parcels
}

/// The time that the uplink may lose if a parcel is joined with the one before it.
fn delay(model: &ModelGraph, parcels: &[Waiting], second: usize) -> Time {
    let mut before = LayerSet::none(model);
    parcels[..second].iter().for_each(|(_, needs, _)| before.extend(needs));
    let (_, needs, encode) = &parcels[second];
    let mut all = before.clone();
    all.extend(needs);
    (device(model, &all) - device(model, &before) + *encode).min(parcels[second - 1].0.uplink)
}

/// The best order of the parcels of a job alone, if it is known.
fn order(model: &ModelGraph, parcels: &[Waiting]) -> Option<Vec<usize>> {
    // For each set of parcels, the device time that exactly these wait for.
    let mut waited: Vec<(u64, Time)> = Vec::new();
    for (l, layer) in model.layers.iter().enumerate() {
        let layer_id = LayerId::at(l);
        let bit = |p: usize| u64::from(parcels[p].1.contains(layer_id)) << p;
        let by: u64 = (0..parcels.len()).map(bit).sum();
        match waited.iter_mut().find(|(set, _)| *set == by) {
            _ if by == 0 => {}
            Some((_, time)) => *time += layer.device,
            None => waited.push((by, layer.device)),
        }
    }
    let work = |&(_, device): &(u64, Time)| Block::of(device, Time::ZERO);
    let send = |(parcel, _, encode): &Waiting| Block::of(*encode, parcel.uplink);
    let tasks: Vec<Block> = waited.iter().map(work).chain(parcels.iter().map(send)).collect();
    let is_before = |a: usize, b: usize| match (waited.get(a), waited.get(b)) {
        (Some(&(a, _)), Some(&(b, _))) => a != b && a & b == b,
        (Some(&(a, _)), None) => a >> (b - waited.len()) & 1 == 1,
        (None, _) => false,
    };
    let row = |a: usize| (0..tasks.len()).map(|b| is_before(a, b)).collect();
    let rows: Vec<Vec<bool>> = (0..tasks.len()).map(row).collect();
    let all = composites(&tasks, &rows)?.into_iter().flat_map(|c| c.tasks);
    Some(all.filter_map(|task| task.checked_sub(waited.len())).collect())
}

/// Device time of some layers.
pub(super) fn device(model: &ModelGraph, layers: &LayerSet) -> Time {
    layers.iter().map(|l| model.layers[l.index()].device).sum()
}
