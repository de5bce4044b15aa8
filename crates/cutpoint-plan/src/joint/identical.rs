//! The case of one model, where counts alone decide (see `flow_shop::identical`).

use crate::flow_shop::identical::best;
use crate::flow_shop::identical::choices::{Choices, Cut, Solution, Stages};
use crate::flow_shop::johnson::segment_key;
use crate::flow_shop::segments::Segment;
use crate::partition::sketch::Sketch;
use crate::problem::{Class, Counts, Mode, Problem};
use crate::units::Time;

/// Leaves of the search for counts that a plan from scratch may visit.
pub(crate) const LEAVES: u64 = 4_000;

/// The best counts of a class alone, and a bound; nothing if there are several classes, or if the
/// server can compute something that needs nothing from the device.
///
/// On two machines, where transfers wait for all device work, the counts are optimal as far as
/// [`Solution::lower_bound`] proves it. Elsewhere the bound holds all the same, and the makespan of
/// the counts has to be found out: it is the bound if the server keeps up with the uplink.
///
/// Paper: Cor 1; section 5.6, server without contention.
pub(crate) fn identical(problem: &Problem<'_>, leaves: u64) -> Option<(Solution, Counts)> {
    let [class] = problem.classes.as_slice() else { return None };
    let sending: Vec<usize> =
        (0..class.modes.len()).filter(|&m| class.modes[m].has_suffix).collect();
    if sending.iter().any(|&m| class.modes[m].parcels.is_empty()) {
        return None;
    }
    let local = class.local();
    let mut cuts: Vec<Cut> = sending.iter().map(|&m| cut(&class.modes[m], problem.half)).collect();
    if problem.is_two_machine() && sending.iter().any(|&m| class.modes[m].parcels.len() > 1) {
        place(class, &sending, &mut cuts);
    }
    let choices =
        Choices { cuts, local: local.map(|l| class.modes[l].device), jobs: class.count(), leaves };
    let solution = best(&choices)?;
    let mut counts = vec![0; class.modes.len()];
    for (&mode, &count) in sending.iter().zip(&solution.counts) {
        counts[mode] = count;
    }
    if let Some(local) = local {
        counts[local] += solution.local;
    }
    Some((solution, vec![counts]))
}

/// The same where a server follows the uplink, for all modes of a model as they are sketched: the
/// counts are by position. Nothing if the server can compute something that needs nothing from the
/// device.
pub(crate) fn identical_of(
    sketches: &[Sketch],
    jobs: u64,
    half: Time,
    leaves: u64,
) -> Option<(Solution, Vec<u64>)> {
    let sending: Vec<usize> = (0..sketches.len()).filter(|&s| sketches[s].has_suffix).collect();
    if sending.iter().any(|&s| sketches[s].parcels == 0) {
        return None;
    }
    let local = sketches.iter().position(|s| !s.has_suffix);
    let cuts = sending.iter().map(|&s| sketched_cut(&sketches[s], half)).collect();
    let choices = Choices { cuts, local: local.map(|l| sketches[l].device), jobs, leaves };
    let solution = best(&choices)?;
    let mut counts = vec![0; sketches.len()];
    for (&position, &count) in sending.iter().zip(&solution.counts) {
        counts[position] = count;
    }
    if let Some(local) = local {
        counts[local] += solution.local;
    }
    Some((solution, counts))
}

/// Gives cuts their places in Johnson's order of all segments, and the leads and trails of their
/// first and last segments in it.
fn place(class: &Class<'_>, sending: &[usize], cuts: &mut [Cut]) {
    let mut slots: Vec<(usize, &Segment)> = Vec::new();
    for (k, &m) in sending.iter().enumerate() {
        let segments = class.modes[m].segments.iter().filter(|s| !s.parcels.is_empty());
        slots.extend(segments.map(|s| (k, s)));
    }
    slots.sort_by_key(|&(k, segment)| (segment_key(segment), k));
    for (place, (k, segment)) in (0u32..).zip(slots) {
        let cut = &mut cuts[k];
        if cut.places.is_none() {
            cut.lead = segment.alone - segment.uplink;
        }
        cut.trail = segment.alone - segment.device;
        cut.places = Some((cut.places.map_or(place, |(first, _)| first), place));
    }
}

/// What matters of a mode that sends something. Parcels that all wait for all device work count as
/// one: no makespan and no latest completion gets shorter by what comes between them.
fn cut(mode: &Mode, half: Time) -> Cut {
    let stages = Stages { device: mode.device, uplink: mode.uplink };
    let tail = half + mode.server + mode.download.unwrap_or_default() + half;
    let leads = || (0..mode.parcels.len()).map(|p| mode.before(1 << p));
    if leads().all(|lead| lead == mode.device) {
        return Cut::in_sequence(stages, tail);
    }
    Cut {
        stages,
        sending: mode.before(mode.all_parcels()),
        lead: leads().min().unwrap_or_default(),
        trail: mode.parcels.iter().map(|p| p.uplink).min().unwrap_or_default(),
        tail,
        places: None,
    }
}

/// The same of a sketch.
fn sketched_cut(sketch: &Sketch, half: Time) -> Cut {
    let stages = Stages { device: sketch.device, uplink: sketch.uplink };
    let tail = sketch.tail(half);
    if sketch.lead == sketch.device {
        return Cut::in_sequence(stages, tail);
    }
    let Sketch { sending, lead, trail, .. } = *sketch;
    Cut { stages, sending, lead, trail, tail, places: None }
}
