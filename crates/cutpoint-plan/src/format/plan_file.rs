//! `plan.json`: reading it against its workload, and writing it line by line.

use crate::cut::LayerSet;
use crate::error::{InputError, Rule};
use crate::format::json::parse;
use crate::format::limits::PLAN_BYTES_MAX;
use crate::format::validate::time;
use crate::options::Objective;
use crate::plan::{Machine, Operation, Partition, Plan, Schedule, Upload, Work};
use crate::units::Time;
use crate::workload::{JobId, LayerId, ModelId, TensorId, Workload};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The schema of a plan file.
pub const PLAN_SCHEMA: &str = "cutpoint.plan/1";

/// How far the `gap` of a file may be from the one that makespan and lower bound give: files may
/// round it to four decimals.
const GAP_TOLERANCE: f64 = 0.5e-4 + 1e-9;

type Result<T> = std::result::Result<T, InputError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile<'a> {
    schema: String,
    policy: String,
    granularity: String,
    #[serde(default)]
    objective: Option<String>,
    #[serde(default)]
    period_ms: Option<f64>,
    makespan_ms: f64,
    lower_bound_ms: f64,
    gap: f64,
    optimal: bool,
    #[serde(borrow)]
    jobs: Vec<JobFile<'a>>,
    #[serde(borrow)]
    schedule: ScheduleFile<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobFile<'a> {
    job: u64,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    device_layers: Vec<Name<'a>>,
    #[serde(borrow)]
    uploads: Vec<UploadFile<'a>>,
    completion_ms: f64,
}

/// A name, borrowed from the file where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadFile<'a> {
    #[serde(borrow)]
    tensor: Cow<'a, str>,
    #[serde(borrow, default)]
    encoding: Option<Name<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleFile<'a> {
    #[serde(borrow)]
    device: Vec<DeviceFile<'a>>,
    #[serde(borrow)]
    uplink: Vec<UplinkFile<'a>>,
    server: Vec<BlockFile>,
    #[serde(default)]
    downlink: Vec<BlockFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceFile<'a> {
    job: u64,
    #[serde(borrow, default)]
    layer: Option<Name<'a>>,
    #[serde(borrow, default)]
    encode: Option<Name<'a>>,
    start_ms: f64,
    end_ms: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UplinkFile<'a> {
    job: u64,
    #[serde(borrow)]
    tensor: Cow<'a, str>,
    start_ms: f64,
    end_ms: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockFile {
    job: u64,
    start_ms: f64,
    end_ms: f64,
}

/// Reads a plan for `workload`. Names are resolved; whether the plan keeps the rules of the cost
/// model is for `check_plan` to say. Operations come out by start time.
///
/// # Errors
/// The first thing that is not of the format or not of the workload, with its place.
pub fn read_plan(json: &[u8], workload: &Workload) -> Result<Plan> {
    let file: PlanFile<'_> = parse(json, PLAN_BYTES_MAX)?;
    if file.schema != PLAN_SCHEMA {
        let rule = Rule::Schema { found: file.schema, expected: PLAN_SCHEMA };
        return Err(InputError::new("schema", rule));
    }
    let unknown = |place: &str, message| InputError::new(place, Rule::UnknownName(message));
    let policy = file.policy.parse().map_err(|m| unknown("policy", m))?;
    let granularity = file.granularity.parse().map_err(|m| unknown("granularity", m))?;
    let objective = match &file.objective {
        Some(name) => name.parse().map_err(|m| unknown("objective", m))?,
        None => Objective::default(),
    };
    let period = match file.period_ms {
        Some(period_ms) => {
            let period = time(period_ms, "period_ms")?;
            let last = period.checked_mul(workload.jobs.len() as u64);
            if last.is_none() {
                return Err(InputError::new("period_ms", Rule::TooLong(period_ms)));
            }
            Some(period)
        }
        None => None,
    };
    let names = Names::of(workload);
    let (partitions, completions) = jobs(&file.jobs, workload, &names)?;
    let plan = Plan {
        policy,
        granularity,
        objective,
        period,
        partitions,
        schedule: schedule(&file.schedule, &names)?,
        completions,
        makespan: time(file.makespan_ms, "makespan_ms")?,
        lower_bound: time(file.lower_bound_ms, "lower_bound_ms")?,
        optimal: file.optimal,
    };
    let (found, expected) = (file.gap, plan.gap());
    let is_close = (found - expected).abs() <= GAP_TOLERANCE * expected.max(1.0);
    match is_close {
        true => Ok(plan),
        false => Err(InputError::new("gap", Rule::WrongGap { found, expected })),
    }
}

