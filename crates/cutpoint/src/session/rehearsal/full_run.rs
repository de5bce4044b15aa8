//! A last rehearsal of everything, where that takes little time: the plan as a whole, as it will be run.
//!
//! Layers' times are what parts of models took, and the plan was chosen because these times make it
//! short: of several plans whose times are all a little wrong, the one that looks shortest is more often
//! too short than too long. And a run takes time for what no operation has, such as the start. In a
//! long run both come to little. A short one is run through, and layers' times are scaled by what it
//! took of what was foreseen.

use super::excerpt::excerpt;
use super::options::{RehearsalOptions, planned, with_bound};
use super::rehearsal::Rehearsal;
use crate::error::Result;
use crate::input::Supply;
use crate::profile::median;
use crate::session::device_side::DeviceSide;
use crate::session::prepare::check;
use cutpoint_plan::options::Objective;
use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, Workload};

/// Plans that take longer than this are not run through.
const MAKESPAN_MAX: Time = Time::from_nanoseconds(2_000_000_000);

/// A plan is run through until this time has passed, but at most [`TIMES_MAX`] times.
const ENOUGH: Time = Time::from_nanoseconds(2_000_000_000);
const TIMES_MAX: usize = 21;

/// A single run that is off by more than this share is not believed before there is a second.
const DEVIATION_MAX: f64 = 0.03;

/// Layers are scaled by at most this factor more or less.
const SCALE_MAX: f64 = 1.25;

impl DeviceSide {
    /// Runs a short plan through, and scales the layers' times to what it takes. Cuts and orders stay as
    /// they are.
    ///
    /// # Errors
    /// As [`DeviceSide::rehearse`].
    pub(super) fn run_through(
        &self,
        mut rehearsal: Rehearsal,
        how: &RehearsalOptions<'_>,
        inputs: &dyn Supply,
    ) -> Result<Rehearsal> {
        let Rehearsal { workload, plan, prepared } = &mut rehearsal;
        let is_short = (Time::from_nanoseconds(1)..=MAKESPAN_MAX).contains(&plan.makespan);
        if plan.objective != Objective::Makespan || !is_short {
            return Ok(rehearsal);
        }
        let (mut ratios, mut spent) = (Vec::new(), Time::ZERO);
        while ratios.len() < TIMES_MAX && (spent < ENOUGH || is_single_and_off(&ratios)) {
            let execution = self.try_out(prepared, workload, how, inputs)?;
            let is_as_planned = execution.fallback_count == 0
                && execution.change_count == 0
                && execution.ended == plan.partitions.len() as u64;
            if !is_as_planned {
                return Ok(rehearsal);
            }
            spent += execution.makespan.max(plan.makespan);
            ratios.push(execution.makespan.milliseconds() / plan.makespan.milliseconds());
        }
        log::debug!("run through: {} planned, took {ratios:.3?} of it", plan.makespan);
        let (scaled, again) = scaled(workload, plan, median(&ratios));
        let bound = planned(&scaled, how)?.lower_bound;
        (*workload, *plan) = (scaled, with_bound(again, bound));
        check(workload, plan)?;
        let has_all = prepared.take_up(workload, plan)?;
        debug_assert!(has_all, "cuts and orders are the same");
        Ok(rehearsal)
    }
}

/// Whether there was one run only, and that was off.
fn is_single_and_off(ratios: &[f64]) -> bool {
    matches!(ratios, [ratio] if (ratio - 1.0).abs() > DEVIATION_MAX)
}

/// A workload and a plan for it after that took `ratio` of its makespan.
fn scaled(workload: &Workload, plan: &Plan, ratio: f64) -> (Workload, Plan) {
    let factor = ratio.clamp(1.0 / SCALE_MAX, SCALE_MAX);
    let scaled =
        |time: Time| Time::from_nanoseconds((time.nanoseconds() as f64 * factor).round() as u64);
    let workload = (workload.clone())
        .with_layer_times(|_, _, layer| (scaled(layer.device), scaled(layer.server)));
    let all: Vec<JobId> = (0..workload.jobs().len()).map(JobId::at).collect();
    excerpt(&workload, plan, &all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::rehearsal::observed_times::tests::workload;
    use cutpoint_plan::check::check_plan;
    use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
    use cutpoint_plan::policy::plan;

    #[test]
    fn rehearsed_times_change_neither_cuts_nor_orders() {
        let workload = workload();
        for granularity in [Granularity::Job, Granularity::Layer] {
            let foreseen = plan(&workload, Policy::Joint, &PlanOptions::raw(granularity))
                .expect("it can be planned");
            for (ratio, least, most) in [(0.9, 0.88, 1.0), (1.2, 1.0, 1.22), (9.0, 1.0, SCALE_MAX)]
            {
                let (scaled, again) = scaled(&workload, &foreseen, ratio);
                assert_eq!(check_plan(&scaled, &again), []);
                assert_eq!(again.partitions, foreseen.partitions);
                let order = |plan: &Plan| -> Vec<JobId> {
                    plan.schedule.device.iter().map(|operation| operation.job).collect()
                };
                assert_eq!(order(&again), order(&foreseen));
                let found = again.makespan.milliseconds() / foreseen.makespan.milliseconds();
                assert!((least..=most).contains(&found), "{found} for {ratio}");
            }
        }
    }

    #[test]
    fn without_a_link_the_time_is_that_of_the_run() {
        let workload = workload();
        let foreseen = plan(&workload, Policy::LocalOnly, &PlanOptions::raw(Granularity::Job))
            .expect("always possible");
        let (_, again) = scaled(&workload, &foreseen, 1.1);
        let found = again.makespan.milliseconds() / foreseen.makespan.milliseconds();
        assert!((found - 1.1).abs() < 1e-6, "{found}");
    }

    #[test]
    fn a_single_outlier_run_is_ignored() {
        assert!(is_single_and_off(&[1.3]) && is_single_and_off(&[0.8]));
        assert!(!is_single_and_off(&[1.01]) && !is_single_and_off(&[1.3, 1.3]));
        assert!(!is_single_and_off(&[]));
    }
}
