//! The summary of a run in a few lines: predicted and measured makespan, the bound, and how busy
//! each machine was.

use super::plan::PlannedRun;
use super::stream::StreamPlan;
use crate::trace::{Execution, PlanChange, utilisation};
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::{Machine, Plan};
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::count;
use cutpoint_plan::units::{Time, percentile};
use cutpoint_plan::workload::JobId;
use serde::Serialize;
use std::fmt::{self, Write};

impl PlannedRun {
    /// The summary of a run, with the predicted times of local-only and server-only.
    pub fn summary(&self, execution: &Execution) -> RunSummary {
        let options = PlanOptions::at(self.plan().granularity);
        let others = [Policy::LocalOnly, Policy::ServerOnly]
            .map(|policy| plan(self.workload(), policy, &options).ok().map(|plan| plan.makespan));
        RunSummary::of_batch(self.plan(), execution, others)
    }
}

impl StreamPlan {
    /// The summary of a run: its jobs are those that arrived, not those of the pattern.
    pub fn summary(&self, execution: &Execution) -> RunSummary {
        let jobs = execution.ended + execution.failure_count;
        RunSummary {
            jobs: usize::try_from(jobs).unwrap_or(usize::MAX),
            stream: Some(StreamSummary::new(self, execution)),
            ..RunSummary::of_batch(&self.plan, execution, [None, None])
        }
    }
}

/// How busy a machine was, as shares of the makespan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineUse {
    /// Its name.
    pub machine: &'static str,
    /// In the plan.
    pub planned: f64,
    /// In the run.
    pub measured: f64,
}

/// The summary of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// The policy that made the plan.
    pub policy: &'static str,
    /// The unit of scheduling.
    pub granularity: &'static str,
    /// How many jobs.
    pub jobs: usize,
    /// How many of them have a part on the server.
    pub offloaded: usize,
    /// The plan's makespan.
    pub predicted_ms: f64,
    /// The run's makespan.
    pub measured_ms: f64,
    /// How many runs it is the median of; all else is of the one that took it.
    pub runs: usize,
    /// A bound that no plan can beat, by the measured profile.
    pub lower_bound_ms: f64,
    /// `(makespan - bound) / bound` of the plan.
    pub gap: f64,
    /// The time of running everything on the device, by the measured profile.
    pub local_only_ms: Option<f64>,
    /// The time of running everything on the server.
    pub server_only_ms: Option<f64>,
    /// The raw size of the tensors that were sent, in bytes.
    pub raw_bytes: u64,
    /// Their size as sent, in bytes.
    pub sent_bytes: u64,
    /// The machines.
    pub machines: Vec<MachineUse>,
    /// Jobs that the device finished in place of the server.
    pub fallbacks: usize,
    /// Why, and for how many jobs; the first cause of a run first.
    pub fallback_causes: Vec<FallbackCause>,
    /// Jobs that failed.
    pub failures: u64,
    /// New plans in mid-run.
    pub plan_changes: Vec<Change>,
    /// How jobs fared that arrived over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamSummary>,
}

/// How jobs fared that arrived over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamSummary {
    /// The time between two arrivals that was planned for.
    pub period_ms: f64,
    /// With a shorter period jobs pile up whatever the plan.
    pub shortest_period_ms: f64,
    /// Whether the period is long enough for some plan to keep up.
    pub keeps_up: bool,
    /// From arrival to completion, by the plan.
    pub planned_latency_ms: Percentiles,
    /// From arrival to completion, as it was.
    pub latency_ms: Percentiles,
    /// How many jobs arrived while as many were in work as may be, and had to wait outside.
    pub waited: u64,
    /// How long they waited on average.
    pub wait_mean_ms: f64,
    /// The longest wait.
    pub wait_longest_ms: f64,
}

