//! The case of one model, where counts alone decide (see `flow_shop::identical`).

use crate::flow_shop::identical::best;
use crate::flow_shop::identical::choices::{Choices, Cut, Solution, Stages};
use crate::problem::{Counts, Problem, Times};
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
    let modes: Vec<Times> = class.modes.iter().map(|mode| mode.times).collect();
    let place = |cuts: &mut [(usize, Cut)]| {
        if problem.is_two_machine() && modes.iter().any(|mode| mode.parcel_count > 1) {
            place(problem, cuts);
        }
    };
    let (solution, counts) = solve(&modes, class.count(), problem.half, leaves, place)?;
    Some((solution, vec![counts]))
}

/// The same where a server follows the uplink, for all modes of a model as they are sketched: the
/// counts are by position. Nothing if the server can compute something that needs nothing from the
/// device.
pub(crate) fn identical_of(
    sketches: &[Times],
    jobs: u64,
    half: Time,
    leaves: u64,
) -> Option<(Solution, Vec<u64>)> {
    solve(sketches, jobs, half, leaves, |_| {})
}

/// How many jobs take each mode. `place` may give cuts, each with its position, their places.
fn solve(
    modes: &[Times],
    jobs: u64,
    half: Time,
    leaves: u64,
    place: impl FnOnce(&mut [(usize, Cut)]),
) -> Option<(Solution, Vec<u64>)> {
    let sending = modes.iter().enumerate().filter(|(_, mode)| mode.has_suffix);
    if sending.clone().any(|(_, mode)| mode.parcel_count == 0) {
        return None;
    }
    let mut cuts: Vec<(usize, Cut)> = sending.map(|(m, mode)| (m, cut(mode, half))).collect();
    place(&mut cuts);
    let local = modes.iter().position(|mode| !mode.has_suffix);
    let (positions, cuts): (Vec<usize>, Vec<Cut>) = cuts.into_iter().unzip();
    let choices = Choices { cuts, local: local.map(|l| modes[l].device), jobs, leaves };
    let solution = best(&choices)?;
    let mut counts = vec![0; modes.len()];
    for (position, &count) in positions.into_iter().zip(&solution.counts) {
        counts[position] = count;
    }
    if let Some(local) = local {
        counts[local] += solution.local;
    }
    Some((solution, counts))
}

/// Gives cuts their places in Johnson's order of all segments, and the leads and trails of their
/// first and last segments in it.
fn place(problem: &Problem<'_>, cuts: &mut [(usize, Cut)]) {
    for (place, (class, m, s)) in (0u32..).zip(problem.segments_in_order()) {
        let segment = &problem.classes[class].modes[m].segments[s];
        let Ok(k) = cuts.binary_search_by_key(&m, |&(mode, _)| mode) else { continue };
        let cut = &mut cuts[k].1;
        if cut.places.is_none() {
            cut.lead = segment.block.lead();
        }
        cut.trail = segment.block.trail();
        cut.places = Some((cut.places.map_or(place, |(first, _)| first), place));
    }
}

/// A mode that sends something, as a cut for identical jobs. Parcels that all wait for all device work count as
/// one: no makespan and no latest completion gets shorter by what comes between them.
fn cut(mode: &Times, half: Time) -> Cut {
    let Times { device, uplink, sending, lead, trail, .. } = *mode;
    let (stages, tail) = (Stages { device, uplink }, mode.tail(half));
    match lead == device {
        true => Cut::in_sequence(stages, tail),
        false => Cut { stages, sending, lead, trail, tail, places: None },
    }
}
