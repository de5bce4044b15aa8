//! Jobs that arrive over time, and completions on average: what a plan does for them.

use crate::bound::{lower_bound, steady_load, sum_of_completions};
use crate::partition::modes;
use crate::plan::Plan;
use crate::problem::{Context, loads};
use crate::units::{Time, percentile};
use crate::workload::Workload;

/// How jobs fare that arrive one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// The time between two arrivals.
    pub period: Time,
    /// With a shorter period than this, jobs pile up whatever the plan.
    pub shortest_period: Time,
    /// The same if all jobs take one cut; `None` if there are several models.
    pub shortest_period_of_one_cut: Option<Time>,
    /// From arrival to completion, on average.
    pub mean_latency: Time,
    /// Half of the jobs take no longer.
    pub median_latency: Time,
    /// 95 of 100 jobs take no longer.
    pub p95_latency: Time,
    /// No job takes longer.
    pub worst_latency: Time,
    /// After how many jobs the cuts repeat; `None` if they do not.
    pub repeats_after: Option<usize>,
}

impl Stream {
    /// Whether the period is long enough for some plan to keep up.
    pub fn is_stable(&self) -> bool {
        self.period >= self.shortest_period
    }

    /// How the jobs of a plan fare; `None` if they are all there from the start, or a job cannot be
    /// done.
    pub fn of(workload: &Workload, plan: &Plan) -> Option<Stream> {
        let period = plan.period?;
        let context = Context::new(workload, plan.granularity);
        let problem = context.problem(|_, pricer| modes(pricer, context.executors))?;
        let jobs = problem.jobs().max(1) as u64;
        let each = |time: Time| Time::from_nanoseconds(time.nanoseconds().div_ceil(jobs));
        let one_cut = match problem.classes.as_slice() {
            [class] => class
                .modes
                .iter()
                .map(|m| loads(m, problem.executors).into_iter().max().unwrap_or(0))
                .min()
                .map(Time::from_nanoseconds),
            _ => None,
        };
        let mut latencies: Vec<Time> = plan.latencies().collect();
        latencies.sort_unstable();
        let at = |percent| percentile(&latencies, percent);
        Some(Stream {
            period,
            shortest_period: each(steady_load(&problem)),
            shortest_period_of_one_cut: one_cut,
            mean_latency: mean(&latencies),
            median_latency: at(50),
            p95_latency: at(95),
            worst_latency: at(100),
            repeats_after: repeats_after(workload, plan),
        })
    }
}

/// The mean completion of a plan, and one that no plan beats, if its jobs are all there from the
/// start.
pub(super) fn mean_completion(workload: &Workload, plan: &Plan) -> (Time, Option<Time>) {
    let found = mean(&plan.completions);
    let context = Context::new(workload, plan.granularity);
    let problem = context.problem(|_, pricer| modes(pricer, context.executors));
    let bound = problem.filter(|_| plan.period.is_none()).map(|problem| {
        let sum = sum_of_completions(&problem, &lower_bound(&problem));
        let mean = sum / (problem.jobs().max(1) as u128);
        Time::from_nanoseconds(u64::try_from(mean).unwrap_or(u64::MAX)).min(found)
    });
    (found, bound)
}

fn mean(times: &[Time]) -> Time {
    let sum: u128 = times.iter().map(|t| u128::from(t.nanoseconds())).sum();
    let mean = sum / (times.len().max(1) as u128);
    Time::from_nanoseconds(u64::try_from(mean).expect("a mean is not above the largest"))
}

/// The smallest period of the sequence of cuts, leaving out the last few jobs; at most a quarter of
/// all jobs.
fn repeats_after(workload: &Workload, plan: &Plan) -> Option<usize> {
    let jobs = workload.jobs.len();
    let is_alike = |a: usize, b: usize| {
        workload.jobs[a] == workload.jobs[b]
            && plan.partitions[a].device_layers == plan.partitions[b].device_layers
    };
    // The first and the last jobs see an empty device or an empty queue.
    let middle = jobs / 8..jobs - jobs / 8;
    (1..=jobs / 4).find(|&p| middle.clone().skip(p).all(|j| is_alike(j, j - p)))
}
