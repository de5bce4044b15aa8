//! What one way to run one job costs on each machine.
//!
//! A *mode* is a cut together with the form in which each frontier tensor crosses the link. A
//! mode's uploads are grouped into *parcels*: tensors that are ready at the same moment and so may
//! as well leave together, unless few jobs are to be planned exactly for a server. Everything the
//! planner decides is expressed in modes and parcels; layers come back only when a decision is
//! written out.

use crate::cut::LayerSet;
use crate::cut::closed_sets::{Cuts, cuts_max};
use crate::cut::frontier::parents;
use crate::flow_shop::segments::segments;
use crate::options::Granularity;
use crate::plan::Upload;
use crate::problem::mode::{Mode, PARCELS_MAX, Parcel};
use crate::problem::parcels::{device, join};
use crate::units::{Bandwidth, TIME_MAX, Time};
use crate::workload::{LayerId, Link, ModelGraph, TensorId};
use std::sync::{Arc, OnceLock};

/// A mode with more uploads than this sends them all together.
const UPLOADS_APART_MAX: usize = 40;

/// Ancestor sets are kept for models of up to this many layers; beyond, a parcel waits for the
/// whole cut.
const ANCESTOR_LAYERS_MAX: usize = 8192;

/// What the cost of a mode depends on, apart from the model and the cut.
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

impl Pricing {
    /// What `bytes` take on the uplink; `None` if they never get through.
    pub(crate) fn transfer(&self, bytes: u64) -> Option<Time> {
        self.link.uplink.transfer_time(bytes)?.checked_add(self.link.message_overhead)
    }
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
        let time = |set: &LayerSet| set.iter().map(|l| model.layers[l.index()].device).sum();
        let lead = ancestors.iter().map(time).collect();
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

    /// Server time of all layers.
    pub(crate) fn server_total(&self) -> Time {
        self.server_total
    }

