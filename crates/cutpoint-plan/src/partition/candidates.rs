//! Modes known only by their sums: what is listed of a model before anything is compared
//! in full.

use crate::cut::closed_sets::Ideal;
use crate::cut::{LayerSet, frontier};
use crate::partition::forms::Forms;
use crate::plan::Upload;
use crate::problem::{Form, Mode, Pricer, Times};
use crate::units::Time;

/// With at most this many candidates each new one is compared at once.
const WEIGHED_MAX: usize = 48;

/// A mode known only by its sums.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub layers: LayerSet,
    pub uploads: Vec<Upload>,
    /// Without what depends on parcels.
    pub times: Times,
    /// For each upload, the device time it waits for and its uplink time.
    pub sends: Vec<(Time, Time)>,
}

/// A mode that sends at most once, by all that matters when it is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Light {
    times: Times,
    send: Option<(Time, Time)>,
}

impl Light {
    /// `None` if the mode sends more than once.
    pub(super) fn of(mode: &Mode) -> Option<Light> {
        let send = mode.parcels.first().map(|parcel| (mode.before(1), parcel.uplink));
        (mode.parcels.len() <= 1).then_some(Light { times: mode.times, send })
    }

    /// Whether it can replace another mode in every schedule (see `dominance`), decided without
    /// pricing that one in full.
    pub(super) fn beats(&self, times: &Times, sends: &[(Time, Time)]) -> bool {
        let is_placed = |(wait, uplink)| sends.iter().any(|&(w, u)| wait <= w && uplink <= u);
        self.times.is_lighter(times) && self.send.is_none_or(is_placed)
    }
}

/// Candidates of a model, those that plainly lose left out.
#[derive(Debug)]
pub(crate) struct Candidates<'p> {
    pricer: &'p Pricer<'p>,
    forms: Forms,
    pub found: Vec<Candidate>,
    /// Some of those found.
    light: Vec<Light>,
}

impl<'p> Candidates<'p> {
    pub(crate) fn new(pricer: &'p Pricer<'_>) -> Candidates<'p> {
        Candidates { pricer, forms: Forms::new(pricer), found: Vec::new(), light: Vec::new() }
    }

    /// Adds the modes of one cut, one for each combination of encodings that could matter; says
    /// whether all were added.
    pub(crate) fn add(&mut self, cut: &Ideal<'_>) -> bool {
        let count = self.forms.combinations(cut.frontier);
        if let Some(times) = self.pricer.times(cut) {
            // Of too many combinations only the fastest way across for each tensor on its own.
            for place in 0..count.unwrap_or(1) {
                let forms: Vec<&Form> = self.forms.combination(cut.frontier, place).collect();
                let found = self.weigh(cut, times, &forms);
                self.keep(found);
            }
        }
        count.is_some()
    }

    /// Adds what [`Candidates::add`] does for one cut.
    pub(crate) fn add_cut(&mut self, layers: &LayerSet) -> bool {
        let (device, server) = self.pricer.sums(layers);
        let frontier = frontier(self.pricer.model, layers);
        self.add(&Ideal { layers, frontier: &frontier, device, server })
    }

    /// Adds one mode; nothing if something never gets through.
    pub(crate) fn add_form(&mut self, layers: &LayerSet, uploads: Vec<Upload>) {
        let (device, server) = self.pricer.sums(layers);
        let cut = Ideal { layers, frontier: &[], device, server };
        let forms = uploads.into_iter().map(|u| self.pricer.form(u));
        if let Some(times) = self.pricer.times(&cut)
            && let Some(forms) = forms.collect::<Option<Vec<Form>>>()
        {
            let found = self.weigh(&cut, times, &forms.iter().collect::<Vec<_>>());
            self.keep(found);
        }
    }

    /// The mode of a cut with tensors in these forms; `None` if a light one beats it or the times
    /// pass the limit.
    fn weigh(&self, cut: &Ideal<'_>, times: Times, forms: &[&Form]) -> Option<Candidate> {
        let times = times.with(forms.iter().copied())?;
        let send = |form: &&Form| {
            let wait = self.pricer.wait(form.upload.tensor).unwrap_or(cut.device);
            (wait + form.encode, form.transfer)
        };
        let sends: Vec<(Time, Time)> = forms.iter().map(send).collect();
        if self.light.iter().any(|light| light.beats(&times, &sends)) {
            return None;
        }
        let uploads = forms.iter().map(|f| f.upload.clone()).collect();
        Some(Candidate { layers: cut.layers.clone(), uploads, times, sends })
    }

    fn keep(&mut self, found: Option<Candidate>) {
        if let Some(Candidate { times, sends, .. }) = &found
            && sends.len() <= 1
            && self.light.len() < WEIGHED_MAX
        {
            self.light.push(Light { times: *times, send: sends.first().copied() });
        }
        self.found.extend(found);
    }
}
