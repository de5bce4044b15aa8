//! Reads a measured execution back from `trace.json`.

use super::execution::Execution;
use crate::error::{Error, ErrorKind, Result};
use cutpoint_plan::plan::{Machine, Operation, Plan, Schedule, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, LayerId, TensorId, Workload};
use serde::Deserialize;
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// A trace file larger than this is refused.
pub const TRACE_BYTES_MAX: u64 = 512 << 20;

/// The process that holds what was measured, unless the trace names another so.
const MEASURED_PID: u64 = 2;

#[derive(Deserialize)]
struct TraceFile {
    #[serde(rename = "traceEvents")]
    events: Vec<EventFile>,
    #[serde(default, rename = "otherData")]
    other: OtherFile,
}

#[derive(Default, Deserialize)]
struct OtherFile {
    planned_makespan_ms: Option<f64>,
    measured_makespan_ms: Option<f64>,
    completions_ms: Option<Vec<Option<f64>>>,
    #[serde(default)]
    fallbacks: Vec<CauseFile>,
    #[serde(default)]
    failures: Vec<CauseFile>,
}

#[derive(Deserialize)]
struct CauseFile {
    job: u64,
    cause: String,
}

#[derive(Deserialize)]
struct EventFile {
    ph: String,
    #[serde(default)]
    pid: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    cat: String,
    ts: Option<f64>,
    dur: Option<f64>,
    #[serde(default)]
    args: ArgsFile,
}

#[derive(Default, Deserialize)]
struct ArgsFile {
    name: Option<String>,
    job: Option<u64>,
}

/// Reads what was measured from a trace of `plan`: operations by start time, completions, fallbacks and
/// failures. `None` if the trace has only what was planned.
///
/// # Errors
/// The first thing that is not of the format, or not of this workload and plan, with its place.
pub fn read_measured(json: &[u8], workload: &Workload, plan: &Plan) -> Result<Option<Execution>> {
    if json.len() as u64 > TRACE_BYTES_MAX {
        let message = format!("the trace has {} bytes, more than {TRACE_BYTES_MAX}", json.len());
        return Err(Error::new(ErrorKind::File, message));
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let file: TraceFile = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let place = e.path().to_string();
        bad(format!("not a trace: {}", e.inner())).at(place)
    })?;
    reader.end().map_err(|e| bad(format!("not a trace: {e}")))?;
    is_of_plan(&file.other, plan)?;
    let pid = measured_pid(&file.events);
    let names = Names::of(workload);
    let mut measured = Execution::default();
    let mut total = Time::ZERO;
    for (i, event) in file.events.iter().enumerate() {
        if event.ph != "X" || event.pid != pid {
            continue;
        }
        let operation = operation(event, &names).map_err(|e| e.at(format!("traceEvents[{i}]")))?;
        total = total
            .checked_add(operation.end)
            .ok_or_else(|| bad("the times of all operations together are too long".to_owned()))?;
        let Schedule { device, uplink, server, downlink } = &mut measured.schedule;
        match operation.work.machine() {
            Machine::Device => device.push(operation),
            Machine::Uplink => uplink.push(operation),
            Machine::Server => server.push(operation),
            Machine::Downlink => downlink.push(operation),
        }
    }
    if Machine::ALL.iter().all(|&m| measured.schedule.on(m).is_empty()) {
        return Ok(None);
    }
    finish(&mut measured, &file.other, workload)?;
    Ok(Some(measured))
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::Workload, message)
}

/// A trace of another plan would be compared with what was never meant for it.
fn is_of_plan(other: &OtherFile, plan: &Plan) -> Result<()> {
    let expected = plan.makespan.milliseconds();
    match other.planned_makespan_ms {
        Some(found) if (found - expected).abs() > 1e-3 => {
            let message = format!(
                "the trace is of another plan: its planned makespan is {found} ms, \
                 the plan's {expected} ms"
            );
            Err(bad(message)
                .at("otherData.planned_makespan_ms")
                .hint("give the plan that was executed"))
        }
        _ => Ok(()),
    }
}

fn measured_pid(events: &[EventFile]) -> u64 {
    let is_measured = |e: &&EventFile| {
        e.ph == "M" && e.name == "process_name" && e.args.name.as_deref() == Some("measured")
    };
    events.iter().find(is_measured).map_or(MEASURED_PID, |e| e.pid)
}

