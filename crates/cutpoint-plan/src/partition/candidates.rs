//! Modes known only by their sums: what is listed of a model before anything is compared
//! in full.

use crate::cut::closed_sets::Ideal;
use crate::cut::{LayerSet, frontier};
use crate::plan::Upload;
use crate::problem::Pricer;
use crate::units::Time;
use crate::workload::TensorId;

/// All combinations of encodings of a frontier are listed if there are at most this many.
pub(super) const FORMS_MAX: usize = 512;

/// With at most this many candidates each new one is compared at once.
const WEIGHED_MAX: usize = 48;

/// A mode known only by its sums.
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

/// A way for a tensor to cross the link.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub upload: Upload,
    pub encode: Time,
    pub transfer: Time,
    pub decode: Time,
}

/// Candidates of a model, those that plainly lose left out.
#[derive(Debug)]
pub(crate) struct Candidates<'p> {
    pricer: &'p Pricer<'p>,
    /// For each tensor, the forms that no other form beats; those with the smallest sum first.
    forms: Vec<Option<Vec<Form>>>,
    pub found: Vec<Candidate>,
    /// Positions in `found` of candidates that send at most once.
    light: Vec<usize>,
}

impl<'p> Candidates<'p> {
    pub(crate) fn new(pricer: &'p Pricer<'_>) -> Candidates<'p> {
        let forms = vec![None; pricer.model.tensors.len()];
        Candidates { pricer, forms, found: Vec::new(), light: Vec::new() }
    }

    /// Adds the modes of one cut, one for each combination of encodings that could matter; says
    /// whether all were added.
    pub(crate) fn add(&mut self, ideal: &Ideal<'_>) -> bool {
        let mut count = Some(1usize);
        for &tensor in ideal.frontier {
            let forms = self.forms_of(tensor).len();
            count = count.and_then(|n| n.checked_mul(forms));
        }
        let mut choice = vec![0; ideal.frontier.len()];
        match count {
            Some(0) => true,
            Some(count) if count <= FORMS_MAX => {
                loop {
                    self.weigh(ideal, &choice);
                    let forms = |i: usize| self.forms[ideal.frontier[i].index()].as_ref();
                    let is_last = |i: usize| forms(i).is_none_or(|f| choice[i] + 1 == f.len());
                    let Some(next) = (0..choice.len()).find(|&i| !is_last(i)) else { break };
                    choice[next] += 1;
                    choice[..next].fill(0);
                }
                true
            }
            // Too many combinations: the fastest way across for each tensor on its own.
            _ => {
                self.weigh(ideal, &choice);
                false
            }
        }
    }

    /// Adds what [`Candidates::add`] does for one cut.
    pub(crate) fn add_cut(&mut self, layers: &LayerSet) -> bool {
        let frontier = frontier(self.pricer.model, layers);
        let (device, server) = self.sums(layers);
        self.add(&Ideal { layers, frontier: &frontier, device, server })
    }

    /// Adds one mode; nothing if something never gets through.
    pub(crate) fn add_form(&mut self, layers: &LayerSet, uploads: Vec<Upload>) {
        let frontier: Vec<TensorId> = uploads.iter().map(|u| u.tensor).collect();
        let (device, server) = self.sums(layers);
        let ideal = Ideal { layers, frontier: &frontier, device, server };
        let crossed = uploads.into_iter().map(|u| form(self.pricer, u));
        if let Some(forms) = crossed.collect::<Option<Vec<Form>>>() {
            let forms: Vec<&Form> = forms.iter().collect();
            let found = candidate(self.pricer, &ideal, &forms);
            self.found.extend(found);
        }
    }

    fn sums(&self, layers: &LayerSet) -> (Time, Time) {
        let all = || layers.iter().map(|l| &self.pricer.model.layers[l.index()]);
        (all().map(|l| l.device).sum(), all().map(|l| l.server).sum())
    }

    fn forms_of(&mut self, tensor: TensorId) -> &[Form] {
        let pricer = self.pricer;
        self.forms[tensor.index()].get_or_insert_with(|| forms(pricer, tensor))
    }

    /// Adds the mode that takes the chosen form of each tensor, unless a light one beats it.
    fn weigh(&mut self, ideal: &Ideal<'_>, choice: &[usize]) {
        let mut forms: Vec<&Form> = Vec::with_capacity(choice.len());
        for (tensor, &c) in ideal.frontier.iter().zip(choice) {
            match self.forms[tensor.index()].as_ref().and_then(|forms| forms.get(c)) {
                Some(form) => forms.push(form),
                None => return,
            }
        }
        let is_beaten = |&light: &usize| beats(&self.found[light], self.pricer, ideal, &forms);
        if self.light.iter().any(is_beaten) {
            return;
        }
        let found = candidate(self.pricer, ideal, &forms);
        if let Some(found) = found {
            if found.sends.len() <= 1 && self.light.len() < WEIGHED_MAX {
                self.light.push(self.found.len());
            }
            self.found.push(found);
        }
    }
}

