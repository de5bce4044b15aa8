//! Which jobs of a plan are tried out, and the plan for them alone.

use cutpoint_plan::plan::{Partition, Plan, Work};
use cutpoint_plan::simulate::{Decision, plan_of};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, ModelId, Workload};
use std::collections::HashMap;

/// How many jobs of each cut are executed, if the plan has that many.
const JOBS_OF_CUT: usize = 2;

/// Some jobs of a plan in the order in which it begins them: `most` from the first to the last, since
/// both ends of a plan have cuts of their own, and some of every cut.
pub(super) fn chosen(workload: &Workload, plan: &Plan, most: usize) -> Vec<JobId> {
    let order = plan.jobs_in_order();
    let mut by_cut: HashMap<(ModelId, &Partition), Vec<JobId>> = HashMap::new();
    for &job in &order {
        let cut = (workload.jobs()[job.index()], &plan.partitions[job.index()]);
        by_cut.entry(cut).or_default().push(job);
    }
    let of_cuts = by_cut.values().flat_map(|jobs| evenly_chosen(jobs, JOBS_OF_CUT));
    let mut taken: Vec<JobId> = of_cuts.collect();
    let missing = most.saturating_sub(taken.len());
    let others: Vec<JobId> = order.iter().copied().filter(|job| !taken.contains(job)).collect();
    taken.extend(evenly_chosen(&others, missing));
    order.into_iter().filter(|job| taken.contains(job)).collect()
}

/// At most `most` of some jobs, from the first to the last.
fn evenly_chosen(jobs: &[JobId], most: usize) -> Vec<JobId> {
    let chosen = jobs.len().min(most);
    let steps = chosen.saturating_sub(1).max(1);
    (0..chosen).map(|k| jobs[k * (jobs.len() - 1) / steps]).collect()
}

/// Some jobs of a workload, each cut as in a plan for all, and in its order.
pub(super) fn excerpt(workload: &Workload, plan: &Plan, jobs: &[JobId]) -> (Workload, Plan) {
    let number = |job: JobId| jobs.iter().position(|&j| j == job).map(JobId::at);
    let few = workload.with_jobs(jobs.iter().map(|j| workload.jobs()[j.index()]));
    let device = plan.schedule.device.iter().filter_map(|o| Some((number(o.job)?, o.work)));
    let uplink = plan.schedule.uplink.iter().filter_map(|o| match o.work {
        Work::Transfer(tensor) => Some((number(o.job)?, tensor)),
        _ => None,
    });
    let decision = Decision {
        partitions: jobs.iter().map(|j| plan.partitions[j.index()].clone()).collect(),
        device: device.collect(),
        uplink: uplink.collect(),
        server: None,
        period: None,
    };
    let no_bound = |_| Time::ZERO;
    let (policy, granularity) = (plan.policy, plan.granularity);
    let plan = plan_of(&few, policy, granularity, plan.objective, decision, no_bound);
    (few, plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::rehearsal::observed_times::tests::workload;
    use cutpoint_plan::check::check_plan;
    use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
    use cutpoint_plan::policy::plan;

    #[test]
    fn jobs_are_chosen_from_the_first_to_the_last() {
        let jobs = |count: usize| (0..count).map(JobId::at).collect::<Vec<_>>();
        let numbers = |jobs: Vec<JobId>| jobs.iter().map(|j| j.0).collect::<Vec<_>>();
        assert_eq!(numbers(evenly_chosen(&jobs(3), 10)), [0, 1, 2]);
        assert_eq!(numbers(evenly_chosen(&jobs(30), 5)), [0, 7, 14, 21, 29]);
        assert_eq!(numbers(evenly_chosen(&jobs(30), 1)), [0]);
        assert_eq!(evenly_chosen(&[], 10), []);
    }

    #[test]
    fn an_excerpt_has_the_cuts_of_the_whole_plan() {
        let workload = workload();
        for granularity in [Granularity::Job, Granularity::Layer] {
            let whole = plan(&workload, Policy::Joint, &PlanOptions::raw(granularity))
                .expect("it can be planned");
            let order = whole.jobs_in_order();
            let all = excerpt(&workload, &whole, &order).1;
            assert_eq!(all.makespan, whole.makespan, "the whole plan is an excerpt of itself");
            let chosen = evenly_chosen(&order, 4);
            let (few, plan) = excerpt(&workload, &whole, &chosen);
            assert_eq!(check_plan(&few, &plan), []);
            for (partition, job) in plan.partitions.iter().zip(&chosen) {
                assert_eq!(*partition, whole.partitions[job.index()]);
            }
        }
    }

    #[test]
    fn jobs_of_every_cut_are_chosen() {
        let workload = workload();
        let whole = plan(&workload, Policy::Joint, &PlanOptions::raw(Granularity::Layer))
            .expect("it can be planned");
        for most in [1, 4, 9, 20] {
            let jobs = chosen(&workload, &whole, most);
            assert!(jobs.len() >= most.min(9), "{jobs:?}");
            for (j, partition) in whole.partitions.iter().enumerate() {
                let of_cut = |job: &&JobId| whole.partitions[job.index()] == *partition;
                let (all, taken) = (0..9).map(JobId).fold((0, 0), |(all, taken), job| {
                    let is_alike = of_cut(&&job);
                    let is_taken = is_alike && jobs.contains(&job);
                    (all + usize::from(is_alike), taken + usize::from(is_taken))
                });
                assert!(taken >= all.min(JOBS_OF_CUT), "job {j}, at most {most}: {jobs:?}");
            }
        }
    }
}
