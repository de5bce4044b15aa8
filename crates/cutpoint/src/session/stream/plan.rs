//! A plan for jobs that arrive over time, and the plans for the same jobs at other bandwidths.

use crate::error::{Error, ErrorKind, Result};
use crate::session::plan::{plan_for, plan_text, workload_text};
use crate::session::replan::{OTHER_CUTS_MAX, cuts_of, has_cut, other_uplinks};
use crate::trace::{Execution, chrome_trace};
use cutpoint_plan::explain::Stream;
use cutpoint_plan::options::{Objective, PlanOptions, Policy};
use cutpoint_plan::plan::{Partition, Plan};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{ModelId, Workload};
use serde_json::Value;

/// The most jobs in the pattern of a single-model stream.
pub const PATTERN_JOBS_MAX: usize = 32;

/// Where no period is given, jobs are planned to arrive this much slower than the machines can take
/// them at best.
const SPARE: f64 = 1.05;

/// A plan for jobs that arrive over time.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// The jobs that are planned, and the link.
    pub workload: Workload,
    /// How they are carried out if they arrive one each period.
    pub plan: Plan,
    /// How they fare by the plan, and how long the period has to be at least.
    pub stream: Stream,
    /// The same jobs at other bandwidths.
    pub(in crate::session) others: Vec<(Workload, Plan)>,
    /// Whether all jobs that were named are planned.
    pub(super) is_whole: bool,
}

impl StreamPlan {
    /// The text of the `workload.json` that the plan is for.
    pub fn workload_json(&self) -> String {
        workload_text(&self.workload)
    }

    /// The text of the plan's `plan.json`.
    pub fn plan_json(&self) -> String {
        plan_text(&self.workload, &self.plan)
    }

    /// `trace.json`: the plan and a run of it side by side, in the Chrome trace format.
    pub fn trace(&self, execution: &Execution) -> Value {
        let pattern = self.workload.jobs();
        let model = |j: usize| pattern[j % pattern.len().max(1)];
        let jobs = execution.completions.len().max(pattern.len());
        let workload = self.workload.with_jobs((0..jobs).map(model));
        chrome_trace(&workload, &self.plan, Some(execution))
    }

    /// A plan for jobs that arrive in the order of the workload, one each `period`; without a
    /// period, about as fast as the machines can take them. The mean latency is made small.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if there is no such plan.
    pub fn new(
        workload: &Workload,
        policy: Policy,
        options: &PlanOptions,
        period: Option<Time>,
    ) -> Result<StreamPlan> {
        let mut workload = workload.clone();
        let jobs = workload.jobs().len();
        if workload.jobs().iter().all(|model| Some(model) == workload.jobs().first()) {
            workload = workload.with_jobs(workload.jobs().iter().copied().take(PATTERN_JOBS_MAX));
        }
        let is_whole = workload.jobs().len() == jobs;
        let (plan, stream) = planned(&workload, policy, options, period)?;
        let mut cuts = cuts_of(&workload, &plan);
        let cuts_max = cuts.len() + OTHER_CUTS_MAX * workload.models().len();
        let mut others = Vec::new();
        let has_link = workload.link().uplink != Bandwidth::ZERO;
        for uplink in other_uplinks(&workload).filter(|_| has_link) {
            let mut other = workload.clone();
            other.set_uplink(uplink);
            let (plan, _) = planned(&other, policy, options, period)?;
            let is_new = |(model, cut): &(ModelId, Partition)| !has_cut(&cuts, *model, cut);
            let new: Vec<_> = cuts_of(&other, &plan).into_iter().filter(is_new).collect();
            if cuts.len() + new.len() <= cuts_max {
                cuts.extend(new);
                others.push((other, plan));
            }
        }
        Ok(StreamPlan { workload, plan, stream, others, is_whole })
    }
}

/// A plan for a period, and how jobs fare by it.
fn planned(
    workload: &Workload,
    policy: Policy,
    options: &PlanOptions,
    period: Option<Time>,
) -> Result<(Plan, Stream)> {
    let with = |policy, period| {
        let objective = Objective::MeanCompletion;
        let options = PlanOptions { objective, period: Some(period), ..*options };
        let plan = plan_for(workload, policy, &options)?;
        let stream = Stream::of(workload, &plan);
        let stream = stream
            .ok_or_else(|| Error::new(ErrorKind::Workload, "no job can be completed on this link"));
        Ok::<_, Error>((plan, stream?))
    };
    let period = match period {
        Some(period) => period,
        None => {
            let (_, stream) = with(Policy::LocalOnly, Time::ZERO)?;
            let spare = stream.shortest_period.nanoseconds() as f64 * SPARE;
            Time::from_nanoseconds(spare as u64)
        }
    };
    with(policy, period)
}
