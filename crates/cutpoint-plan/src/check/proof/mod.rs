//! How far can a claimed lower bound be proved, by means that the planner has no part in?
//!
//! The claim is taken as a question: can any plan be shorter? Jobs are taken as a few numbers
//! ([`modes`]), and a plan as what these add up to, so that the order of jobs disappears. Plans are
//! divided into cases by which device work comes before the first transfer and what follows the
//! last device work ([`ends`]). In each case every job takes one of the modes that the case leaves,
//! and weighted loads show mostly at once that nothing is shorter ([`prices`]). Where they do not,
//! jobs are given their modes one by one ([`sums`]). For few jobs the question is put once more, to a
//! search through all orders ([`orders`]).
//!
//! Everything is counted, nothing is timed: beyond the limits named here, cases are left with what
//! weighted loads say.

mod class;
mod ends;
mod modes;
mod orders;
mod prices;
mod sums;
#[cfg(test)]
mod tests;

use crate::check::bound::{Cuts, load_bound};
use crate::options::Granularity;
use crate::units::Time;
use crate::workload::{ModelGraph, Workload};
use class::Class;
use ends::Ends;
use modes::Mode;
use orders::Jobs;
use prices::{Weights, heaviest, time_of, total, weighted};

/// Steps of [`sums`] that a proof may take, each a job in one more mode.
const STEPS_MAX: u64 = 5_000_000;

/// Steps of [`orders`] that a proof may take, each a transfer.
const TRANSFERS_MAX: u64 = 1_000_000;

/// With more jobs than this their orders are not searched.
const ORDERED_JOBS_MAX: usize = 12;

/// Looks at a mode that the division into cases may take.
const LOOKS_MAX: usize = 3_000_000;

/// The most cases in either direction.
const CASES_MAX: usize = 48;

/// With more jobs than this they are not given their modes one by one.
const SUMS_JOBS_MAX: usize = 1_000;

/// A time that no plan at this granularity is shorter than; `claim`, if that can be proved.
///
/// O(modes x cases) and at most three million steps with some dozen weights each.
pub fn proved_bound(workload: &Workload, granularity: Granularity, claim: Time) -> Time {
    let plain = load_bound(workload, granularity);
    if plain >= claim {
        return plain;
    }
    plain.max(Proof::new(workload, granularity, claim).map_or(Time::ZERO, |p| p.bound()))
}

/// What is to be shown, and what the jobs can do.
struct Proof<'w> {
    workload: &'w Workload,
    granularity: Granularity,
    claim: u64,
    /// Half the round trip.
    half: u64,
    models: Vec<(u64, Vec<Mode>)>,
    cuts: Vec<(&'w ModelGraph, Cuts)>,
    /// The device time of all jobs, if none needs the server.
    local: u64,
    /// Whether all jobs that use the server have the same time left after their transfers.
    same_tails: bool,
}

