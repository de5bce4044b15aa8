//! Identical jobs with thousands of modes: which few of them does a search need?
//!
//! Bounds and the counts of section 5.6 need the times of all modes and nothing else of them. What
//! is built in full are the modes of these counts, those cheapest at the bound's prices, those on
//! the hull of device and uplink time, and those that the other policies would take.

use crate::bound::LoadBound;
use crate::bound::load_sums::CHOICES_MAX;
use crate::bound::sketched::load_bound_of;
use crate::flow_shop::identical::choices::Solution;
use crate::hull::lower_hull;
use crate::joint::identical::identical_of;
use crate::joint::local_search::TRIED_MAX;
use crate::joint::mix::{Line, Mix, Rule};
use crate::partition::dominance::dominates;
use crate::partition::sketch::Sketches;
use crate::problem::{
    Context, Counts, EXACT_JOBS_MAX, Mode, ModeSet, Problem, Times, loads, weighted,
};
use crate::units::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How many modes are tried, each for all jobs together.
const SINGLE_TRIED: usize = 8;

/// The result of going through all modes.
pub(crate) enum Listed<'c> {
    Short(Box<Shortlist<'c>>),
    /// No counts below the limit were found, even if no job ever waited for the server.
    Longer,
}

/// A problem with the modes that a search needs, and what is known from all modes.
pub(crate) struct Shortlist<'c> {
    pub problem: Problem<'c>,
    /// From all modes.
    pub bound: LoadBound,
    /// The best counts as section 5.6 has them, of all modes.
    pub identical: (Solution, Counts),
    /// Whether some mode sends something before all device work of its job is done.
    pub sends_early: bool,
}

/// The shortlist of the only class of a workload with a server, if it has more jobs than the exact
/// search is for and more modes than the bound of whole jobs can go through. If there is a `limit`,
/// only counts below it are wanted. O(rounds x modes).
pub(crate) fn shortlist<'c>(
    context: &'c Context<'c>,
    leaves: u64,
    limit: Option<Time>,
) -> Option<Listed<'c>> {
    let (pricer, jobs) = context.only_class()?;
    if jobs <= EXACT_JOBS_MAX {
        return None;
    }
    let sketches = Sketches::list(pricer)?;
    let all = &sketches.all;
    let has_server = |s: &Times| s.tail(Time::ZERO) > Time::ZERO;
    if all.len() * jobs <= CHOICES_MAX || !all.iter().any(has_server) {
        return None;
    }
    let half = context.workload.link.round_trip.half();
    let count = jobs as u64;
    let (solution, counts) = identical_of(all, count, half, leaves)?;
    if limit.is_some_and(|limit| solution.makespan >= limit) {
        return Some(Listed::Longer);
    }
    let (arrival, _) = least(&sketches, |times| times.has_suffix, |times| times.sent_alone)?;
    let (latency, quickest) = least(&sketches, |_| true, |times| times.latency(half))?;
    let mut bound = load_bound_of(all, count, context.executors, half, arrival + half);
    if let Some(local) = all.iter().find(|s| !s.has_suffix) {
        bound.time = bound.time.min(local.device * count);
    }
    bound.time = bound.time.max(latency).max(solution.lower_bound);

    let mut picked: Vec<usize> = (0..all.len()).filter(|&p| counts[p] > 0).collect();
    picked.extend(all.iter().position(|s| !s.has_suffix));
    picked.push(quickest);
    picked.extend(lower_hull(all, |s| (s.device, s.uplink)));
    picked.extend(cheapest(&sketches, context.executors, &bound));
    picked.extend(best_single(context, &sketches, count)?);
    picked.sort_by_key(|&p| (all[p].device, all[p].uplink, p));
    picked.dedup();
    let modes: Vec<Mode> = picked.iter().map(|&p| sketches.mode(p)).collect::<Option<_>>()?;
    let counts = vec![picked.iter().map(|&p| counts[p]).collect()];
    let problem = problem_of(context, modes)?;
    let sends_early = all.iter().any(Times::sends_early);
    let identical = (solution, counts);
    Some(Listed::Short(Box::new(Shortlist { problem, bound, identical, sends_early })))
}

fn problem_of<'c>(context: &'c Context<'c>, modes: Vec<Mode>) -> Option<Problem<'c>> {
    context.problem(|_, _| ModeSet { modes: modes.clone(), is_complete: false })
}