    /// Device time that a tensor waits for; `None` if it waits for the whole cut.
    pub(crate) fn wait(&self, tensor: TensorId) -> Option<Time> {
        match self.model.tensors[tensor.index()].producer {
            _ if self.pricing.granularity == Granularity::Job => None,
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

    /// Whether all jobs could take so long.
    pub(crate) fn fits(&self, whole: Time) -> bool {
        whole.checked_mul(self.pricing.jobs).is_some()
    }

    /// What crossing the link costs a tensor in one of its forms: encode, transfer, decode. `None`
    /// if it never gets through.
    pub(crate) fn crossing(&self, upload: &Upload) -> Option<(Time, Time, Time)> {
        let tensor = &self.model.tensors[upload.tensor.index()];
        match upload.encoding {
            None => Some((Time::ZERO, self.pricing.transfer(tensor.bytes)?, Time::ZERO)),
            Some(e) => {
                let form = &tensor.encodings[e];
                Some((form.encode, self.pricing.transfer(form.bytes)?, form.decode))
            }
        }
    }

    /// What `bytes` take on the downlink: nothing if it costs nothing, `None` if they never get
    /// through.
    pub(crate) fn downlink_time(&self, bytes: u64) -> Option<Time> {
        self.pricing.link.downlink.map_or(Some(Time::ZERO), |link| link.transfer_time(bytes))
    }

    /// The mode of cut `layers` with `uploads` for its frontier, in the order of the frontier;
    /// `None` if a transfer never ends or the times pass the limit.
    pub(crate) fn mode(&self, layers: LayerSet, uploads: Vec<Upload>) -> Option<Mode> {
        let (mut device, mut server_kept) = (Time::ZERO, Time::ZERO);
        for layer in layers.iter() {
            device += self.model.layers[layer.index()].device;
            server_kept += self.model.layers[layer.index()].server;
        }
        let (mut uplink, mut server) = (Time::ZERO, self.server_total - server_kept);
        let mut crossings = Vec::with_capacity(uploads.len());
        for upload in &uploads {
            let (encode, transfer, decode) = self.crossing(upload)?;
            device = device.checked_add(encode)?;
            uplink = uplink.checked_add(transfer)?;
            server = server.checked_add(decode)?;
            crossings.push((encode, transfer));
        }
        let has_suffix = layers.count() < self.model.layers.len();
        let download = self.download(&layers)?;
        let whole = device.checked_add(uplink)?.checked_add(server)?;
        let whole = whole.checked_add(download.unwrap_or_default())?;
        whole.checked_mul(self.pricing.jobs).filter(|&t| t <= TIME_MAX)?;
        let (parcels, before, is_exact) = self.parcels(&layers, &uploads, &crossings);
        let mut mode = Mode {
            layers,
            uploads,
            parcels,
            device,
            uplink,
            server,
            download,
            has_suffix,
            is_exact,
            before,
            segments: Vec::new(),
        };
        mode.segments = segments(&mode.parcel_times());
        Some(mode)
    }

    /// Prices cuts at another bandwidth of the uplink from now on.
    pub(crate) fn set_uplink(&mut self, uplink: Bandwidth) {
        self.pricing.link.uplink = uplink;
    }

    /// A mode that was priced at another bandwidth of the uplink; `None` if a transfer never ends
    /// or the times pass the limit.
    pub(crate) fn priced_again(&self, mode: &Mode) -> Option<Mode> {
        let pricing = &self.pricing;
        let mut again = mode.clone();
        again.uplink = Time::ZERO;
        for parcel in &mut again.parcels {
            parcel.uplink = Time::ZERO;
            for &u in &parcel.uploads {
                let upload = &mode.uploads[u as usize];
                let tensor = &self.model.tensors[upload.tensor.index()];
                let bytes = tensor.sent_bytes(upload.encoding);
                parcel.uplink = parcel.uplink.checked_add(pricing.transfer(bytes)?)?;
            }
            again.uplink = again.uplink.checked_add(parcel.uplink)?;
        }
        let whole = again.device.checked_add(again.uplink)?.checked_add(again.server)?;
        let whole = whole.checked_add(again.download.unwrap_or_default())?;
        whole.checked_mul(pricing.jobs)?;
        again.segments = segments(&again.parcel_times());
        Some(again)
    }

    /// What the outputs made on the server take on the downlink; the outer `None` if they never
    /// get through, the inner if there are none.
    pub(crate) fn download(&self, layers: &LayerSet) -> Option<Option<Time>> {
        let Some(downlink) = self.pricing.link.downlink else { return Some(None) };
        let made_there = self.model.outputs.iter().filter_map(|&t| {
            let tensor = &self.model.tensors[t.index()];
            tensor.producer.filter(|&p| !layers.contains(p)).map(|_| tensor.bytes)
        });
        let bytes = made_there
            .fold(None, |sum: Option<u64>, b| Some(sum.unwrap_or_default().saturating_add(b)));
        match bytes {
            None => Some(None),
            Some(bytes) => downlink.transfer_time(bytes).map(Some),
        }
    }

    /// The layers that must precede an upload on the device.
    fn needs(&self, layers: &LayerSet, tensor: TensorId) -> LayerSet {
        match self.model.tensors[tensor.index()].producer {
            _ if self.ancestors.is_empty() && self.pricing.granularity == Granularity::Job => {
                layers.clone()
            }
            None => LayerSet::none(self.model),
            Some(_) if self.ancestors.is_empty() => layers.clone(),
            Some(producer) => self.ancestors[producer.index()].clone(),
        }
    }

    /// Groups uploads that become ready together, and tabulates what precedes each set of groups.
    fn parcels(
        &self,
        layers: &LayerSet,
        uploads: &[Upload],
        crossings: &[(Time, Time)],
    ) -> (Vec<Parcel>, Vec<Time>, bool) {
        if uploads.len() > UPLOADS_APART_MAX {
            return self.one_parcel(layers, crossings);
        }
        let is_apart = self.pricing.is_apart && uploads.len() <= PARCELS_MAX;
        let mut parcels: Vec<(Parcel, LayerSet, Time)> = Vec::new();
        for (u, upload) in uploads.iter().enumerate() {
            let (encode, transfer) = crossings[u];
            let needs = self.needs(layers, upload.tensor);
            let same = (upload.encoding.is_none() && !is_apart)
                .then(|| parcels.iter_mut().find(|(p, n, _)| *n == needs && is_raw(p, uploads)));
            if let Some(Some((parcel, _, _))) = same {
                parcel.uploads.push(index(u));
                parcel.uplink += transfer;
            } else {
                let parcel = Parcel { uploads: vec![index(u)], uplink: transfer };
                parcels.push((parcel, needs, encode));
            }
        }
        let mut is_exact = self.ancestors.len() == self.model.layers.len()
            || self.pricing.granularity == Granularity::Job;
        is_exact &= is_apart == self.pricing.is_apart || parcels.len() == uploads.len();
        if parcels.len() > PARCELS_MAX {
            is_exact = false;
            parcels = join(self.model, parcels, PARCELS_MAX);
        }
        let before = self.preceding(&parcels);
        (parcels.into_iter().map(|(p, _, _)| p).collect(), before, is_exact)
    }

    /// All uploads as one parcel, which waits for all device work.
    fn one_parcel(
        &self,
        layers: &LayerSet,
        crossings: &[(Time, Time)],
    ) -> (Vec<Parcel>, Vec<Time>, bool) {
        let uploads = (0..crossings.len()).map(index).collect();
        let uplink = crossings.iter().map(|c| c.1).sum();
        let encodes: Time = crossings.iter().map(|c| c.0).sum();
        let before = vec![Time::ZERO, device(self.model, layers) + encodes];
        (vec![Parcel { uploads, uplink }], before, false)
    }

    /// The device time before each set of parcels.
    fn preceding(&self, parcels: &[(Parcel, LayerSet, Time)]) -> Vec<Time> {
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

fn is_raw(parcel: &Parcel, uploads: &[Upload]) -> bool {
    parcel.uploads.iter().all(|&u| uploads[u as usize].encoding.is_none())
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
