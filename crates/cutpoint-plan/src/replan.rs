//! A new plan for the same jobs when the uplink's bandwidth has changed.
//!
//! The cost of a cut on the device and on the server does not depend on the link, and which cuts are
//! worth considering hardly does: with transfer times in proportion to bytes, a cut that another
//! one beats is beaten at every bandwidth, and the hull keeps its vertices; only the point where
//! device and uplink balance moves along it. So the cuts are listed once, and a change of bandwidth
//! only reprices them.
//!
//! Paper: section 5.7.

use crate::bound::{lower_bound, quick_bound};
use crate::joint::best_mix::best_mix_within;
use crate::joint::identical::identical;
use crate::joint::mix::{Rule, RuledMix};
use crate::options::{Granularity, LEAST_GAIN, Objective, Policy};
use crate::partition::modes;
use crate::plan::{Partition, Plan, Upload};
use crate::policy::budget::{REPLAN_EVALUATIONS, REPLAN_LEAVES};
pub use crate::problem::Backlog;
use crate::problem::{Context, Counts, Mode, ModeSet, Pricer, Problem};
use crate::simulate::plan_of;
use crate::units::{Bandwidth, Time};
use crate::workload::{ModelId, Workload};

/// A workload whose cuts are listed.
#[derive(Debug)]
pub struct Replanner<'w> {
    context: Context<'w>,
    cuts: Vec<ModeSet>,
}

impl<'w> Replanner<'w> {
    /// Lists the cuts of a workload; `None` if some job cannot be done at all. Takes as long as
    /// planning does.
    pub fn new(workload: &'w Workload, granularity: Granularity) -> Option<Replanner<'w>> {
        let context = Context::new(workload, granularity);
        let executors = context.executors;
        Replanner::listed(context, |pricer| modes(pricer, executors))
    }

    /// A workload whose jobs take one of these cuts and no other; `None` if the jobs of some model
    /// have none of them. Takes as long as pricing the cuts does.
    pub fn of_cuts(
        workload: &'w Workload,
        granularity: Granularity,
        cuts: &[(ModelId, Partition)],
    ) -> Option<Replanner<'w>> {
        let context = Context::new(workload, granularity);
        Replanner::listed(context, |pricer| {
            let is_own =
                |model: &ModelId| std::ptr::eq(&workload.models[model.index()], pricer.model);
            let own = cuts.iter().filter(|(model, _)| is_own(model)).map(|(_, cut)| cut);
            let mode = |cut: &Partition| {
                let mut uploads = cut.uploads.clone();
                uploads.sort_by_key(|upload| upload.tensor);
                pricer.mode(cut.device_layers.clone(), uploads)
            };
            let mut modes: Vec<Mode> = own.filter_map(mode).collect();
            modes.sort_by_key(|mode| mode.device);
            modes.dedup_by(|a, b| a.layers == b.layers && a.uploads == b.uploads);
            ModeSet { modes, is_complete: false }
        })
    }

    fn listed(
        context: Context<'w>,
        modes: impl Fn(&Pricer<'w>) -> ModeSet,
    ) -> Option<Replanner<'w>> {
        let classes = context.problem(|_, pricer| modes(pricer))?.classes.into_iter();
        let cuts = classes.map(|c| ModeSet { modes: c.modes, is_complete: c.is_complete });
        Some(Replanner { cuts: cuts.collect(), context })
    }

