//! Plans, executes some jobs as planned, and re-plans from the measured times.

use super::excerpt::{chosen, excerpt};
use super::observed_times::Observed;
use super::options::{RehearsalOptions, planned, with_bound};
use super::whole_jobs::is_divided_for_little;
use crate::device::{Prepared, RunOptions, Segments, segments_for};
use crate::error::Result;
use crate::input::{OnDemand, Supply};
use crate::session::device_side::DeviceSide;
use crate::session::prepare::check;
use crate::trace::Execution;
use cutpoint_plan::options::Policy;
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::with_least_gain;
use cutpoint_plan::replan::Replanner;

use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, Workload};

/// The most rehearsal rounds.
const ROUNDS_MAX: usize = 3;

/// A plan with cuts that were not rehearsed is rehearsed if it promises at least this much more.
const GAIN_MIN: f64 = 0.01;

/// Rounds of short jobs take about this long: fewer jobs would end before all machines are
/// busy.
const ROUND_MIN: Time = Time::from_nanoseconds(500_000_000);

/// Rounds of long jobs take about this long, but include jobs of each cut.
const ROUND_MAX: Time = Time::from_nanoseconds(5_000_000_000);

/// A plan whose cuts were executed, ready to run.
pub(in crate::session) struct Rehearsal {
    /// The workload with the layers' times as they were.
    pub(in crate::session) workload: Workload,
    /// The plan by these times.
    pub(in crate::session) plan: Plan,
    /// The segments that the plan needs, loaded and warm.
    pub(in crate::session) prepared: Prepared,
}

impl DeviceSide {
    /// Plans a workload, executes some of its jobs as that plan has them, and plans again from what
    /// they took, until the plan has no cut that was not executed.
    ///
    /// `inputs` has those of each job of the workload.
    ///
    /// # Errors
    /// Those of planning, preparing and executing.
    pub(in crate::session) fn rehearse(
        &self,
        workload: &Workload,
        how: &RehearsalOptions<'_>,
        inputs: &dyn Supply,
    ) -> Result<Rehearsal> {
        let mut observed = Observed::default();
        let (mut now, mut best) = (workload.clone(), planned(workload, how)?);
        let undivided = self.rehearse_undivided(workload, &best, how, inputs)?;
        let mut prepared = self.load(&now, &best)?;
        for round in 1.. {
            self.rehearse_once(&mut prepared, (&now, &best), how, inputs, &mut observed)?;
            now = observed.applied_to(workload);
            let free = planned(&now, how)?;
            let known = if observed.has_all_of(&now, &free) {
                Some(free.clone())
            } else {
                of_known_cuts(&now, &free, how, &observed)
            };
            let is_near = known.as_ref().is_some_and(|known| {
                let promised = free.makespan.nanoseconds() as f64;
                known.makespan.nanoseconds() as f64 * (1.0 - GAIN_MIN) <= promised
            });
            let is_last = round == ROUNDS_MAX || is_near;
            best = known.filter(|_| is_last).unwrap_or(free);
            if is_last {
                best = with_least_gain(&now, best, &how.plan);
            }
            log::debug!("rehearsal {round}: {} planned, {is_near}", best.makespan);
            check(&now, &best)?;
            if is_divided_in_vain(&prepared, &now, &best)? || !prepared.take_up(&now, &best)? {
                // What was loaded goes first: weights are held once.
                drop(prepared);
                prepared = self.load(&now, &best)?;
            }
            if is_last {
                break;
            }
        }
        let rehearsal = Rehearsal { workload: now, plan: best, prepared };
        let rehearsal = match undivided {
            Some((now, whole)) if is_divided_for_little(&rehearsal.plan, &whole) => {
                drop(rehearsal);
                self.of_whole_jobs(now, whole, how)?
            }
            _ => rehearsal,
        };
        self.run_through(rehearsal, how, inputs)
    }

    /// What is run if cuts save too little: a plan of whole jobs in the place of one by `how.policy`.
    fn of_whole_jobs(
        &self,
        workload: Workload,
        whole: Plan,
        how: &RehearsalOptions<'_>,
    ) -> Result<Rehearsal> {
        let plan = with_bound(whole, planned(&workload, how)?.lower_bound);
        let plan = Plan { policy: how.policy, ..plan };
        let plan = with_least_gain(&workload, plan, &how.plan);
        log::debug!("models are not divided: {} planned", plan.makespan);
        check(&workload, &plan)?;
        let prepared = self.load(&workload, &plan)?;
        Ok(Rehearsal { workload, plan, prepared })
    }

