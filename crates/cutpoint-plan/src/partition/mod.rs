//! Which cuts of a model are worth considering?
//!
//! Every downward-closed set of layers is a cut. While there are few they are all listed
//! ([`ideals`]), each with every combination of encodings of its frontier, and those that another
//! one beats whatever the rest of the schedule looks like are dropped ([`dominance`]). Where there
//! are too many, minimum cuts give the hull of all of them ([`min_cut`]).

pub(crate) mod dominance;
pub(crate) mod ideals;
mod max_flow;
pub(crate) mod min_cut;
#[cfg(test)]
mod tests;

use crate::cost::{Mode, Pricer};
use crate::cut::{LayerSet, frontier};
use crate::partition::ideals::Ideal;
use crate::partition::min_cut::CutPricer;
use crate::plan::Upload;
use crate::units::Time;
use crate::workload::TensorId;

/// All downward-closed cuts are listed for a model that has at most this many; for large models
/// fewer, so that listing stays quick.
const CUTS_MAX: usize = 20_000;

/// Layers times cuts that may be listed.
const LISTED_MAX: usize = 4_000_000;

/// All combinations of encodings of a frontier are listed if there are at most this many.
const FORMS_MAX: usize = 512;

/// A model with more modes than this, encodings counted, has only some of its modes listed.
const MODES_MAX: usize = 60_000;

/// Of the cuts along a model's order at most about this many are taken.
const PREFIXES_MAX: usize = 400;

/// Of a model whose cuts are not all listed, at most this many cuts on the hull are taken.
const HULL_MAX: usize = 512;

/// The modes of a model that may be part of a best plan.
#[derive(Clone, Debug)]
pub(crate) struct ModeSet {
    /// Undominated modes, by device time.
    pub modes: Vec<Mode>,
    /// Whether some best plan uses only these: no mode was left out but dominated ones.
    pub is_complete: bool,
}

/// A mode of which only the sums are known.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub layers: LayerSet,
    pub uploads: Vec<Upload>,
    pub device: Time,
    pub uplink: Time,
    pub server: Time,
    pub download: Option<Time>,
    pub has_suffix: bool,
    /// For each upload, the device time it waits for and its uplink time.
    pub sends: Vec<(Time, Time)>,
}

/// Lists the modes of a model. Never empty if the device alone can do the work.
pub(crate) fn modes(pricer: &Pricer<'_>, executors: Option<u64>) -> ModeSet {
    let mut candidates = Vec::new();
    let mut is_complete = true;
    let layers = pricer.model.layers.len();
    let limit = CUTS_MAX.min((LISTED_MAX / layers.max(1)).max(2 * layers + 2));
    // Counting costs little, and listing in vain a lot.
    let is_few = ideals::visit(pricer.model, limit, |_| true);
    let within = is_few
        && ideals::visit(pricer.model, limit, |ideal| {
            is_complete &= add_candidates(pricer, &ideal, &mut candidates);
            candidates.len() < MODES_MAX
        });
    if !within {
        is_complete = false;
        candidates = sample(pricer, executors);
    }
    let modes = dominance::undominated(pricer, candidates);
    is_complete &= modes.iter().all(|m| m.is_exact);
    ModeSet { modes, is_complete }
}

/// Cuts of a model that has too many: those on the hull, and some along its order.
fn sample(pricer: &Pricer<'_>, executors: Option<u64>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (layers, uploads) in CutPricer::new(pricer, executors).hull(HULL_MAX) {
        add_cut(pricer, &layers, &mut candidates);
        let (device, server) = sums(pricer, &layers);
        let frontier: Vec<TensorId> = uploads.iter().map(|u| u.tensor).collect();
        let ideal = Ideal { layers: &layers, frontier: &frontier, device, server };
        candidates.extend(candidate(pricer, &ideal, uploads));
    }
    for layers in prefixes(pricer) {
        add_cut(pricer, &layers, &mut candidates);
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

/// Adds what [`add_candidates`] does for one cut.
pub(crate) fn add_cut(
    pricer: &Pricer<'_>,
    layers: &LayerSet,
    candidates: &mut Vec<Candidate>,
) -> bool {
    let frontier = frontier(pricer.model, layers);
    let (device, server) = sums(pricer, layers);
    add_candidates(pricer, &Ideal { layers, frontier: &frontier, device, server }, candidates)
}

fn sums(pricer: &Pricer<'_>, layers: &LayerSet) -> (Time, Time) {
    let all = || layers.iter().map(|l| &pricer.model.layers[l.index()]);
    (all().map(|l| l.device).sum(), all().map(|l| l.server).sum())
}

/// Adds the modes of one cut, one for each combination of encodings that could matter; says
/// whether all were added.
fn add_candidates(pricer: &Pricer<'_>, ideal: &Ideal<'_>, candidates: &mut Vec<Candidate>) -> bool {
    let forms: Vec<Vec<Upload>> = ideal.frontier.iter().map(|&t| forms(pricer, t)).collect();
    if forms.iter().any(Vec::is_empty) {
        return true;
    }
    let count = forms.iter().try_fold(1usize, |n, f| n.checked_mul(f.len()));
    if count.is_none_or(|n| n > FORMS_MAX) {
        // Too many combinations: the fastest way across for each tensor on its own.
        let uploads = forms.iter().map(|f| f[0].clone()).collect();
        candidates.extend(candidate(pricer, ideal, uploads));
        return false;
    }
    let mut choice = vec![0; forms.len()];
    loop {
        let uploads = choice.iter().zip(&forms).map(|(&c, f)| f[c].clone()).collect();
        candidates.extend(candidate(pricer, ideal, uploads));
        let Some(next) = (0..choice.len()).find(|&i| choice[i] + 1 < forms[i].len()) else {
            return true;
        };
        choice[next] += 1;
        choice[..next].fill(0);
    }
}

/// The sums of a mode; `None` if something never gets through.
fn candidate(pricer: &Pricer<'_>, ideal: &Ideal<'_>, uploads: Vec<Upload>) -> Option<Candidate> {
    let (mut device, mut uplink) = (ideal.device, Time::ZERO);
    let mut server = pricer.server_total() - ideal.server;
    let mut sends = Vec::with_capacity(uploads.len());
    for upload in &uploads {
        let (encode, transfer, decode) = pricer.crossing(upload)?;
        device = device.checked_add(encode)?;
        uplink = uplink.checked_add(transfer)?;
        server = server.checked_add(decode)?;
        sends.push((pricer.wait(upload.tensor, ideal.device) + encode, transfer));
    }
    Some(Candidate {
        layers: ideal.layers.clone(),
        uploads,
        device,
        uplink,
        server,
        download: pricer.download(ideal.layers)?,
        has_suffix: ideal.layers.count() < pricer.model.layers.len(),
        sends,
    })
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