/// The least time of a mode and its position; of equal ones the one with the least device time.
/// Modes are built in full only where their sketches do not tell.
fn least(
    sketches: &Sketches<'_>,
    is_asked: impl Fn(&Times) -> bool,
    time: impl Fn(&Times) -> Time,
) -> Option<(Time, usize)> {
    let key = |times: &Times, position: usize| (time(times), times.device, position);
    let asked = sketches.all.iter().enumerate().filter(|(_, times)| is_asked(times));
    let (several, one): (Vec<_>, Vec<_>) = asked.partition(|(_, times)| times.parcel_count > 1);
    let mut best = one.into_iter().map(|(p, times)| key(times, p)).min();
    for (position, times) in several {
        if best.is_none_or(|b| key(times, position) < b)
            && let Some(mode) = sketches.mode(position)
        {
            let found = key(&mode, position);
            best = best.map_or(Some(found), |b| Some(b.min(found)));
        }
    }
    best.map(|(time, _, position)| (time, position))
}

/// The modes cheapest at the bound's prices that no cheaper one can replace in every schedule.
fn cheapest(sketches: &Sketches<'_>, executors: Option<u64>, bound: &LoadBound) -> Vec<usize> {
    let all = &sketches.all;
    let price = |p: usize| weighted(bound.prices, loads(&all[p], executors));
    // A heap, since few of thousands are wanted.
    let mut order: BinaryHeap<_> = (0..all.len()).map(|p| Reverse((price(p), p))).collect();
    let mut found: Vec<(usize, Mode)> = Vec::with_capacity(TRIED_MAX);
    while found.len() < TRIED_MAX
        && let Some(Reverse((_, position))) = order.pop()
    {
        if let Some(mode) = sketches.mode(position)
            && !found.iter().any(|(_, cheaper)| dominates(cheaper, &mode))
        {
            found.push((position, mode));
        }
    }
    found.into_iter().map(|(position, _)| position).collect()
}