    /// Executes some jobs of a plan as it has them, and adds what they took to `observed`.
    pub(super) fn rehearse_once(
        &self,
        prepared: &mut Prepared,
        (workload, plan): (&Workload, &Plan),
        how: &RehearsalOptions<'_>,
        inputs: &dyn Supply,
        observed: &mut Observed,
    ) -> Result<()> {
        let [least, most] = [ROUND_MIN, ROUND_MAX].map(|time| jobs_within(time, plan));
        let jobs = chosen(workload, plan, how.jobs.clamp(least, most));
        let (few, part) = excerpt(workload, plan, &jobs);
        let inputs = OnDemand::new(jobs.len(), |number| inputs.inputs(jobs[number].index()));
        let on_outputs = |job: JobId, outputs| (how.on_outputs)(jobs[job.index()], outputs);
        let how = RehearsalOptions { on_outputs: &on_outputs, ..*how };
        let execution = match prepared.loaded.program(&few, &part)? {
            Some(program) => {
                let whole = std::mem::replace(&mut prepared.program, program);
                let execution = self.try_out(prepared, &few, &how, &inputs);
                prepared.program = whole;
                execution?
            }
            None => self.try_out(&mut self.prepare(&few, &part, &[])?, &few, &how, &inputs)?,
        };
        observed.add(&few, &part, &execution);
        Ok(())
    }

    pub(super) fn try_out(
        &self,
        prepared: &mut Prepared,
        workload: &Workload,
        how: &RehearsalOptions<'_>,
        inputs: &dyn Supply,
    ) -> Result<Execution> {
        let options = RunOptions::default();
        self.execute_batch(prepared, workload, inputs, None, options, how.on_outputs)
    }
}

/// About how many jobs of a plan are done within a time.
fn jobs_within(time: Time, plan: &Plan) -> usize {
    let all = plan.partitions.len();
    if plan.makespan <= time {
        return all;
    }
    let share = time.nanoseconds() as f64 / plan.makespan.nanoseconds() as f64;
    (all as f64 * share).ceil() as usize
}

/// Whether a plan that keeps everything on the device would run in the pieces that an earlier one
/// needed: whole models are faster.
fn is_divided_in_vain(prepared: &Prepared, workload: &Workload, plan: &Plan) -> Result<bool> {
    if plan.partitions.iter().any(|partition| !partition.uploads.is_empty()) {
        return Ok(false);
    }
    let count = |segments: &Segments| segments.iter().map(Vec::len).sum::<usize>();
    Ok(count(&prepared.loaded.segments) > count(&segments_for(&[(workload, plan)])?))
}

/// The best plan that has no cut which was not executed, with the bound of the plan that is free to
/// have any; `None` where the policy does not choose among all cuts.
fn of_known_cuts(
    workload: &Workload,
    free: &Plan,
    how: &RehearsalOptions<'_>,
    observed: &Observed,
) -> Option<Plan> {
    if how.policy != Policy::Joint {
        return None;
    }
    let mut replanner = Replanner::of_cuts(workload, how.plan.granularity, observed.cuts())?;
    let (_, plan) = replanner.replan(workload.link().uplink)?.plan();
    Some(with_bound(plan, free.lower_bound))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::rehearsal::observed_times::tests::workload;
    use cutpoint_plan::options::{Granularity, PlanOptions};
    use cutpoint_plan::policy::plan;

    #[test]
    fn short_jobs_are_rehearsed_until_a_round_is_full() {
        let workload = workload();
        let local = plan(&workload, Policy::LocalOnly, &PlanOptions::raw(Granularity::Layer))
            .expect("always possible");
        assert_eq!(local.makespan, Time::from_nanoseconds(9 * 12_000_000));
        for (ms, jobs) in [(0, 0), (12, 1), (13, 2), (60, 5), (108, 9), (1_000, 9)] {
            assert_eq!(jobs_within(Time::from_nanoseconds(ms * 1_000_000), &local), jobs);
        }
    }
}
