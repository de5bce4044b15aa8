//! The cost of one way to run one job on each machine.
//!
//! A *mode* is a cut together with the form in which each frontier tensor crosses the link. A
//! mode's uploads are grouped into *parcels*: tensors that are ready at the same moment and so may
//! as well leave together, unless few jobs are to be planned exactly for a server. Everything the
//! planner decides is expressed in modes and parcels; layers come back only when a decision is
//! written out.

use crate::cut::LayerSet;
use crate::cut::closed_sets::{Cuts, Ideal, cuts_max};
use crate::cut::frontier::parents;
use crate::options::Granularity;
use crate::plan::Upload;
use crate::problem::mode::{Form, Mode, PARCELS_MAX, Parcel, Times};
use crate::problem::parcels::{Waiting, device, join};
use crate::units::{Bandwidth, Time};
use crate::workload::{LayerId, Link, ModelGraph, TensorId};
use std::sync::{Arc, OnceLock};

/// A mode with more uploads than this sends them all together.
const UPLOADS_APART_MAX: usize = 40;

/// Ancestor sets are kept for models of up to this many layers; beyond, a parcel waits for the
/// whole cut.
const ANCESTOR_LAYERS_MAX: usize = 8192;

/// Everything that the cost of a mode depends on, apart from the model and the cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pricing {
    pub link: Link,
    pub granularity: Granularity,
    /// A mode counts only if this many jobs could all take it within [`TIME_MAX`].
    pub jobs: u64,
    /// Whether tensors that become ready together may leave apart all the same: another job's
    /// transfer between them can be worth it where something follows the uplink.
    pub is_apart: bool,
}

/// A model with what is needed to price many of its cuts.
#[derive(Clone, Debug)]
pub(crate) struct Pricer<'m> {
    pub model: &'m ModelGraph,
    pricing: Pricing,
    /// For each layer, itself and all it depends on; empty where parcels wait for the whole cut.
    ancestors: Vec<LayerSet>,
    /// For each layer, the device time of its ancestors and itself; empty if `ancestors` is.
    lead: Vec<Time>,
    server_total: Time,
    /// All cuts, once they have been asked for; nothing if they are too many.
    cuts: Arc<OnceLock<Option<Cuts>>>,
}

impl<'m> Pricer<'m> {
    pub(crate) fn new(model: &'m ModelGraph, pricing: Pricing) -> Pricer<'m> {
        let is_layer = pricing.granularity == Granularity::Layer;
        let fits = model.layers.len() <= ANCESTOR_LAYERS_MAX;
        let ancestors = if is_layer && fits { ancestors(model) } else { Vec::new() };
        let server_total = model.layers.iter().map(|l| l.server).sum();
        let lead = ancestors.iter().map(|set| device(model, set)).collect();
        Pricer { model, pricing, ancestors, lead, server_total, cuts: Arc::default() }
    }

    /// The same where transfers wait for all of their job's layers; cuts are listed once for both.
    pub(crate) fn by_job(&self) -> Pricer<'m> {
        let pricing = Pricing { granularity: Granularity::Job, ..self.pricing };
        let (ancestors, lead) = (Vec::new(), Vec::new());
        Pricer { pricing, ancestors, lead, cuts: Arc::clone(&self.cuts), ..*self }
    }

    /// All cuts of the model; nothing if they are too many. O(cuts x layers / 64) the first time.
    pub(crate) fn cuts(&self) -> Option<&Cuts> {
        let list = || Cuts::list(self.model, cuts_max(self.model));
        self.cuts.get_or_init(list).as_ref()
    }

    /// Device time that a tensor waits for; `None` if it waits for the whole cut.
    pub(crate) fn wait(&self, tensor: TensorId) -> Option<Time> {
        match self.model.tensors[tensor.index()].producer {
            _ if self.is_by_job() => None,
            None => Some(Time::ZERO),
            Some(producer) => self.lead.get(producer.index()).copied(),
        }
    }

    /// Whether tensors wait for no more than they need to, so that modes with few parcels are exact.
    pub(crate) fn is_exact(&self) -> bool {
        self.is_by_job() || self.ancestors.len() == self.model.layers.len()
    }

    /// Whether tensors wait for all of their job's layers.
    pub(crate) fn is_by_job(&self) -> bool {
        self.pricing.granularity == Granularity::Job
    }

    /// Raw tensors of one cut with the same group become ready together.
    pub(crate) fn group(&self, tensor: TensorId) -> Option<LayerId> {
        if self.is_by_job() { None } else { self.model.tensors[tensor.index()].producer }
    }