impl<'w> Proof<'w> {
    /// `None` if some model has too many cuts.
    fn new(workload: &'w Workload, granularity: Granularity, claim: Time) -> Option<Proof<'w>> {
        let counts = workload.job_counts();
        let (mut models, mut all_cuts) = (Vec::new(), Vec::new());
        let mut local = 0u64;
        for (model, &count) in workload.models.iter().zip(&counts).filter(|(_, c)| **c > 0) {
            let cuts = Cuts::of(workload, model, count)?;
            let modes = modes::modes_of(workload, &cuts, granularity, claim.nanoseconds())?;
            let device: Time = model.layers.iter().map(|l| l.device).sum();
            local = local.saturating_add(device.nanoseconds().saturating_mul(count));
            models.push((count, modes));
            all_cuts.push((model, cuts));
        }
        let sending = || models.iter().flat_map(|(_, modes)| modes).filter(|m| m.lead.is_some());
        let same_tails = sending().all(|m| Some(m.tail) == sending().map(|m| m.tail).next());
        let half = workload.link.round_trip.half().nanoseconds();
        let (claim, cuts) = (claim.nanoseconds(), all_cuts);
        Some(Proof { workload, granularity, claim, half, local, same_tails, models, cuts })
    }

    /// The claim or, as far as proved, less.
    fn bound(&self) -> Time {
        // A job without modes cannot be done in time.
        let is_hopeless = self.models.iter().any(|(_, modes)| modes.is_empty());
        let most = self.claim.min(self.local);
        let mut proved = most;
        if !is_hopeless {
            let (mut steps, mut known) = (STEPS_MAX, None);
            for case in self.cases() {
                let found = self.bound_of(&case, proved, &mut known, &mut steps);
                proved = proved.min(found);
            }
            if proved < most {
                proved = proved.max(self.bound_of_orders(most, known).unwrap_or(0));
            }
        }
        Time::from_nanoseconds(proved)
    }

    /// A bound on all plans that use the server, at most `enough`, by going through their orders.
    fn bound_of_orders(&self, enough: u64, known: Option<Weights>) -> Option<u64> {
        if self.workload.jobs.len() > ORDERED_JOBS_MAX {
            return None;
        }
        let jobs = self.cuts.iter().zip(&self.models).map(|((model, cuts), &(count, _))| {
            Jobs::new(self.workload, model, cuts, self.granularity, count)
        });
        let jobs: Vec<Jobs> = jobs.collect::<Option<_>>()?;
        let weights = known.unwrap_or([1, 1, 1, 1]);
        orders::bound(self.workload, &jobs, &weights, enough, TRANSFERS_MAX)
    }

    /// The case's modes; `None` if some job has none.
    fn classes(&self, case: &Ends) -> Option<Vec<Class<'_>>> {
        let classes = self.models.iter().map(|(count, modes)| {
            let modes: Vec<&Mode> =
                modes.iter().filter(|m| case.allows(m, self.same_tails)).collect();
            (!modes.is_empty()).then_some(Class { count: *count, modes })
        });
        classes.collect()
    }

    /// A bound on all plans of a case that use the server, at most `enough`. `known` are weights
    /// that were good in another case.
    fn bound_of(
        &self,
        case: &Ends,
        enough: u64,
        known: &mut Option<Weights>,
        steps: &mut u64,
    ) -> u64 {
        let Some(mut classes) = self.classes(case) else { return enough };
        let least = case.least(&classes, self.same_tails);
        if least.lead == u64::MAX {
            return enough;
        }
        let idle = least.idle(self.half);
        let quick = |weights: &Weights| {
            let extra = case.extra(&classes, weights, self.same_tails);
            time_of(total(&classes, &idle, weights) + extra, weights)
        };
        if known.is_some_and(|weights| quick(&weights) >= enough) {
            return enough;
        }
        let weights = heaviest(&classes, &idle);
        *known = Some(weights);
        let bound = quick(&weights);
        if bound >= enough {
            return enough;
        }
        // Modes so heavy that one job in them is one too many.
        let base = total(&classes, &idle, &weights);
        for class in &mut classes {
            let least = class.modes.iter().map(|m| weighted(&weights, &m.loads)).min();
            let spare = base - least.unwrap_or(0);
            class
                .modes
                .retain(|m| time_of(spare + weighted(&weights, &m.loads), &weights) < enough);
            if class.modes.is_empty() {
                return enough;
            }
        }
        let jobs: u64 = classes.iter().map(|c| c.count).sum();
        if jobs > SUMS_JOBS_MAX as u64 {
            return bound;
        }
        let question = sums::Question { half: self.half, same_tails: self.same_tails, enough };
        sums::bound(&classes, &weights, &question, steps).max(bound)
    }

    /// Cases that together hold every plan that uses the server.
    fn cases(&self) -> Vec<Ends> {
        let modes = || self.models.iter().flat_map(|(_, modes)| modes);
        let each = modes().count().max(1);
        let most = ((LOOKS_MAX / each / 64).isqrt()).clamp(1, CASES_MAX);
        ends::cases(modes(), self.same_tails, most)
    }
}
