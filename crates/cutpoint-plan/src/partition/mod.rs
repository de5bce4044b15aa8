//! Which cuts of a model are worth considering?
//!
//! Every downward-closed set of layers is a cut. While there are few they are all listed
//! ([`ideals`]), each with every combination of encodings of its frontier, and those that another
//! one beats whatever the rest of the schedule looks like are dropped ([`dominance`]).

pub(crate) mod dominance;
pub(crate) mod ideals;

use crate::cost::{Mode, Pricer, Pricing};
use crate::cut::{LayerSet, frontier};
use crate::plan::Upload;
use crate::units::Time;
use crate::workload::{Model, TensorId};

/// All downward-closed cuts are listed for a model that has at most this many.
pub(crate) const CUTS_MAX: usize = 20_000;

/// All combinations of encodings of a frontier are listed if there are at most this many.
const FORMS_MAX: usize = 512;

/// A model with more modes than this, encodings counted, has only some of its modes listed.
const MODES_MAX: usize = 60_000;

/// The modes of a model that may be part of a best plan.
#[derive(Clone, Debug)]
pub(crate) struct ModeSet {
    /// Undominated modes, by device time.
    pub modes: Vec<Mode>,
    /// Whether some best plan uses only these: no mode was left out but dominated ones.
    pub is_complete: bool,
}

/// Lists the modes of a model. Never empty if the device alone can do the work.
pub(crate) fn modes(model: &Model, pricing: Pricing) -> ModeSet {
    let pricer = Pricer::new(model, pricing);
    let mut modes = Vec::new();
    let mut is_complete = true;
    let within = ideals::visit(model, CUTS_MAX, |layers, frontier| {
        is_complete &= with_encodings(&pricer, layers, frontier, &mut modes);
        modes.len() < MODES_MAX
    });
    if !within {
        is_complete = false;
        modes.clear();
        for layers in prefixes(model) {
            let frontier = frontier(model, &layers);
            with_encodings(&pricer, &layers, &frontier, &mut modes);
        }
    }
    is_complete &= modes.iter().all(|m| m.is_exact);
    ModeSet { modes: dominance::undominated(modes), is_complete }
}

/// The cuts along the model's topological order, from nothing to everything.
pub(crate) fn prefixes(model: &Model) -> impl Iterator<Item = LayerSet> + '_ {
    let mut set = LayerSet::none(model);
    let rest = model.topological.iter().map(move |&layer| {
        set.insert(layer);
        set.clone()
    });
    std::iter::once(LayerSet::none(model)).chain(rest)
}

/// Adds the modes of one cut, one for each combination of encodings that could matter; says
/// whether all were added.
pub(crate) fn with_encodings(
    pricer: &Pricer<'_>,
    layers: &LayerSet,
    frontier: &[TensorId],
    modes: &mut Vec<Mode>,
) -> bool {
    let forms: Vec<Vec<Upload>> = frontier.iter().map(|&t| forms(pricer, t)).collect();
    let count = forms.iter().try_fold(1usize, |n, f| n.checked_mul(f.len()));
    let is_all = count.is_some_and(|n| n <= FORMS_MAX);
    if forms.iter().any(Vec::is_empty) {
        return true;
    }
    if !is_all {
        // Too many combinations: the fastest way across for each tensor on its own.
        let uploads = forms.iter().map(|f| f[0].clone()).collect();
        modes.extend(pricer.mode(layers.clone(), uploads));
        return false;
    }
    let mut choice = vec![0; forms.len()];
    loop {
        let uploads = choice.iter().zip(&forms).map(|(&c, f)| f[c].clone()).collect();
        modes.extend(pricer.mode(layers.clone(), uploads));
        let Some(next) = (0..choice.len()).find(|&i| choice[i] + 1 < forms[i].len()) else {
            return true;
        };
        choice[next] += 1;
        choice[..next].fill(0);
    }
}

/// The forms of a tensor that no other form beats in encode, transfer and decode time; the one
/// with the smallest sum first.
fn forms(pricer: &Pricer<'_>, tensor: TensorId) -> Vec<Upload> {
    let encodings = pricer.model.tensors[tensor.index()].encodings.len();
    let all = std::iter::once(None).chain((0..encodings).map(Some));
    let mut priced: Vec<((Time, Time, Time), Upload)> = all
        .filter_map(|encoding| {
            let upload = Upload { tensor, encoding };
            pricer.crossing(&upload).map(|price| (price, upload))
        })
        .collect();
    priced.sort_by_key(|&((e, t, d), _)| (saturating_sum([e, t, d]), e, t));
    let mut kept: Vec<((Time, Time, Time), Upload)> = Vec::new();
    for (price, upload) in priced {
        let beaten = kept.iter().any(|(k, _)| k.0 <= price.0 && k.1 <= price.1 && k.2 <= price.2);
        if !beaten {
            kept.push((price, upload));
        }
    }
    kept.into_iter().map(|(_, upload)| upload).collect()
}

fn saturating_sum(times: [Time; 3]) -> u64 {
    times.iter().fold(0u64, |sum, t| sum.saturating_add(t.nanoseconds()))
}