    /// Device time of all layers that some of `tensors` waits for.
    pub(crate) fn waited_for(&self, tensors: &[TensorId]) -> Time {
        let mut union = LayerSet::none(self.model);
        for tensor in tensors {
            if let Some(producer) = self.model.tensors[tensor.index()].producer {
                union.extend(&self.ancestors[producer.index()]);
            }
        }
        device(self.model, &union)
    }

    /// Whether this time, for all jobs, is within [`TIME_MAX`].
    pub(crate) fn fits(&self, times: &Times) -> bool {
        let all = [times.device, times.uplink, times.server, times.download.unwrap_or_default()];
        let whole = all.into_iter().try_fold(Time::ZERO, Time::checked_add);
        whole.and_then(|whole| whole.checked_mul(self.pricing.jobs)).is_some()
    }

    /// A form of a tensor; `None` if it never gets through.
    pub(crate) fn form(&self, upload: Upload) -> Option<Form> {
        let tensor = &self.model.tensors[upload.tensor.index()];
        let Link { uplink, message_overhead, .. } = self.pricing.link;
        let transfer = uplink.transfer_time(tensor.sent_bytes(upload.encoding))?;
        let transfer = transfer.checked_add(message_overhead)?;
        let (encode, decode) = match upload.encoding {
            None => (Time::ZERO, Time::ZERO),
            Some(e) => (tensor.encodings[e].encode, tensor.encodings[e].decode),
        };
        Some(Form { upload, encode, transfer, decode })
    }

    /// The forms of a tensor that get through.
    pub(crate) fn forms(&self, tensor: TensorId) -> impl Iterator<Item = Form> {
        let encodings = 0..self.model.tensors[tensor.index()].encodings.len();
        let all = std::iter::once(None).chain(encodings.map(Some));
        all.filter_map(move |encoding| self.form(Upload { tensor, encoding }))
    }

    /// The times of a cut before its tensors have forms; `None` if its results never get back.
    pub(crate) fn times(&self, cut: &Ideal<'_>) -> Option<Times> {
        Some(Times {
            device: cut.device,
            server: self.server_total - cut.server,
            download: self.download(cut.layers)?,
            has_suffix: cut.layers.count() < self.model.layers.len(),
            ..Times::default()
        })
    }

    /// The time of `bytes` on the downlink: zero if it costs nothing, `None` if they never get
    /// through.
    pub(crate) fn downlink_time(&self, bytes: u64) -> Option<Time> {
        self.pricing.link.downlink.map_or(Some(Time::ZERO), |link| link.transfer_time(bytes))
    }

    /// The device time of some layers, and what they would take on the server.
    pub(crate) fn sums(&self, layers: &LayerSet) -> (Time, Time) {
        let all = || layers.iter().map(|l| &self.model.layers[l.index()]);
        (all().map(|l| l.device).sum(), all().map(|l| l.server).sum())
    }

    /// The mode of cut `layers` with `uploads` for its frontier, in the order of the frontier;
    /// `None` if a transfer never ends or the times pass the limit.
    pub(crate) fn mode(&self, layers: LayerSet, uploads: Vec<Upload>) -> Option<Mode> {
        let (device, server) = self.sums(&layers);
        let cut = Ideal { layers: &layers, frontier: &[], device, server };
        let forms: Vec<Form> =
            uploads.iter().map(|u| self.form(u.clone())).collect::<Option<_>>()?;
        let times = self.times(&cut)?.with(forms.iter()).filter(|times| self.fits(times))?;
        let (parcels, before, is_exact) = self.parcels(&layers, &forms);
        let segments = Vec::new();
        let mut mode = Mode { layers, uploads, parcels, times, is_exact, before, segments };
        mode.follow_parcels();
        Some(mode)
    }

    /// Prices cuts at another bandwidth of the uplink from now on.
    pub(crate) fn set_uplink(&mut self, uplink: Bandwidth) {
        self.pricing.link.uplink = uplink;
    }

    /// A mode that was priced at another bandwidth of the uplink; `None` if a transfer never ends
    /// or the times pass the limit.
    pub(crate) fn priced_again(&self, mode: &Mode) -> Option<Mode> {
        let mut again = mode.clone();
        again.times.uplink = Time::ZERO;
        for parcel in &mut again.parcels {
            parcel.uplink = Time::ZERO;
            for &u in &parcel.uploads {
                let form = self.form(mode.uploads[u as usize].clone())?;
                parcel.uplink = parcel.uplink.checked_add(form.transfer)?;
            }
            again.times.uplink = again.times.uplink.checked_add(parcel.uplink)?;
        }
        if !self.fits(&again.times) {
            return None;
        }
        again.follow_parcels();
        Some(again)
    }