/// Layers and tensors of each model by name.
struct Names<'a> {
    workload: &'a Workload,
    layers: Vec<BTreeMap<&'a str, LayerId>>,
    tensors: Vec<BTreeMap<&'a str, TensorId>>,
}

impl<'a> Names<'a> {
    fn of(workload: &'a Workload) -> Names<'a> {
        let layers = workload.models().iter().map(|m| {
            m.layers.iter().enumerate().map(|(i, l)| (l.name.as_str(), LayerId::at(i))).collect()
        });
        let tensors = workload.models().iter().map(|m| {
            m.tensors.iter().enumerate().map(|(i, t)| (t.name.as_str(), TensorId::at(i))).collect()
        });
        Names { workload, layers: layers.collect(), tensors: tensors.collect() }
    }
}

fn job(found: u64, workload: &Workload) -> Result<JobId> {
    let index = usize::try_from(found).ok().filter(|&j| j < workload.jobs().len());
    index.map(JobId::at).ok_or_else(|| bad(format!("the workload has no job {found}")))
}

fn operation(event: &EventFile, names: &Names<'_>) -> Result<Operation> {
    let Some(number) = event.args.job else {
        return Err(bad("an operation without args.job".to_owned()));
    };
    let job = job(number, names.workload)?;
    let model = names.workload.jobs()[job.index()].index();
    let label = event.name.strip_prefix(&format!("job {number} ")).unwrap_or(&event.name);
    let (layers, tensors) = (&names.layers[model], &names.tensors[model]);
    let machine = Machine::ALL.into_iter().find(|m| m.name() == event.cat);
    let work = match machine {
        Some(Machine::Device) => layers.get(label).map(|&l| Work::Layer(l)).or_else(|| {
            let tensor = label.strip_prefix("encode ")?;
            tensors.get(tensor).map(|&t| Work::Encode(t))
        }),
        Some(Machine::Uplink) => tensors.get(label).map(|&t| Work::Transfer(t)),
        Some(Machine::Server) => Some(Work::Suffix),
        Some(Machine::Downlink) => Some(Work::Download),
        None => return Err(bad(format!("unknown machine {:?}", event.cat))),
    };
    let Some(work) = work else {
        let name = &names.workload.models()[model].name;
        return Err(bad(format!("model {name:?} has no layer or tensor {label:?}")));
    };
    let moment = |value: Option<f64>, key: &str| {
        let ms = value.ok_or_else(|| bad(format!("an operation without {key}")))? / 1e3;
        Time::from_milliseconds(ms)
            .ok_or_else(|| bad(format!("invalid {key}: {ms} ms is not a time")))
    };
    let (start, length) = (moment(event.ts, "ts")?, moment(event.dur, "dur")?);
    let end = start.checked_add(length).ok_or_else(|| bad("it ends too late".to_owned()))?;
    Ok(Operation { job, work, start, end })
}

/// Orders the operations, and fills in completions, makespan, fallbacks and failures.
fn finish(measured: &mut Execution, other: &OtherFile, workload: &Workload) -> Result<()> {
    let Schedule { device, uplink, server, downlink } = &mut measured.schedule;
    measured.completions = vec![None; workload.jobs().len()];
    for operations in [device, uplink, server, downlink] {
        operations.sort_by_key(|o| o.start);
        for operation in operations.iter() {
            let last = &mut measured.completions[operation.job.index()];
            *last = (*last).max(Some(operation.end));
        }
    }
    if let Some(given) = &other.completions_ms {
        if given.len() != workload.jobs().len() {
            let (found, expected) = (given.len(), workload.jobs().len());
            return Err(bad(format!("{found} completions of {expected} jobs"))
                .at("otherData.completions_ms"));
        }
        measured.completions =
            given.iter().map(|ms| ms.and_then(Time::from_milliseconds)).collect();
    }
    let last = measured.completions.iter().flatten().max().copied().unwrap_or_default();
    let given = other.measured_makespan_ms.and_then(Time::from_milliseconds);
    measured.makespan = given.unwrap_or(last);
    let causes = |list: &[CauseFile]| -> Result<Vec<_>> {
        list.iter().map(|c| Ok((job(c.job, workload)?, c.cause.clone()))).collect()
    };
    measured.fallbacks = causes(&other.fallbacks)?;
    measured.failures = causes(&other.failures)?;
    measured.fallback_count = measured.fallbacks.len();
    measured.failure_count = measured.failures.len() as u64;
    measured.ended = measured.completions.iter().flatten().count() as u64;
    Ok(())
}