    /// Chooses cuts and order at another bandwidth of the uplink, as `joint` does but for its
    /// comparison with other policies; `None` if some job cannot be done at all.
    ///
    /// O(cuts^2) for jobs of one model, whatever their number.
    pub fn replan(&mut self, uplink: Bandwidth) -> Option<Replan<'_>> {
        self.replan_behind(uplink, Backlog::default(), &[])
    }

    /// The same for jobs that come after others: machines turn to them when they have done their
    /// backlog. The jobs keep their `present` cuts, which are given in the order of the workload,
    /// unless other cuts save more than [`LEAST_GAIN`] of the makespan at the new bandwidth; an empty
    /// list stands for no cuts worth keeping.
    pub fn replan_behind(
        &mut self,
        uplink: Bandwidth,
        behind: Backlog,
        present: &[&Partition],
    ) -> Option<Replan<'_>> {
        self.context.set_uplink(uplink);
        let link = self.context.workload.link;
        // A fixed cost for each message could make fewer messages better than fewer bytes.
        let keeps_order = link.message_overhead == Time::ZERO && link.uplink.mbit_per_s() > 0.0;
        let mut problem = self.context.problem(|class, pricer| {
            let ModeSet { modes, is_complete } = &self.cuts[class];
            let again = |m: &Mode| pricer.priced_again(m);
            let modes = modes.iter().filter_map(again).collect();
            ModeSet { modes, is_complete: *is_complete && keeps_order }
        })?;
        problem.leave_out_longer_segments();
        let known = identical(&problem, REPLAN_LEAVES);
        let mut bound = match &known {
            Some(_) => quick_bound(&problem),
            None => lower_bound(&problem),
        };
        if let Some((solution, _)) = known.as_ref().filter(|_| problem.is_complete) {
            bound.time = bound.time.max(solution.lower_bound);
        }
        if behind != Backlog::default() {
            problem.behind = behind;
            // Even a single job may find the server at work.
            problem.executors = problem.workload.executors.map(|k| u64::from(k.get()));
        }
        let known = known.as_ref().map(|(_, c)| c);
        let mut mix = best_mix_within(&problem, &bound, known, REPLAN_EVALUATIONS);
        if let Some(present) = counts_of(&problem, present) {
            let tried = Rule::ALL.map(|rule| RuledMix::new(&problem, present.clone(), rule));
            let as_it_is = tried.into_iter().min_by_key(|mix| mix.makespan)?;
            let saved = as_it_is.makespan.saturating_sub(mix.makespan).nanoseconds() as f64;
            if saved <= LEAST_GAIN * as_it_is.makespan.nanoseconds() as f64 {
                mix = as_it_is;
            }
        }
        Some(Replan { uplink, lower_bound: bound.time, mix, problem })
    }
}

/// How many jobs of each class take each mode; `None` if a job's cut is not a mode.
fn counts_of(problem: &Problem<'_>, cuts: &[&Partition]) -> Option<Counts> {
    let mut counts = Vec::with_capacity(problem.classes.len());
    for class in &problem.classes {
        let mut of_class = vec![0; class.modes.len()];
        for job in class.jobs {
            let cut = cuts.get(job.index())?;
            let is_sent = |upload: &Upload| cut.uploads.contains(upload);
            let mode = class.modes.iter().position(|mode| {
                mode.layers == cut.device_layers
                    && mode.uploads.len() == cut.uploads.len()
                    && mode.uploads.iter().all(is_sent)
            });
            of_class[mode?] += 1;
        }
        counts.push(of_class);
    }
    Some(counts)
}

/// Cuts and order at a bandwidth.
#[derive(Debug)]
pub struct Replan<'r> {
    uplink: Bandwidth,
    lower_bound: Time,
    mix: RuledMix,
    problem: Problem<'r>,
}