    /// The downlink time of the outputs made on the server; the outer `None` if they never
    /// get through, the inner if there are none.
    fn download(&self, layers: &LayerSet) -> Option<Option<Time>> {
        download_time(&self.pricing.link, self.model, layers)
    }

    /// The layers that must precede an upload on the device.
    fn needs(&self, layers: &LayerSet, tensor: TensorId) -> LayerSet {
        match self.model.tensors[tensor.index()].producer {
            _ if self.is_by_job() => layers.clone(),
            None => LayerSet::none(self.model),
            Some(producer) => self.ancestors.get(producer.index()).unwrap_or(layers).clone(),
        }
    }

    /// Groups uploads that become ready together, and tabulates what precedes each set of groups.
    fn parcels(&self, layers: &LayerSet, forms: &[Form]) -> (Vec<Parcel>, Vec<Time>, bool) {
        if forms.len() > UPLOADS_APART_MAX {
            let uploads = (0..forms.len()).map(index).collect();
            let all = Parcel { uploads, uplink: forms.iter().map(|f| f.transfer).sum() };
            let encodes = forms.iter().map(|f| f.encode).sum();
            let before = self.preceding(&[(all.clone(), layers.clone(), encodes)]);
            return (vec![all], before, false);
        }
        let is_raw = |form: &Form| form.upload.encoding.is_none();
        let is_apart = self.pricing.is_apart && forms.len() <= PARCELS_MAX;
        let mut parcels: Vec<Waiting> = Vec::new();
        for (u, form) in forms.iter().enumerate() {
            let needs = self.needs(layers, form.upload.tensor);
            let fits = |(parcel, waits, _): &&mut Waiting| {
                *waits == needs && is_raw(&forms[parcel.uploads[0] as usize])
            };
            let is_joined = is_raw(form) && !is_apart;
            if let Some((parcel, _, _)) = parcels.iter_mut().find(|p| is_joined && fits(p)) {
                parcel.uploads.push(index(u));
                parcel.uplink += form.transfer;
            } else {
                let parcel = Parcel { uploads: vec![index(u)], uplink: form.transfer };
                parcels.push((parcel, needs, form.encode));
            }
        }
        let mut is_exact = self.is_exact();
        is_exact &= is_apart == self.pricing.is_apart || parcels.len() == forms.len();
        if parcels.len() > PARCELS_MAX {
            is_exact = false;
            parcels = join(self.model, parcels, PARCELS_MAX);
        }
        let before = self.preceding(&parcels);
        (parcels.into_iter().map(|(p, _, _)| p).collect(), before, is_exact)
    }

    /// The device time before each set of parcels.
    fn preceding(&self, parcels: &[Waiting]) -> Vec<Time> {
        if let [(_, needs, encode)] = parcels {
            return vec![Time::ZERO, device(self.model, needs) + *encode];
        }
        let mut unions = vec![LayerSet::none(self.model)];
        let mut before = vec![Time::ZERO];
        let mut encodes = vec![Time::ZERO];
        for mask in 1..1usize << parcels.len() {
            let (_, needs, encode) = &parcels[mask.trailing_zeros() as usize];
            let mut union = unions[mask & (mask - 1)].clone();
            union.extend(needs);
            encodes.push(encodes[mask & (mask - 1)] + *encode);
            before.push(device(self.model, &union) + encodes[mask]);
            unions.push(union);
        }
        before
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).expect("tensors are numbered in 32 bits")
}

/// For each layer, the layers it depends on and itself. O(layers x edges / 64).
fn ancestors(model: &ModelGraph) -> Vec<LayerSet> {
    let mut sets = vec![LayerSet::none(model); model.layers.len()];
    for &layer in &model.topological {
        let mut set = LayerSet::none(model);
        for parent in parents(model, layer) {
            set.extend(&sets[parent.index()]);
        }
        set.insert(layer);
        sets[layer.index()] = set;
    }
    sets
}

/// The downlink time of the outputs made on the server if `layers` are on the device; the outer
/// `None` if they never get through, the inner if there are none or the downlink costs nothing.
pub(crate) fn download_time(
    link: &Link,
    model: &ModelGraph,
    layers: &LayerSet,
) -> Option<Option<Time>> {
    let Some(downlink) = link.downlink else { return Some(None) };
    let made_there = model.outputs.iter().filter_map(|&t| {
        let tensor = &model.tensors[t.index()];
        tensor.producer.filter(|&p| !layers.contains(p)).map(|_| tensor.bytes)
    });
    match made_there.reduce(u64::saturating_add) {
        None => Some(None),
        Some(bytes) => downlink.transfer_time(bytes).map(Some),
    }
}