/// Nearest-rank percentiles of times, in milliseconds; all 0 if there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    /// Of some times, in any order.
    pub fn of(times: impl Iterator<Item = Time>) -> Percentiles {
        let mut times: Vec<Time> = times.collect();
        times.sort_unstable();
        let at = |percent| percentile(&times, percent).milliseconds();
        Percentiles { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Percentiles { p50, p90, p99, max } = self;
        write!(f, "p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, max {max:.1} ms")
    }
}

impl StreamSummary {
    /// How the jobs of an execution fared, and how they were planned to.
    fn new(stream: &StreamPlan, execution: &Execution) -> StreamSummary {
        let waits = &execution.waits;
        StreamSummary {
            period_ms: stream.stream.period.milliseconds(),
            shortest_period_ms: stream.stream.shortest_period.milliseconds(),
            keeps_up: stream.stream.is_stable(),
            planned_latency_ms: Percentiles::of(stream.plan.latencies()),
            latency_ms: Percentiles::of(execution.latencies.iter().copied()),
            waited: waits.jobs,
            wait_mean_ms: waits.total.milliseconds() / (waits.jobs.max(1) as f64),
            wait_longest_ms: waits.longest.milliseconds(),
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let keeps = match self.keeps_up {
            true => "keeps up",
            false => "jobs pile up",
        };
        let (period, shortest) = (self.period_ms, self.shortest_period_ms);
        let mut lines = vec![
            ("period", format!("{period:.1} ms (shortest sustainable {shortest:.1} ms): {keeps}")),
            ("planned", format!("latency {}", self.planned_latency_ms)),
            ("measured", format!("latency {}", self.latency_ms)),
        ];
        if self.waited > 0 {
            let (jobs, mean, longest) = (self.waited, self.wait_mean_ms, self.wait_longest_ms);
            let value = format!(
                "{} waited to be admitted, {mean:.1} ms on average, {longest:.1} ms at most",
                count(jobs, "job")
            );
            lines.push(("held back", value));
        }
        lines
    }
}

/// A new plan in mid-run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// When it came into force.
    pub at_ms: f64,
    /// Why it was made.
    pub cause: String,
    /// How many jobs it was for.
    pub jobs: usize,
    /// How many of them have a part on the server.
    pub offloaded: usize,
}

impl From<&PlanChange> for Change {
    fn from(change: &PlanChange) -> Change {
        let PlanChange { at, cause, jobs, offloaded, .. } = change.clone();
        Change { at_ms: at.milliseconds(), cause, jobs, offloaded }
    }
}

/// Why the device finished jobs in place of the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FallbackCause {
    /// The cause.
    pub cause: String,
    /// Which jobs.
    pub jobs: Vec<u32>,
}

/// The most causes that the text summary lists.
const CAUSES_MAX: usize = 5;

impl RunSummary {
    /// The summary of a run; the makespans of local-only and server-only where they exist.
    pub(super) fn of_batch(
        plan: &Plan,
        execution: &Execution,
        [local_only, server_only]: [Option<Time>; 2],
    ) -> RunSummary {
        let machines = Machine::ALL
            .into_iter()
            .filter(|&m| !execution.schedule.on(m).is_empty())
            .map(|machine| MachineUse {
                machine: machine.name(),
                planned: utilisation(plan.schedule.on(machine), plan.makespan),
                measured: utilisation(execution.schedule.on(machine), execution.makespan),
            })
            .collect();
        RunSummary {
            policy: plan.policy.name(),
            granularity: plan.granularity.name(),
            jobs: plan.partitions.len(),
            offloaded: plan.partitions.iter().filter(|p| !p.uploads.is_empty()).count(),
            predicted_ms: plan.makespan.milliseconds(),
            measured_ms: execution.makespan.milliseconds(),
            runs: 1,
            lower_bound_ms: plan.lower_bound.milliseconds(),
            gap: plan.gap(),
            local_only_ms: local_only.map(Time::milliseconds),
            server_only_ms: server_only.map(Time::milliseconds),
            raw_bytes: execution.raw_bytes,
            sent_bytes: execution.sent_bytes,
            machines,
            fallbacks: execution.fallback_count,
            fallback_causes: causes(&execution.fallbacks),
            failures: execution.failure_count,
            stream: None,
            plan_changes: execution.changes.iter().map(Change::from).collect(),
        }
    }

