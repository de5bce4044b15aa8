//! The record of a run: measured operations, and the outcome of each job.

use cutpoint_plan::plan::{Operation, Schedule};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::JobId;

/// The measured execution of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Execution {
    /// Measured operations. A device operation covers all the layers of its job that ran without
    /// interruption up to and including the one it names.
    pub schedule: Schedule,
    /// When each job was complete; `None` if it failed. Of very many jobs the first
    /// [`RECORDED_JOBS_MAX`], as are the operations.
    pub completions: Vec<Option<Time>>,
    /// When the last job was complete.
    pub makespan: Time,
    /// How many bytes the tensors that were sent have as they are.
    pub raw_bytes: u64,
    /// How many bytes they had in the forms in which they were sent.
    pub sent_bytes: u64,
    /// How many jobs are complete.
    pub ended: u64,
    /// Jobs that the device finished in place of the server, and why.
    pub fallbacks: Vec<(JobId, String)>,
    /// How many they are, should not all be listed.
    pub fallback_count: usize,
    /// Jobs that failed, and why.
    pub failures: Vec<(JobId, String)>,
    /// Whether the run was given up before every job had ended.
    pub is_cancelled: bool,
    /// How many they are, should not all be listed.
    pub failure_count: u64,
    /// Jobs that were cancelled, each on its own.
    pub cancelled: Vec<JobId>,
    /// New plans in mid-run.
    pub changes: Vec<PlanChange>,
    /// How many they are, should not all be listed.
    pub change_count: u64,
    /// Where jobs arrived over time: what each took from its arrival to its completion, in the
    /// order of the completions.
    pub latencies: Vec<Time>,
    /// Jobs that arrived while the system was full.
    pub waits: Waits,
}

/// The most jobs whose operations are recorded; a run may go on for much longer.
pub const RECORDED_JOBS_MAX: usize = 100_000;

/// The share of `makespan` that the operations of one machine fill.
pub fn utilisation(operations: &[Operation], makespan: Time) -> f64 {
    let busy: Time = operations.iter().map(|o| o.end - o.start).sum();
    busy.nanoseconds() as f64 / makespan.nanoseconds().max(1) as f64
}

/// The share of the time between its first start and its last end in which a machine was busy; 1
/// for a machine that does nothing.
pub fn busy_share_of_span(operations: &[Operation]) -> f64 {
    let first = operations.iter().map(|o| o.start).min();
    let last = operations.iter().map(|o| o.end).max();
    match first.zip(last) {
        Some((first, last)) if last > first => utilisation(operations, last - first),
        _ => 1.0,
    }
}

/// A new plan in mid-run.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanChange {
    /// When it came into force.
    pub at: Time,
    /// Why it was made.
    pub cause: String,
    /// How many jobs it is for.
    pub jobs: usize,
    /// How many of them have a part on the server.
    pub offloaded: usize,
    /// The bandwidth of the uplink that it reckons with; `None` without a connection.
    pub uplink: Option<Bandwidth>,
    /// When the jobs will be complete by this plan.
    pub predicted: Time,
}

/// Jobs that arrived while the system was full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many.
    pub jobs: u64,
    /// How long all of them together waited outside.
    pub total: Time,
    /// How long the one waited that waited longest.
    pub longest: Time,
}
