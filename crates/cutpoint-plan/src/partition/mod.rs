//! The cuts of a model that are worth considering.
//!
//! Every downward-closed set of layers is a cut. While there are few they are all listed
//! (`cut::closed_sets`), each with every combination of encodings of its frontier, and those that another
//! one beats whatever the rest of the schedule looks like are dropped ([`dominance`]). Where there
//! are too many, minimum cuts give the hull of all of them ([`min_cut`]).

pub(crate) mod candidates;
pub(crate) mod dominance;
mod forms;
mod max_flow;
pub(crate) mod min_cut;
pub(crate) mod sketch;
#[cfg(test)]
mod tests;

use crate::cut::LayerSet;
use crate::partition::candidates::Candidates;
use crate::partition::min_cut::CutPricer;
use crate::problem::{ModeSet, Pricer};

/// A model with more modes than this, encodings counted, has only some of its modes listed.
const MODES_MAX: usize = 60_000;

/// Of the cuts along a model's order at most about this many are taken.
const PREFIXES_MAX: usize = 400;

/// Of a model whose cuts are not all listed, at most this many cuts on the hull are taken.
const HULL_MAX: usize = 512;

/// Lists the modes of a model. Never empty if the device alone can do the work.
pub(crate) fn modes(pricer: &Pricer<'_>, executors: Option<u64>) -> ModeSet {
    let mut candidates = Candidates::new(pricer);
    let mut is_complete = true;
    let within = pricer.cuts().is_some_and(|cuts| {
        cuts.visit(|ideal| {
            is_complete &= candidates.add(&ideal);
            candidates.found.len() < MODES_MAX
        })
    });
    if !within {
        is_complete = false;
        candidates = sample(pricer, executors);
    }
    let modes = dominance::undominated(pricer, candidates.found);
    is_complete &= modes.iter().all(|m| m.is_exact);
    ModeSet { modes, is_complete }
}

/// Cuts of a model that has too many: those on the hull, and some along its order.
fn sample<'p>(pricer: &'p Pricer<'_>, executors: Option<u64>) -> Candidates<'p> {
    let mut candidates = Candidates::new(pricer);
    for (layers, uploads) in CutPricer::new(pricer, executors).hull(HULL_MAX) {
        candidates.add_cut(&layers);
        candidates.add_form(&layers, uploads);
    }
    for layers in prefixes(pricer) {
        candidates.add_cut(&layers);
    }
    candidates
}

/// The cuts along the model's topological order, from nothing to everything.
/// Of a very large model only some.
pub(crate) fn prefixes<'m>(pricer: &Pricer<'m>) -> impl Iterator<Item = LayerSet> + 'm {
    let model = pricer.model;
    let step = model.layers.len().div_ceil(PREFIXES_MAX).max(1);
    let mut set = LayerSet::none(model);
    let rest = model.topological.iter().map(move |&layer| {
        set.insert(layer);
        set.clone()
    });
    let all = std::iter::once(LayerSet::none(model)).chain(rest);
    all.step_by(step).chain((step > 1).then(|| LayerSet::all(model)))
}
