//! What a run has shown, in a few lines: predicted and measured makespan, the bound, and how busy
//! each machine was.

use crate::device::Fallback;
use crate::trace::{Execution, utilisation};
use cutpoint_plan::plan::{Machine, Plan};
use cutpoint_plan::units::Time;
use serde::Serialize;
use std::fmt::Write;

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

/// What a run has shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What made the plan.
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
    /// What no plan can beat, by the measured profile.
    pub lower_bound_ms: f64,
    /// `(makespan - bound) / bound` of the plan.
    pub gap: f64,
    /// What running everything on the device would take, by the measured profile.
    pub local_only_ms: Option<f64>,
    /// What running everything on the server would take.
    pub server_only_ms: Option<f64>,
    /// What the tensors that were sent have as they are, in bytes.
    pub raw_bytes: u64,
    /// What they had in the forms in which they were sent.
    pub sent_bytes: u64,
    /// The machines.
    pub machines: Vec<MachineUse>,
    /// Jobs that the device finished in the server's stead.
    pub fallbacks: usize,
    /// Why, and for how many jobs; the first cause of a run first.
    pub fallback_causes: Vec<FallbackCause>,
    /// Jobs that failed.
    pub failures: usize,
}

/// Why the device finished jobs in the server's stead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FallbackCause {
    /// Why.
    pub cause: String,
    /// Which jobs.
    pub jobs: Vec<u32>,
}

/// So many causes are told to a person.
const CAUSES_MAX: usize = 5;

impl Summary {
    /// The summary of a run; the makespans of local-only and server-only where they exist.
    pub fn new(
        plan: &Plan,
        execution: &Execution,
        local_only: Option<Time>,
        server_only: Option<Time>,
    ) -> Summary {
        let machines = Machine::ALL
            .into_iter()
            .filter(|&m| !execution.schedule.on(m).is_empty())
            .map(|machine| MachineUse {
                machine: machine.name(),
                planned: utilisation(plan.schedule.on(machine), plan.makespan),
                measured: execution.utilisation(machine),
            })
            .collect();
        Summary {
            policy: plan.policy.name(),
            granularity: plan.granularity.name(),
            jobs: plan.partitions.len(),
            offloaded: plan.partitions.iter().filter(|p| !p.uploads.is_empty()).count(),
            predicted_ms: plan.makespan.milliseconds(),
            measured_ms: execution.makespan.milliseconds(),
            lower_bound_ms: plan.lower_bound.milliseconds(),
            gap: plan.gap(),
            local_only_ms: local_only.map(Time::milliseconds),
            server_only_ms: server_only.map(Time::milliseconds),
            raw_bytes: execution.raw_bytes,
            sent_bytes: execution.sent_bytes,
            machines,
            fallbacks: execution.fallbacks.len(),
            fallback_causes: causes(&execution.fallbacks),
            failures: execution.failures.len(),
        }
    }

    /// The summary as text for a person.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<13} {value}");
        };
        line("policy", format!("{} ({} granularity)", self.policy, self.granularity));
        line("jobs", format!("{}, {} with a part on the server", self.jobs, self.offloaded));
        let error = (self.measured_ms / self.predicted_ms - 1.0) * 100.0;
        line("predicted", format!("{:.1} ms", self.predicted_ms));
        line("measured", format!("{:.1} ms ({error:+.1} % of predicted)", self.measured_ms));
        let gap = self.gap * 100.0;
        line("lower bound", format!("{:.1} ms (gap {gap:.2} %)", self.lower_bound_ms));
        let others = [("local-only", self.local_only_ms), ("server-only", self.server_only_ms)];
        for (name, makespan_ms) in others {
            if let Some(makespan_ms) = makespan_ms {
                line(name, format!("{makespan_ms:.1} ms would be predicted"));
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
        if self.fallbacks > 0 {
            line("fell back", format!("{} jobs were finished on the device", self.fallbacks));
        }
        for FallbackCause { cause, jobs } in self.fallback_causes.iter().take(CAUSES_MAX) {
            line("", format!("{}: {cause}", job_numbers(jobs)));
        }
        if self.failures > 0 {
            line("failed", format!("{} jobs", self.failures));
        }
        text
    }
}

/// The jobs that fell back, by cause.
fn causes(fallbacks: &[Fallback]) -> Vec<FallbackCause> {
    let mut causes: Vec<FallbackCause> = Vec::new();
    for Fallback { job, cause } in fallbacks {
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