/// Layers and tensors by name, for each model.
struct Names<'a> {
    workload: &'a Workload,
    layers: Vec<BTreeMap<&'a str, LayerId>>,
    tensors: Vec<BTreeMap<&'a str, TensorId>>,
}

impl<'a> Names<'a> {
    fn of(workload: &'a Workload) -> Names<'a> {
        let layers = workload.models.iter().map(|m| {
            m.layers.iter().enumerate().map(|(i, l)| (l.name.as_str(), LayerId::at(i))).collect()
        });
        let tensors = workload.models.iter().map(|m| {
            m.tensors.iter().enumerate().map(|(i, t)| (t.name.as_str(), TensorId::at(i))).collect()
        });
        Names { workload, layers: layers.collect(), tensors: tensors.collect() }
    }

    fn job(&self, job: u64, place: impl Fn() -> String) -> Result<(JobId, ModelId)> {
        let index = usize::try_from(job).ok().filter(|&index| index < self.workload.jobs.len());
        match index {
            Some(index) => Ok((JobId::at(index), self.workload.jobs[index])),
            None => Err(InputError::new(format!("{}.job", place()), Rule::UnknownJob { job })),
        }
    }

    fn layer(&self, model: ModelId, name: &str, place: impl Fn() -> String) -> Result<LayerId> {
        self.layers[model.index()]
            .get(name)
            .copied()
            .ok_or_else(|| InputError::new(place(), Rule::UnknownLayer { layer: name.to_string() }))
    }

    fn tensor(&self, model: ModelId, name: &str, place: impl Fn() -> String) -> Result<TensorId> {
        self.tensors[model.index()].get(name).copied().ok_or_else(|| {
            InputError::new(place(), Rule::UnknownTensor { tensor: name.to_string() })
        })
    }
}

fn jobs(
    files: &[JobFile<'_>],
    workload: &Workload,
    names: &Names<'_>,
) -> Result<(Vec<Partition>, Vec<Time>)> {
    let (found, expected) = (files.len(), workload.jobs.len());
    if found != expected {
        return Err(InputError::new("jobs", Rule::JobCount { found, expected }));
    }
    let mut partitions = Vec::with_capacity(found);
    let mut completions = Vec::with_capacity(found);
    for (i, file) in files.iter().enumerate() {
        let place = |key: &str| format!("jobs[{i}].{key}");
        if file.job != i as u64 {
            let rule = Rule::JobNumber { found: file.job, expected: i };
            return Err(InputError::new(place("job"), rule));
        }
        let id = workload.jobs[i];
        let expected = &workload.models[id.index()].name;
        if file.model != *expected {
            let (found, expected) = (file.model.to_string(), expected.clone());
            return Err(InputError::new(place("model"), Rule::WrongModel { found, expected }));
        }
        partitions.push(partition(file, id, names, &place)?);
        completions.push(time(file.completion_ms, &place("completion_ms"))?);
    }
    Ok((partitions, completions))
}

fn partition(
    file: &JobFile<'_>,
    id: ModelId,
    names: &Names<'_>,
    place: &dyn Fn(&str) -> String,
) -> Result<Partition> {
    let model = &names.workload.models[id.index()];
    let mut device_layers = LayerSet::none(model);
    for (k, Name(name)) in file.device_layers.iter().enumerate() {
        let here = || place(&format!("device_layers[{k}]"));
        if !device_layers.insert(names.layer(id, name, here)?) {
            let rule = Rule::RepeatedLayer { layer: name.to_string() };
            return Err(InputError::new(here(), rule));
        }
    }
    let mut uploads = Vec::with_capacity(file.uploads.len());
    for (k, upload) in file.uploads.iter().enumerate() {
        let here = |key: &str| place(&format!("uploads[{k}].{key}"));
        let tensor = names.tensor(id, &upload.tensor, || here("tensor"))?;
        let encodings = &model.tensors[tensor.index()].encodings;
        let encoding = match &upload.encoding {
            None => None,
            Some(Name(name)) => {
                let found = encodings.iter().position(|e| e.name == *name);
                let rule = || Rule::UnknownEncoding { encoding: name.to_string() };
                Some(found.ok_or_else(|| InputError::new(here("encoding"), rule()))?)
            }
        };
        uploads.push(Upload { tensor, encoding });
    }
    Ok(Partition { device_layers, uploads })
}

fn schedule(file: &ScheduleFile<'_>, names: &Names<'_>) -> Result<Schedule> {
    let mut device = Vec::with_capacity(file.device.len());
    for (i, op) in file.device.iter().enumerate() {
        let place = || format!("schedule.device[{i}]");
        let (job, model) = names.job(op.job, place)?;
        let work = match (&op.layer, &op.encode) {
            (Some(Name(layer)), None) => {
                Work::Layer(names.layer(model, layer, || format!("{}.layer", place()))?)
            }
            (None, Some(Name(tensor))) => {
                Work::Encode(names.tensor(model, tensor, || format!("{}.encode", place()))?)
            }
            _ => return Err(InputError::new(place(), Rule::LayerOrEncode)),
        };
        device.push(operation(job, work, op.start_ms, op.end_ms, place)?);
    }
    let mut uplink = Vec::with_capacity(file.uplink.len());
    for (i, op) in file.uplink.iter().enumerate() {
        let place = || format!("schedule.uplink[{i}]");
        let (job, model) = names.job(op.job, place)?;
        let tensor = names.tensor(model, &op.tensor, || format!("{}.tensor", place()))?;
        uplink.push(operation(job, Work::Transfer(tensor), op.start_ms, op.end_ms, place)?);
    }
    let mut schedule = Schedule {
        device,
        uplink,
        server: blocks(&file.server, Machine::Server, Work::Suffix, names)?,
        downlink: blocks(&file.downlink, Machine::Downlink, Work::Download, names)?,
    };
    let Schedule { device, uplink, server, downlink } = &mut schedule;
    for operations in [device, uplink, server, downlink] {
        // Stable: operations without length keep the order of the file.
        operations.sort_by_key(|op| op.start);
    }
    Ok(schedule)
}

fn blocks(
    files: &[BlockFile],
    machine: Machine,
    work: Work,
    names: &Names<'_>,
) -> Result<Vec<Operation>> {
    let mut operations = Vec::with_capacity(files.len());
    for (i, op) in files.iter().enumerate() {
        let place = || format!("schedule.{}[{i}]", machine.name());
        let (job, _) = names.job(op.job, place)?;
        operations.push(operation(job, work, op.start_ms, op.end_ms, place)?);
    }
    Ok(operations)
}

fn operation(
    job: JobId,
    work: Work,
    start_ms: f64,
    end_ms: f64,
    place: impl Fn() -> String,
) -> Result<Operation> {
    // The common case takes no place: building it for every number would cost more than reading.
    if let (Some(start), Some(end)) =
        (Time::from_milliseconds(start_ms), Time::from_milliseconds(end_ms))
    {
        return Ok(Operation { job, work, start, end });
    }
    let start = time(start_ms, &format!("{}.start_ms", place()))?;
    let end = time(end_ms, &format!("{}.end_ms", place()))?;
    Ok(Operation { job, work, start, end })
}

/// Writes `plan`, one job and one operation a line; [`read_plan`] gives the same plan back, times
/// to the nanosecond.
///
/// # Errors
/// Whatever `sink` returns.
pub fn write_plan(workload: &Workload, plan: &Plan, sink: &mut dyn Write) -> io::Result<()> {
    writeln!(sink, "{{")?;
    writeln!(sink, "  \"schema\": \"{PLAN_SCHEMA}\",")?;
    writeln!(sink, "  \"policy\": \"{}\",", plan.policy)?;
    writeln!(sink, "  \"granularity\": \"{}\",", plan.granularity)?;
    if plan.objective != Objective::default() {
        writeln!(sink, "  \"objective\": \"{}\",", plan.objective)?;
    }
    if let Some(period) = plan.period {
        writeln!(sink, "  \"period_ms\": {},", Milliseconds(period))?;
    }
    writeln!(sink, "  \"makespan_ms\": {},", Milliseconds(plan.makespan))?;
    writeln!(sink, "  \"lower_bound_ms\": {},", Milliseconds(plan.lower_bound))?;
    writeln!(sink, "  \"gap\": {},", plan.gap())?;
    writeln!(sink, "  \"optimal\": {},", plan.optimal)?;
    let layers = device_layers_in_order(workload, plan);
    write_list(sink, "  \"jobs\": [", 0..plan.partitions.len(), |sink, job| {
        write_job(sink, workload, plan, job, &layers[job])
    })?;
    writeln!(sink, ",\n  \"schedule\": {{")?;
    for (i, machine) in Machine::ALL.into_iter().enumerate() {
        let head = format!("    \"{}\": [", machine.name());
        write_list(sink, &head, plan.schedule.on(machine).iter(), |sink, op| {
            write_operation(sink, workload, op)
        })?;
        writeln!(sink, "{}", if i + 1 < Machine::ALL.len() { "," } else { "" })?;
    }
    writeln!(sink, "  }}\n}}")
}

/// The device layers of each job in the order they run.
fn device_layers_in_order(workload: &Workload, plan: &Plan) -> Vec<Vec<LayerId>> {
    let mut layers = vec![Vec::new(); workload.jobs.len()];
    for op in &plan.schedule.device {
        if let Work::Layer(layer) = op.work {
            layers[op.job.index()].push(layer);
        }
    }
    layers
}

fn write_list<T>(
    sink: &mut dyn Write,
    head: &str,
    items: impl Iterator<Item = T>,
    mut write_item: impl FnMut(&mut dyn Write, T) -> io::Result<()>,
) -> io::Result<()> {
    sink.write_all(head.as_bytes())?;
    let indent = head.len() - head.trim_start().len();
    let mut is_first = true;
    for item in items {
        let comma = if is_first { "" } else { "," };
        write!(sink, "{comma}\n{:indent$}  ", "")?;
        write_item(sink, item)?;
        is_first = false;
    }
    if is_first { write!(sink, "]") } else { write!(sink, "\n{:indent$}]", "") }
}

fn write_job(
    sink: &mut dyn Write,
    workload: &Workload,
    plan: &Plan,
    job: usize,
    layers: &[LayerId],
) -> io::Result<()> {
    let model = workload.model_of(JobId::at(job));
    write!(sink, "{{ \"job\": {job}, \"model\": ")?;
    write_name(sink, &model.name)?;
    sink.write_all(b", \"device_layers\": [")?;
    for (i, layer) in layers.iter().enumerate() {
        sink.write_all(if i == 0 { b"" } else { b", " })?;
        write_name(sink, &model.layers[layer.index()].name)?;
    }
    sink.write_all(b"], \"uploads\": [")?;
    for (i, upload) in plan.partitions[job].uploads.iter().enumerate() {
        let tensor = &model.tensors[upload.tensor.index()];
        sink.write_all(if i == 0 { b"{ \"tensor\": " } else { b", { \"tensor\": " })?;
        write_name(sink, &tensor.name)?;
        if let Some(encoding) = upload.encoding {
            sink.write_all(b", \"encoding\": ")?;
            write_name(sink, &tensor.encodings[encoding].name)?;
        }
        sink.write_all(b" }")?;
    }
    write!(sink, "], \"completion_ms\": {} }}", Milliseconds(plan.completions[job]))
}

fn write_operation(
    sink: &mut dyn Write,
    workload: &Workload,
    operation: &Operation,
) -> io::Result<()> {
    let model = workload.model_of(operation.job);
    write!(sink, "{{ \"job\": {}, ", operation.job.0)?;
    let what = match operation.work {
        Work::Layer(layer) => Some(("layer", &model.layers[layer.index()].name)),
        Work::Encode(tensor) => Some(("encode", &model.tensors[tensor.index()].name)),
        Work::Transfer(tensor) => Some(("tensor", &model.tensors[tensor.index()].name)),
        Work::Suffix | Work::Download => None,
    };
    if let Some((key, name)) = what {
        write!(sink, "\"{key}\": ")?;
        write_name(sink, name)?;
        sink.write_all(b", ")?;
    }
    let (start, end) = (Milliseconds(operation.start), Milliseconds(operation.end));
    write!(sink, "\"start_ms\": {start}, \"end_ms\": {end} }}")
}

fn write_name(sink: &mut dyn Write, name: &str) -> io::Result<()> {
    serde_json::to_writer(sink, name).map_err(io::Error::from)
}

/// A time in milliseconds, in decimal, exact to the nanosecond.
struct Milliseconds(Time);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, mut rest) =
            (self.0.nanoseconds() / 1_000_000, self.0.nanoseconds() % 1_000_000);
        let mut digits = 6;
        while digits > 1 && rest % 10 == 0 {
            rest /= 10;
            digits -= 1;
        }
        write!(f, "{whole}.{rest:0digits$}")
    }
}
