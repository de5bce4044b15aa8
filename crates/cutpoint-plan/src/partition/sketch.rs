//! All modes of a model in a few numbers each: what bounds and counts need to know of thousands of
//! cuts, of which a plan for many jobs takes a handful.

use crate::cut::closed_sets::{Cuts, Ideal, LISTED_MAX};
use crate::cut::{LayerSet, frontier};
use crate::partition::candidates::{FORMS_MAX, Form, forms};
use crate::problem::{Mode, PARCELS_MAX, Pricer};
use crate::units::Time;
use crate::workload::{LayerId, TensorId};

/// Of a model with more modes than this none are sketched.
const SKETCHES_MAX: usize = 20_000;

/// The times of one mode, without its layers and parcels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// Device time of all layers and encodes.
    pub device: Time,
    /// Device time that some transfer waits for.
    pub sending: Time,
    /// Device time before the first transfer can start.
    pub lead: Time,
    /// Uplink time of all parcels.
    pub uplink: Time,
    /// Uplink time of the shortest parcel.
    pub trail: Time,
    /// Server time of all other layers and the decodes.
    pub server: Time,
    /// Downlink time; `None` if nothing is downloaded or downloads cost nothing.
    pub download: Option<Time>,
    /// Whether the server computes anything.
    pub has_suffix: bool,
    pub parcels: usize,
}

impl Sketch {
    /// When the last parcel of a job alone has been sent, and no later; exactly then if there is
    /// one parcel.
    pub(crate) fn sent_alone(&self) -> Time {
        (self.lead + self.uplink).max(self.sending + self.trail)
    }

    /// A job alone completes no sooner, and exactly then if it has one parcel.
    pub(crate) fn latency(&self, half: Time) -> Time {
        if !self.has_suffix {
            return self.device;
        }
        (self.sent_alone() + self.tail(half)).max(self.device)
    }

    /// From the end of the last transfer to completion.
    pub(crate) fn tail(&self, half: Time) -> Time {
        half + self.server + self.download.unwrap_or_default() + half
    }
}

/// Every mode of a model, dominated ones among them.
pub(crate) struct Sketches<'p> {
    pricer: &'p Pricer<'p>,
    cuts: &'p Cuts,
    /// For each tensor, the forms that no other form beats.
    forms: Vec<Vec<Form>>,
    /// For each tensor, the device time that it waits for, `None` for that of the whole cut; and
    /// what it becomes ready with.
    waits: Vec<(Option<Time>, Option<LayerId>)>,
    /// Layers that no other layer reads from: where a cut has one of them, its transfers may not
    /// wait for all of its layers.
    ends: LayerSet,
    pub all: Vec<Sketch>,
    /// For each mode, its cut and its place among the combinations of forms.
    chosen: Vec<(u32, u32)>,
}

impl<'p> Sketches<'p> {
    /// Lists the modes of a model in O(1) for each tensor that a cut sends; nothing if they are too
    /// many, or if some of them cannot be priced exactly.
    pub(crate) fn list(pricer: &'p Pricer<'p>) -> Option<Sketches<'p>> {
        let model = pricer.model;
        let limit = SKETCHES_MAX.min(LISTED_MAX / model.layers.len().max(1));
        if !pricer.is_exact() {
            return None;
        }
        let cuts = pricer.cuts().filter(|cuts| cuts.count() <= limit)?;
        let mut sketches = Sketches {
            pricer,
            cuts,
            forms: (0..model.tensors.len()).map(|t| forms(pricer, TensorId::at(t))).collect(),
            waits: (0..model.tensors.len())
                .map(|t| (pricer.wait(TensorId::at(t)), pricer.group(TensorId::at(t))))
                .collect(),
            ends: ends(pricer),
            all: Vec::with_capacity(cuts.count()),
            chosen: Vec::with_capacity(cuts.count()),
        };
        let mut cut = 0;
        let is_whole = cuts.visit(|ideal| {
            cut += 1;
            sketches.add(&ideal, cut - 1)
        });
        is_whole.then_some(sketches)
    }

    /// Adds the modes of a cut; says whether that was possible.
    fn add(&mut self, ideal: &Ideal<'_>, cut: u32) -> bool {
        let mut counts = ideal.frontier.iter().map(|t| self.forms[t.index()].len());
        let count = counts.try_fold(1usize, usize::checked_mul);
        let Some(count) = count.filter(|&n| n <= FORMS_MAX) else { return false };
        if count == 0 {
            // Something never gets through.
            return true;
        }
        let has_suffix = ideal.layers.count() < self.pricer.model.layers.len();
        let Some(download) = self.pricer.download(ideal.layers) else { return true };
        let waited = match ideal.frontier {
            [] => Time::ZERO,
            _ if self.pricer.is_by_job() || !ideal.layers.meets(&self.ends) => ideal.device,
            frontier => self.pricer.waited_for(frontier),
        };
        let server = self.pricer.server_total() - ideal.server;
        let start = Sketch {
            device: ideal.device,
            sending: waited,
            lead: ideal.device,
            uplink: Time::ZERO,
            trail: Time::ZERO,
            server,
            download,
            has_suffix,
            parcels: 0,
        };
        for place in 0..u32::try_from(count).expect("combinations are few") {
            let Some(sketch) = self.sketch(ideal, place as usize, start) else { continue };
            if sketch.parcels > PARCELS_MAX || self.all.len() == SKETCHES_MAX {
                return false;
            }
            self.all.push(sketch);
            self.chosen.push((cut, place));
        }
        true
    }

    /// The forms of one combination.
    fn combination<'s>(
        &'s self,
        frontier: &'s [TensorId],
        mut place: usize,
    ) -> impl Iterator<Item = &'s Form> {
        frontier.iter().map(move |tensor| {
            let forms = &self.forms[tensor.index()];
            let form = &forms[place % forms.len()];
            place /= forms.len();
            form
        })
    }

    /// One combination of forms; `None` if the times pass the limit.
    fn sketch(&self, ideal: &Ideal<'_>, mut place: usize, start: Sketch) -> Option<Sketch> {
        let mut sketch = start;
        // Raw tensors that are ready together leave together: by what they wait for, their parcel.
        let mut parcels = [(None, Time::ZERO); PARCELS_MAX];
        for tensor in ideal.frontier {
            let forms = &self.forms[tensor.index()];
            let form = match forms.as_slice() {
                [form] => form,
                _ => {
                    let form = &forms[place % forms.len()];
                    place /= forms.len();
                    form
                }
            };
            sketch.device = sketch.device.checked_add(form.encode)?;
            sketch.sending = sketch.sending.checked_add(form.encode)?;
            sketch.uplink = sketch.uplink.checked_add(form.transfer)?;
            sketch.server = sketch.server.checked_add(form.decode)?;
            let (wait, group) = self.waits[tensor.index()];
            let group = form.upload.encoding.is_none().then_some(group);
            let filled = sketch.parcels.min(PARCELS_MAX);
            let same = parcels[..filled].iter_mut().find(|(g, _)| group.is_some() && *g == group);
            if let Some((_, time)) = same {
                *time += form.transfer;
                continue;
            }
            sketch.parcels += 1;
            let waits = wait.unwrap_or(ideal.device) + form.encode;
            sketch.lead = if filled == 0 { waits } else { sketch.lead.min(waits) };
            if let Some(parcel) = parcels.get_mut(filled) {
                *parcel = (group, form.transfer);
            }
        }
        let shortest = parcels[..sketch.parcels.min(PARCELS_MAX)].iter().map(|(_, time)| *time);
        sketch.trail = shortest.min().unwrap_or_default();
        let whole = sketch.device.checked_add(sketch.uplink)?.checked_add(sketch.server)?;
        let whole = whole.checked_add(sketch.download.unwrap_or_default())?;
        self.pricer.fits(whole).then_some(sketch)
    }

    /// A mode in full.
    pub(crate) fn mode(&self, position: usize) -> Option<Mode> {
        let (cut, place) = self.chosen[position];
        let layers = self.cuts.layers(cut as usize);
        let frontier = frontier(self.pricer.model, &layers);
        let uploads =
            self.combination(&frontier, place as usize).map(|form| form.upload.clone()).collect();
        self.pricer.mode(layers, uploads)
    }
}