/// Whether a candidate that sends at most once can replace another mode in every schedule (see
/// `dominance`).
fn beats(light: &Candidate, pricer: &Pricer<'_>, ideal: &Ideal<'_>, forms: &[&Form]) -> bool {
    let sum = |time: fn(&Form) -> Time| forms.iter().map(|f| time(f)).fold(Time::ZERO, saturating);
    let has_suffix = ideal.layers.count() < pricer.model.layers.len();
    let is_lighter = light.device <= saturating(ideal.device, sum(|f| f.encode))
        && light.uplink <= sum(|f| f.transfer)
        && light.server <= saturating(pricer.server_total() - ideal.server, sum(|f| f.decode))
        && (!light.has_suffix || has_suffix);
    if !is_lighter {
        return false;
    }
    let Some(download) = pricer.download(ideal.layers) else { return true };
    let is_placed = |&(wait, uplink): &(Time, Time)| {
        forms.iter().any(|f| {
            let waits = saturating(pricer.wait(f.upload.tensor).unwrap_or(ideal.device), f.encode);
            wait <= waits && uplink <= f.transfer
        })
    };
    light.download.unwrap_or_default() <= download.unwrap_or_default()
        && light.sends.iter().all(is_placed)
}

fn saturating(a: Time, b: Time) -> Time {
    Time::from_nanoseconds(a.nanoseconds().saturating_add(b.nanoseconds()))
}

/// The sums of a mode; `None` if something never gets through.
fn candidate(pricer: &Pricer<'_>, ideal: &Ideal<'_>, forms: &[&Form]) -> Option<Candidate> {
    let (mut device, mut uplink) = (ideal.device, Time::ZERO);
    let mut server = pricer.server_total() - ideal.server;
    let mut sends = Vec::with_capacity(forms.len());
    for form in forms {
        device = device.checked_add(form.encode)?;
        uplink = uplink.checked_add(form.transfer)?;
        server = server.checked_add(form.decode)?;
        let waits = pricer.wait(form.upload.tensor).unwrap_or(ideal.device) + form.encode;
        sends.push((waits, form.transfer));
    }
    Some(Candidate {
        layers: ideal.layers.clone(),
        uploads: forms.iter().map(|f| f.upload.clone()).collect(),
        device,
        uplink,
        server,
        download: pricer.download(ideal.layers)?,
        has_suffix: ideal.layers.count() < pricer.model.layers.len(),
        sends,
    })
}

fn form(pricer: &Pricer<'_>, upload: Upload) -> Option<Form> {
    let (encode, transfer, decode) = pricer.crossing(&upload)?;
    Some(Form { upload, encode, transfer, decode })
}

/// The forms of a tensor that no other form beats in encode, transfer and decode time; the one
/// with the smallest sum first.
pub(super) fn forms(pricer: &Pricer<'_>, tensor: TensorId) -> Vec<Form> {
    let encodings = pricer.model.tensors[tensor.index()].encodings.len();
    let all = std::iter::once(None).chain((0..encodings).map(Some));
    let mut priced: Vec<Form> =
        all.filter_map(|encoding| form(pricer, Upload { tensor, encoding })).collect();
    priced.sort_by_key(|f| {
        let sum = saturating(saturating(f.encode, f.transfer), f.decode);
        (sum, f.encode, f.transfer)
    });
    let mut kept: Vec<Form> = Vec::new();
    for form in priced {
        let is_beaten = |k: &Form| {
            k.encode <= form.encode && k.transfer <= form.transfer && k.decode <= form.decode
        };
        if !kept.iter().any(is_beaten) {
            kept.push(form);
        }
    }
    kept
}