impl Replan<'_> {
    /// When the last job is complete, counted from the beginning of the backlog.
    pub fn makespan(&self) -> Time {
        self.mix.makespan
    }

    /// The plan in full, and the workload with the new bandwidth that it is for.
    pub fn plan(&self) -> (Workload, Plan) {
        let mut workload = self.problem.workload.clone();
        workload.link.uplink = self.uplink;
        let decision = self.mix.outline(&self.problem).decision(&self.problem);
        let granularity = self.problem.granularity;
        let (policy, objective) = (Policy::Joint, Objective::Makespan);
        let plan =
            plan_of(&workload, policy, granularity, objective, decision, |_| self.lower_bound);
        (workload, plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_plan;
    use crate::options::PlanOptions;
    use crate::policy::plan;
    use crate::testing::{Sample, arb_workload};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plan_at_another_bandwidth_is_valid_and_near_one_made_from_scratch(
            Sample(workload) in arb_workload(),
            mbps in 0.001f64..100.0,
        ) {
            let uplink = Bandwidth::from_mbit_per_s(mbps).expect("positive");
            for granularity in [Granularity::Job, Granularity::Layer] {
                let Some(mut replanner) = Replanner::new(&workload, granularity) else { continue };
                let Some(replan) = replanner.replan(uplink) else { continue };
                let (changed, found) = replan.plan();
                prop_assert_eq!(found.partitions.len(), workload.jobs.len());
                prop_assert_eq!(check_plan(&changed, &found), vec![]);
                if let Ok(scratch) = plan(&changed, Policy::Joint, &PlanOptions::raw(granularity)) {
                    prop_assert!(scratch.makespan <= found.makespan);
                }
            }
        }

        #[test]
        fn behind_a_backlog_no_present_cut_is_better_by_more_than_the_least_gain(
            Sample(workload) in arb_workload(),
            mbps in 0.001f64..100.0,
            (device, uplink, server) in (0u64..200, 0u64..200, 0u64..200),
        ) {
            let bandwidth = Bandwidth::from_mbit_per_s(mbps).expect("positive");
            let [device, uplink, server] = [device, uplink, server].map(Time::from_nanoseconds);
            let behind = Backlog { device, uplink, server };
            for granularity in [Granularity::Job, Granularity::Layer] {
                let Ok(before) = plan(&workload, Policy::Joint, &PlanOptions::raw(granularity))
                else { continue };
                let Some(mut replanner) = Replanner::new(&workload, granularity) else { continue };
                let cuts: Vec<&Partition> = before.partitions.iter().collect();
                let Some(free) = replanner.replan_behind(bandwidth, behind, &[]) else { continue };
                let (changed, found) = free.plan();
                prop_assert_eq!(check_plan(&changed, &found), vec![]);
                prop_assert!(free.makespan() >= found.lower_bound);
                let best = free.makespan();
                let Some(kept) = replanner.replan_behind(bandwidth, behind, &cuts) else { continue };
                // Either the same, or the present cuts, which are hardly worse.
                let most = best.nanoseconds() as f64 / (1.0 - LEAST_GAIN);
                prop_assert!(kept.makespan().nanoseconds() as f64 <= most + 1.0);
            }
        }

        #[test]
        fn a_plan_of_given_cuts_takes_no_other(
            Sample(workload) in arb_workload(),
            mbps in 0.001f64..100.0,
        ) {
            let uplink = Bandwidth::from_mbit_per_s(mbps).expect("positive");
            for granularity in [Granularity::Job, Granularity::Layer] {
                let known = [Policy::Joint, Policy::LocalOnly]
                    .map(|policy| plan(&workload, policy, &PlanOptions::raw(granularity)));
                let cuts: Vec<_> = known
                    .iter()
                    .flatten()
                    .flat_map(|plan| workload.jobs.iter().copied().zip(plan.partitions.clone()))
                    .collect();
                let mut replanner =
                    Replanner::of_cuts(&workload, granularity, &cuts).expect("local is a cut");
                let replan = replanner.replan(uplink).expect("local is always possible");
                let (changed, found) = replan.plan();
                prop_assert_eq!(check_plan(&changed, &found), vec![]);
                for (model, partition) in workload.jobs.iter().zip(&found.partitions) {
                    let is_same = |(m, cut): &(ModelId, Partition)| {
                        let is_sent = |u: &Upload| cut.uploads.contains(u);
                        m == model
                            && cut.device_layers == partition.device_layers
                            && partition.uploads.iter().all(is_sent)
                    };
                    prop_assert!(cuts.iter().any(is_same), "{partition:?}");
                }
            }
        }
    }
}