    /// The summary as text for a person.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<13} {value}");
        };
        line("policy", format!("{} ({} granularity)", self.policy, self.granularity));
        line("jobs", format!("{}, {} partly or wholly on the server", self.jobs, self.offloaded));
        match &self.stream {
            Some(stream) => stream.lines().into_iter().for_each(|(name, value)| line(name, value)),
            None => {
                let error = (self.measured_ms / self.predicted_ms - 1.0) * 100.0;
                let measured = self.measured_ms;
                let of_runs = match self.runs {
                    0 | 1 => String::new(),
                    runs => format!(", median of {runs} runs"),
                };
                line("predicted", format!("{:.1} ms", self.predicted_ms));
                line(
                    "measured",
                    format!("{measured:.1} ms ({error:+.1} % from predicted{of_runs})"),
                );
                let gap = self.gap * 100.0;
                line("lower bound", format!("{:.1} ms (gap {gap:.2} %)", self.lower_bound_ms));
            }
        }
        let others = [("local-only", self.local_only_ms), ("server-only", self.server_only_ms)];
        for (name, makespan_ms) in others {
            if let Some(makespan_ms) = makespan_ms {
                line(name, format!("{makespan_ms:.1} ms predicted"));
            }
        }
        if self.sent_bytes != self.raw_bytes {
            let [sent, raw] = [self.sent_bytes, self.raw_bytes].map(|b| b as f64 / 1e6);
            line("sent", format!("{sent:.2} MB, {raw:.2} MB raw"));
        }
        for MachineUse { machine, planned, measured } in &self.machines {
            let value =
                format!("busy {:.0} % (planned {:.0} %)", measured * 100.0, planned * 100.0);
            line(machine, value);
        }
        for Change { at_ms, cause, jobs, offloaded } in &self.plan_changes {
            let what = format!("{cause}; {} left, {offloaded} offloaded", count(*jobs, "job"));
            line("re-planned", format!("at {at_ms:.1} ms: {what}"));
        }
        if self.fallbacks > 0 {
            line("fell back", format!("{} finished on the device", count(self.fallbacks, "job")));
        }
        for FallbackCause { cause, jobs } in self.fallback_causes.iter().take(CAUSES_MAX) {
            line("", format!("{}: {cause}", job_numbers(jobs)));
        }
        if self.failures > 0 {
            line("failed", count(self.failures, "job"));
        }
        text
    }
}

/// The jobs that fell back, by cause.
fn causes(fallbacks: &[(JobId, String)]) -> Vec<FallbackCause> {
    let mut causes: Vec<FallbackCause> = Vec::new();
    for (job, cause) in fallbacks {
        match causes.iter_mut().find(|known| known.cause == *cause) {
            Some(known) => known.jobs.push(job.0),
            None => causes.push(FallbackCause { cause: cause.clone(), jobs: vec![job.0] }),
        }
    }
    causes
}

/// `job 3`, `jobs 3, 4, 7`, `jobs 3, 4, 7 and 90 more`.
fn job_numbers(jobs: &[u32]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = jobs.iter().take(SHOWN).map(u32::to_string).collect();
    let (shown, s) = (shown.join(", "), if jobs.len() == 1 { "" } else { "s" });
    match jobs.len().saturating_sub(SHOWN) {
        0 => format!("job{s} {shown}"),
        more => format!("job{s} {shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=200u64).rev().map(|ms| Time::from_nanoseconds(ms * 1_000_000));
        let found = Percentiles::of(times);
        assert_eq!(found, Percentiles { p50: 100.0, p90: 180.0, p99: 198.0, max: 200.0 });
        assert_eq!(Percentiles::of(std::iter::empty()), Percentiles::default());
    }
}
