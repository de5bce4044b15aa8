//! The trace of a plan and a run side by side, as `trace.json` in the Chrome trace
//! format: planned and measured as two processes, one row for each machine, arrows from device to
//! uplink to server.

use super::execution::{Execution, PlanChange};
use cutpoint_plan::plan::{Machine, Operation, Plan, Schedule, Work};
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, Workload};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// What an operation is called in charts and traces: the layer or tensor, or what the server does.
pub fn label(workload: &Workload, operation: &Operation) -> String {
    let model = workload.model_of(operation.job);
    match operation.work {
        Work::Layer(layer) => model.layers[layer.index()].name.clone(),
        Work::Encode(tensor) => format!("encode {}", model.tensors[tensor.index()].name),
        Work::Transfer(tensor) => model.tensors[tensor.index()].name.clone(),
        Work::Suffix => "suffix".to_owned(),
        Work::Download => "outputs".to_owned(),
    }
}

/// The Chrome trace of a plan and, if there is one, of its execution.
pub fn chrome_trace(workload: &Workload, plan: &Plan, execution: Option<&Execution>) -> Value {
    let mut events = Vec::new();
    process(&mut events, workload, 1, "planned", &plan.schedule);
    if let Some(execution) = execution {
        process(&mut events, workload, 2, "measured", &execution.schedule);
        events.extend(execution.changes.iter().map(|change| {
            json!({
                "name": format!("new plan: {}", change.cause),
                "cat": "plan",
                "ph": "i",
                "s": "p",
                "ts": microseconds(change.at),
                "pid": 2,
                "tid": 1,
                "args": change_json(change),
            })
        }));
    }
    let mut other = json!({
        "policy": plan.policy.name(),
        "granularity": plan.granularity.name(),
        "planned_makespan_ms": plan.makespan.milliseconds(),
        "lower_bound_ms": plan.lower_bound.milliseconds(),
    });
    if let Some(execution) = execution {
        other["measured_makespan_ms"] = json!(execution.makespan.milliseconds());
        other["completions_ms"] =
            execution.completions.iter().map(|c| json!(c.map(Time::milliseconds))).collect();
        let cause = |(job, cause): &(JobId, String)| json!({ "job": job.0, "cause": cause });
        other["fallbacks"] = execution.fallbacks.iter().map(cause).collect();
        other["plan_changes"] = execution.changes.iter().map(change_json).collect();
        if !execution.latencies.is_empty() {
            let latencies = execution.latencies.iter();
            other["latencies_ms"] = latencies.map(|l| json!(l.milliseconds())).collect();
        }
        other["failures"] = execution.failures.iter().map(cause).collect();
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events, "otherData": other })
}

fn change_json(change: &PlanChange) -> Value {
    json!({
        "at_ms": change.at.milliseconds(),
        "cause": change.cause,
        "jobs": change.jobs,
        "offloaded": change.offloaded,
        "uplink_mbps": change.uplink.map(Bandwidth::mbit_per_s),
        "predicted_end_ms": change.predicted.milliseconds(),
    })
}

/// Adds one process: its name, a named row for each machine, its operations and their arrows.
fn process(
    events: &mut Vec<Value>,
    workload: &Workload,
    pid: u32,
    name: &str,
    schedule: &Schedule,
) {
    events.push(json!({
        "name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": { "name": name }
    }));
    // Viewers want what overlaps in different rows.
    let rows = Machine::ALL.map(|machine| {
        lanes(schedule.on(machine).iter().map(|o| (o.start, o.end)), Time::ZERO, ROWS_MAX)
    });
    for (number, machine) in Machine::ALL.into_iter().enumerate() {
        let count = rows[number].iter().max().map_or(1, |last| last + 1);
        for row in 0..count {
            let name = match row {
                0 => machine.name().to_owned(),
                row => format!("{} {}", machine.name(), row + 1),
            };
            let tid = tid(number, row);
            events.push(json!({
                "name": "thread_name", "ph": "M", "pid": pid, "tid": tid, "args": { "name": name }
            }));
            events.push(json!({
                "name": "thread_sort_index", "ph": "M", "pid": pid, "tid": tid,
                "args": { "sort_index": number * ROWS_MAX + row }
            }));
        }
        for (operation, &row) in schedule.on(machine).iter().zip(&rows[number]) {
            events.push(json!({
                "name": format!("job {} {}", operation.job.0, label(workload, operation)),
                "cat": machine.name(),
                "ph": "X",
                "ts": microseconds(operation.start),
                "dur": microseconds(operation.end - operation.start),
                "pid": pid,
                "tid": tid(number, row),
                "args": { "job": operation.job.0, "model": workload.model_of(operation.job).name },
            }));
        }
    }
    arrows(events, pid, schedule, &rows);
}

/// A machine that does several things at a time has at most this many rows.
const ROWS_MAX: usize = 64;

/// The lane of each span from a start to an end: spans that overlap by more than `touching` are in
/// different lanes. Beyond `most` lanes all go into the last one.
pub(crate) fn lanes(
    spans: impl Iterator<Item = (Time, Time)>,
    touching: Time,
    most: usize,
) -> Vec<usize> {
    let mut free_from: Vec<Time> = Vec::new();
    let lane = |(start, end)| {
        let free = free_from.iter().position(|&time| time <= start + touching);
        let lane = free.unwrap_or(free_from.len()).min(most - 1);
        if lane == free_from.len() {
            free_from.push(Time::ZERO);
        }
        free_from[lane] = free_from[lane].max(end);
        lane
    };
    spans.map(lane).collect()
}

/// The number of a row in the file, from 1: Perfetto takes 0 for no row of its own. The first row of
/// each machine follows the one of the machine before.
fn tid(machine: usize, row: usize) -> usize {
    1 + machine + row * Machine::ALL.len()
}

/// Arrows along each job: from the end of its last operation on one machine to the start of each
/// of its operations on the next.
fn arrows(events: &mut Vec<Value>, pid: u32, schedule: &Schedule, rows: &[Vec<usize>; 4]) {
    for to in 1..Machine::ALL.len() {
        let from = to - 1;
        let mut by_job: BTreeMap<JobId, Vec<(&Operation, usize)>> = BTreeMap::new();
        for (operation, &row) in schedule.on(Machine::ALL[from]).iter().zip(&rows[from]) {
            by_job.entry(operation.job).or_default().push((operation, row));
        }
        for (number, start) in schedule.on(Machine::ALL[to]).iter().enumerate() {
            let before = by_job.get(&start.job).into_iter().flatten();
            let before = before.filter(|(o, _)| o.end <= start.start).max_by_key(|(o, _)| o.end);
            let Some(&(before, row)) = before else { continue };
            // Perfetto reads no ids but whole numbers.
            let id = events.len();
            events.push(json!({
                "name": "job", "cat": "flow", "ph": "s", "id": id, "pid": pid,
                "tid": tid(from, row), "ts": microseconds(last_moment(before)),
            }));
            events.push(json!({
                "name": "job", "cat": "flow", "ph": "f", "bp": "e", "id": id, "pid": pid,
                "tid": tid(to, rows[to][number]), "ts": microseconds(start.start),
            }));
        }
    }
}

/// The last moment inside an operation: at its end the next one has begun, and viewers would hang
/// the arrow on that.
fn last_moment(operation: &Operation) -> Time {
    operation.end.saturating_sub(Time::from_nanoseconds(1)).max(operation.start)
}

fn microseconds(time: Time) -> f64 {
    time.nanoseconds() as f64 / 1e3
}
