//! All modes of a model in a few numbers each: what bounds and counts need to know of thousands of
//! cuts, of which a plan for many jobs takes a handful.

use crate::cut::closed_sets::{Cuts, Ideal, LISTED_MAX};
use crate::cut::{LayerSet, frontier};
use crate::partition::forms::Forms;
use crate::problem::{Mode, PARCELS_MAX, Pricer, Times};
use crate::units::Time;
use crate::workload::{LayerId, ModelGraph};

/// Of a model with more modes than this none are sketched.
const SKETCHES_MAX: usize = 20_000;

/// Every mode of a model, dominated ones among them.
pub(crate) struct Sketches<'p> {
    pricer: &'p Pricer<'p>,
    cuts: &'p Cuts,
    forms: Forms,
    /// Layers that no other layer reads from: where a cut has one of them, its transfers may not
    /// wait for all of its layers.
    ends: LayerSet,
    /// The times of each; those of several parcels as far as they are known without their order:
    /// `sent_alone` is then no later than the last parcel is sent.
    pub all: Vec<Times>,
    /// For each mode, its cut and its place among the combinations of forms.
    chosen: Vec<(usize, usize)>,
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
            forms: Forms::new(pricer),
            ends: ends(model),
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

    /// Adds the modes of a cut; returns whether that was possible.
    fn add(&mut self, ideal: &Ideal<'_>, cut: usize) -> bool {
        let Some(count) = self.forms.combinations(ideal.frontier) else { return false };
        let Some(mut start) = self.pricer.times(ideal) else { return true };
        start.sending = match ideal.frontier {
            [] => Time::ZERO,
            _ if self.pricer.is_by_job() || !ideal.layers.meets(&self.ends) => ideal.device,
            frontier => self.pricer.waited_for(frontier),
        };
        for place in 0..count {
            let Some(times) = self.sketch(ideal, place, start) else { continue };
            if times.parcel_count > PARCELS_MAX || self.all.len() == SKETCHES_MAX {
                return false;
            }
            self.all.push(times);
            self.chosen.push((cut, place));
        }
        true
    }

    /// One combination of forms; `None` if the times pass the limit.
    fn sketch(&self, ideal: &Ideal<'_>, place: usize, start: Times) -> Option<Times> {
        let forms = || self.forms.combination(ideal.frontier, place);
        let mut times = start.with(forms()).filter(|times| self.pricer.fits(times))?;
        times.sending += times.device - start.device;
        times.lead = ideal.device;
        // Raw tensors that are ready together leave together: by what they wait for, their parcel.
        let mut parcels = [(None, Time::ZERO); PARCELS_MAX];
        for form in forms() {
            let tensor = form.upload.tensor;
            let is_raw = form.upload.encoding.is_none();
            let group = is_raw.then(|| self.pricer.group(tensor));
            let filled = times.parcel_count.min(PARCELS_MAX);
            let same = parcels[..filled].iter_mut().find(|(g, _)| is_raw && *g == group);
            if let Some((_, time)) = same {
                *time += form.transfer;
                continue;
            }
            times.parcel_count += 1;
            let waits = self.pricer.wait(tensor).unwrap_or(ideal.device) + form.encode;
            times.lead = if filled == 0 { waits } else { times.lead.min(waits) };
            if let Some(parcel) = parcels.get_mut(filled) {
                *parcel = (group, form.transfer);
            }
        }
        let shortest = parcels[..times.parcel_count.min(PARCELS_MAX)].iter().map(|(_, time)| *time);
        times.trail = shortest.min().unwrap_or_default();
        times.sent_alone = (times.lead + times.uplink).max(times.sending + times.trail);
        Some(times)
    }

    /// A mode in full.
    pub(crate) fn mode(&self, position: usize) -> Option<Mode> {
        let (cut, place) = self.chosen[position];
        let layers = self.cuts.layers(cut);
        let frontier = frontier(self.pricer.model, layers);
        let uploads =
            self.forms.combination(&frontier, place).map(|form| form.upload.clone()).collect();
        self.pricer.mode(layers.clone(), uploads)
    }
}

/// The layers that no other layer reads from. Every layer of a cut without one of them is waited for
/// by something that is sent.
fn ends(model: &ModelGraph) -> LayerSet {
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
    use crate::instances::{fill, general, unit_link, wide, workload};
    use crate::options::Granularity;
    use crate::problem::Context;
    use crate::testing::encode_some;
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
            let mut model = fill(&mut rng, "m", &shape, 12, 1);
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
                    if sketch.parcel_count == 0 {
                        let sent_alone = sketch.device;
                        assert_eq!(*sketch, Times { sent_alone, ..mode.times }, "{place}");
                    } else if sketch.parcel_count == 1 {
                        assert_eq!(*sketch, mode.times, "{place}");
                    } else {
                        assert!(sketch.sent_alone <= mode.sent_alone, "{place}");
                        assert!(sketch.latency(half) <= mode.latency(half), "{place}");
                        let sent_alone = sketch.sent_alone;
                        assert_eq!(*sketch, Times { sent_alone, ..mode.times }, "{place}");
                    }
                    seen += 1;
                }
            }
        }
        assert!(seen > 3_000, "{seen}");
    }
}
