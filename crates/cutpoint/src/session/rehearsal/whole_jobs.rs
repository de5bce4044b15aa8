//! Whole jobs, each on the device or on the server, where dividing models promises little.
//!
//! A model in pieces takes longer than in one: the engine cannot fuse what lies on two sides of a cut.
//! Rehearsals of a plan with cuts execute pieces only, and so never see what whole models take. Where
//! cuts are not foreseen to save much, whole jobs are rehearsed as well, and the better one is run.

use super::observed_times::Observed;
use super::options::{RehearsalOptions, planned};
use crate::error::Result;
use crate::input::Supply;
use crate::session::device_side::DeviceSide;
use cutpoint_plan::options::{LEAST_GAIN, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::workload::Workload;

/// Where cuts promise more than this, whole jobs are not tried: models in pieces take up to 9 % longer
/// than in one (`cutpoint-eval split-cost` on the zoo's networks).
const DIVISION_COST_MAX: f64 = 0.1;

impl DeviceSide {
    /// Plans and rehearses whole jobs, if `divided`, a plan by joint, does not promise much more than
    /// they do; gives the workload with the times as they were, and the plan for it.
    ///
    /// # Errors
    /// As [`DeviceSide::rehearse`].
    pub(super) fn rehearse_undivided(
        &self,
        workload: &Workload,
        divided: &Plan,
        how: &RehearsalOptions<'_>,
        inputs: &dyn Supply,
    ) -> Result<Option<(Workload, Plan)>> {
        let is_candidate = divided.policy == Policy::Joint && divides_a_model(divided);
        if !is_candidate {
            return Ok(None);
        }
        let how = RehearsalOptions { policy: Policy::ScheduleOnly, ..*how };
        let whole = planned(workload, &how)?;
        if !is_within(divided, DIVISION_COST_MAX, &whole) {
            return Ok(None);
        }
        let mut prepared = self.prepare(workload, &whole, &[])?;
        let mut observed = Observed::default();
        self.rehearse_once(&mut prepared, (workload, &whole), &how, inputs, &mut observed)?;
        let now = observed.applied_to(workload);
        let whole = planned(&now, &how)?;
        Ok(Some((now, whole)))
    }
}

/// Whether a plan's cuts save too little to divide models for them.
pub(super) fn is_divided_for_little(divided: &Plan, whole: &Plan) -> bool {
    divides_a_model(divided) && is_within(divided, LEAST_GAIN, whole)
}

/// Whether some job runs in part on the device and in part on the server.
fn divides_a_model(plan: &Plan) -> bool {
    plan.partitions.iter().any(|p| !p.uploads.is_empty() && !p.device_layers.is_empty())
}

/// Whether `plan` takes less than `other` by no more than this share of it.
fn is_within(plan: &Plan, share: f64, other: &Plan) -> bool {
    let least = other.makespan.nanoseconds() as f64 * (1.0 - share);
    plan.makespan.nanoseconds() as f64 > least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::rehearsal::observed_times::tests::workload;
    use cutpoint_plan::options::{Granularity, PlanOptions};
    use cutpoint_plan::policy::plan;
    use cutpoint_plan::units::{Bandwidth, Time};

    const MS: Time = Time::from_nanoseconds(1_000_000);

    #[test]
    fn models_are_divided_only_for_what_it_costs_to_divide_them() {
        let options = PlanOptions::raw(Granularity::Layer);
        let mut found = Vec::new();
        for mbps in [0.5, 2.0, 8.0, 16.0, 64.0, 400.0] {
            let mut workload = workload();
            workload.set_uplink(Bandwidth::from_mbit_per_s(mbps).expect("positive"));
            let [joint, whole] = [Policy::Joint, Policy::ScheduleOnly]
                .map(|policy| plan(&workload, policy, &options).expect("it can be planned"));
            let gain = 1.0 - joint.makespan.milliseconds() / whole.makespan.milliseconds();
            let expected = divides_a_model(&joint) && gain < LEAST_GAIN;
            assert_eq!(is_divided_for_little(&joint, &whole), expected, "{mbps}: {gain}");
            assert!(!is_divided_for_little(&whole, &whole), "whole jobs divide nothing");
            // What whole jobs took may be less than what was foreseen for jobs in pieces.
            let quick = Plan { makespan: joint.makespan.saturating_sub(MS), ..whole };
            assert_eq!(is_divided_for_little(&joint, &quick), divides_a_model(&joint));
            found.push(divides_a_model(&joint));
        }
        assert!(found.contains(&true), "{found:?}");
    }
}