/// The mode that is best if all jobs take the same one.
fn best_single(
    context: &Context<'_>,
    sketches: &Sketches<'_>,
    count: u64,
) -> Option<Option<usize>> {
    let half = context.workload.link.round_trip.half();
    let all = &sketches.all;
    let at_least = |s: &Times| {
        let [device, uplink, server, download] =
            loads(s, context.executors).map(Time::from_nanoseconds);
        if !s.has_suffix {
            return device * count;
        }
        let sent = (s.lead + uplink * count).max(s.sending * count + s.trail) + s.tail(half);
        let made = s.arrival(half) + server * count + s.download.unwrap_or_default() + half;
        sent.max(device * count).max(made).max(download * count)
    };
    let mut order: BinaryHeap<_> =
        (0..all.len()).map(|p| Reverse((at_least(&all[p]), p))).collect();
    let mut best: Option<(Time, usize)> = None;
    while let Some(Reverse((least, _))) = order.peek()
        && best.is_none_or(|(makespan, _)| *least < makespan)
    {
        let next = std::iter::from_fn(|| order.pop());
        let portion: Vec<usize> = next.take(SINGLE_TRIED).map(|Reverse((_, p))| p).collect();
        let modes = portion.iter().map(|&p| sketches.mode(p)).collect::<Option<Vec<_>>>()?;
        let problem = problem_of(context, modes)?;
        for rule in Rule::ALL {
            let line = Line::new(&problem, rule);
            for (mode, &position) in portion.iter().enumerate() {
                let counts = vec![problem.classes[0].all_in(mode)];
                let makespan = Mix::new(&line, counts).makespan();
                if best.is_none_or(|(b, _)| makespan < b) {
                    best = Some((makespan, position));
                }
            }
        }
    }
    Some(best.map(|(_, position)| position))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_plan;
    use crate::instances::{Shape, fill, general, unit_link, wide, workload};
    use crate::joint::identical::{LEAVES, identical};
    use crate::options::{Granularity, PlanOptions, Policy};
    use crate::partition::modes;
    use crate::policy::plan;
    use crate::testing::encode_some;
    use crate::units::TIME_MAX;
    use crate::workload::{ModelGraph, Workload};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::num::NonZeroU32;

    const GRANULARITIES: [Granularity; 2] = [Granularity::Job, Granularity::Layer];

    fn served(model: ModelGraph, jobs: usize) -> Workload {
        let mut link = unit_link();
        link.round_trip = Time::from_nanoseconds(4);
        workload(vec![model], &[jobs], link, NonZeroU32::new(1))
    }

    /// A small model; every third with encodings.
    fn model(seed: u64) -> ModelGraph {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = if seed.is_multiple_of(2) { general(&mut rng, 5) } else { wide(4) };
        let mut model = fill(&mut rng, "m", &shape, 25, 1);
        if seed.is_multiple_of(3) {
            encode_some(&mut rng, &mut model);
        }
        model
    }

    /// Streams of as many layers each, and one layer that joins them.
    fn streams(count: usize, layers: usize) -> Shape {
        let mut shape: Shape = Vec::new();
        for _ in 0..count {
            for l in 0..layers {
                shape.push(if l == 0 { vec![] } else { vec![shape.len() - 1] });
            }
        }
        shape.push((1..=count).map(|s| s * layers - 1).collect());
        shape
    }

    #[test]
    fn the_bounds_of_sketches_are_below_every_plan() {
        for seed in 0..60 {
            for granularity in GRANULARITIES {
                let place = format!("seed {seed} {granularity}");
                let few = served(model(seed), 3);
                let context = Context::new(&few, granularity);
                let (pricer, jobs) = context.only_class().expect("one model");
                let Sketches { all, .. } = Sketches::list(pricer).expect("few modes");
                let count = jobs as u64;
                let half = few.link.round_trip.half();
                let sent = all.iter().filter(|s| s.has_suffix);
                let arrival = sent.map(|s| s.sent_alone).min().unwrap_or_default() + half;
                let of_loads = load_bound_of(&all, count, context.executors, half, arrival);
                let local = all.iter().find(|s| !s.has_suffix).map(|s| s.device * count);
                let of_loads = of_loads.time.min(local.unwrap_or(TIME_MAX));
                let of_counts = identical_of(&all, count, half, LEAVES).map(|(s, _)| s.lower_bound);
                let optimum = plan(&few, Policy::Exhaustive, &PlanOptions::raw(granularity))
                    .expect("few choices")
                    .makespan;
                assert!(of_loads <= optimum, "{of_loads} above {optimum}: {place}");
                assert!(of_counts.is_none_or(|b| b <= optimum), "{of_counts:?}: {place}");
            }
        }
    }

    /// Dominated modes among them or not: nothing changes if all are in sequence, and the bound of
    /// more choices is no larger if neither are. Where only the dominated ones are not, the two
    /// bounds come from different relaxations and either can be the larger.
    #[test]
    fn dominated_modes_change_no_bound_of_counts_in_sequence_and_raise_none() {
        let mut seen = [0; 2];
        for seed in 0..60 {
            for granularity in GRANULARITIES {
                let place = format!("seed {seed} {granularity}");
                let many = served(model(seed), 20);
                let half = many.link.round_trip.half();
                let context = Context::new(&many, granularity);
                let (pricer, jobs) = context.only_class().expect("one model");
                let Sketches { all, .. } = Sketches::list(pricer).expect("few modes");
                let problem = context.problem(|_, p| modes(p, context.executors)).expect("modes");
                let of_modes = identical(&problem, LEAVES).map(|(s, _)| s.lower_bound);
                let of_sketches =
                    identical_of(&all, jobs as u64, half, LEAVES).map(|(s, _)| s.lower_bound);
                let of_mode = |m: &Mode| (1..=m.all_parcels()).all(|p| m.before(p) == m.device);
                let are_modes_in_sequence = problem.all_modes().all(|(_, m)| of_mode(m));
                match (all.iter().all(|s| s.lead == s.device), are_modes_in_sequence) {
                    (true, true) => assert_eq!(of_sketches, of_modes, "{place}"),
                    (false, false) => assert!(of_sketches <= of_modes, "{place}"),
                    (_, _) => continue,
                }
                seen[usize::from(are_modes_in_sequence)] += 1;
            }
        }
        assert!(seen.iter().all(|&n| n > 30), "{seen:?}");
    }

    #[test]
    fn plans_from_a_shortlist_are_valid_and_behind_no_policy() {
        for seed in 0..6 {
            let mut makespans = Vec::new();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let workload = served(fill(&mut rng, "m", &streams(4, 4), 12, 1), 20);
            for granularity in GRANULARITIES {
                let place = format!("seed {seed} {granularity}");
                let context = Context::new(&workload, granularity);
                let Some(Listed::Short(listed)) = shortlist(&context, LEAVES, None) else {
                    panic!("625 cuts are many for 20 jobs");
                };
                assert!(listed.problem.classes[0].modes.len() < 200, "{place}");
                let planned = |policy| plan(&workload, policy, &PlanOptions::raw(granularity));
                let joint = planned(Policy::Joint).expect("it can be planned");
                assert_eq!(check_plan(&workload, &joint), [], "{place}");
                for policy in Policy::ALL {
                    let Ok(other) = planned(policy) else { continue };
                    assert!(joint.makespan <= other.makespan, "{policy}: {place}");
                    assert!(joint.lower_bound <= other.makespan, "{policy}: {place}");
                }
                makespans.push(joint.makespan);
            }
            assert!(
                makespans.is_sorted_by(|job, layer| layer <= job),
                "seed {seed}: {makespans:?}"
            );
        }
    }
}