/// The layers that no other layer reads from. Every layer of a cut without one of them is waited for
/// by something that is sent.
fn ends(pricer: &Pricer<'_>) -> LayerSet {
    let model = pricer.model;
    let mut ends = LayerSet::none(model);
    for (l, layer) in model.layers.iter().enumerate() {
        if layer.writes.iter().all(|t| model.tensors[t.index()].readers.is_empty()) {
            ends.insert(LayerId::at(l));
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instances::{encode_some, fill, general, unit_link, wide, workload};
    use crate::options::Granularity;
    use crate::problem::Context;
    use crate::units::Bandwidth;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::num::NonZeroU32;

    #[test]
    fn a_sketch_has_the_times_of_its_mode() {
        let mut seen = 0;
        for seed in 0..120 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let shape = if seed.is_multiple_of(2) { general(&mut rng, 6) } else { wide(5) };
            let mut model = fill(&mut rng, "m", &shape, 12);
            if seed.is_multiple_of(3) {
                encode_some(&mut rng, &mut model);
            }
            let mut link = unit_link();
            link.message_overhead = Time::from_nanoseconds(seed % 4);
            link.downlink = Bandwidth::from_mbit_per_s(4000.0).filter(|_| seed.is_multiple_of(5));
            let half = Time::from_nanoseconds(3);
            let workload = workload(vec![model], &[13], link, NonZeroU32::new(1));
            for granularity in [Granularity::Job, Granularity::Layer] {
                let context = Context::new(&workload, granularity);
                let (pricer, _) = context.only_class().expect("there is one model");
                let sketches = Sketches::list(pricer).expect("few modes, all exact");
                for (position, sketch) in sketches.all.iter().enumerate() {
                    let place = format!("seed {seed} {granularity} {sketch:?}");
                    let mode = sketches.mode(position).expect("it can be built");
                    let leads = (0..mode.parcels.len()).map(|p| mode.before(1 << p));
                    let of_mode = Sketch {
                        device: mode.device,
                        sending: mode.before(mode.all_parcels()),
                        lead: leads.min().unwrap_or(sketch.lead),
                        uplink: mode.uplink,
                        trail: mode.parcels.iter().map(|p| p.uplink).min().unwrap_or_default(),
                        server: mode.server,
                        download: mode.download,
                        has_suffix: mode.has_suffix,
                        parcels: mode.parcels.len(),
                    };
                    assert_eq!(*sketch, of_mode, "{place}");
                    if sketch.parcels == 1 {
                        assert_eq!(sketch.sent_alone(), mode.sent_alone(), "{place}");
                        assert_eq!(sketch.latency(half), mode.latency(half), "{place}");
                    } else if sketch.parcels > 1 {
                        assert!(sketch.sent_alone() <= mode.sent_alone(), "{place}");
                        assert!(sketch.latency(half) <= mode.latency(half), "{place}");
                    }
                    seen += 1;
                }
            }
        }
        assert!(seen > 3_000, "{seen}");
    }
}
