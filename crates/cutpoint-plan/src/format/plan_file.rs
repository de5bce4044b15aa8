//! `plan.json`: reading it against its workload, and writing it line by line.

use crate::cut::LayerSet;
use crate::error::{InputError, Rule, UnknownName};
use crate::format::json::{check_schema, parse};
use crate::format::limits::PLAN_BYTES_MAX;
use crate::options::{Granularity, Objective, Policy};
use crate::plan::{Machine, Operation, Partition, Plan, Schedule, Upload, Work};
use crate::units::Time;
use crate::workload::{JobId, LayerId, ModelId, TensorId, Workload};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::str::FromStr;

/// The schema of a plan file.
const PLAN_SCHEMA: &str = "cutpoint.plan/1";

/// How far the `gap` of a file may be from the one that makespan and lower bound give: files may
/// round it to four decimals.
const GAP_TOLERANCE: f64 = 0.5e-4 + 1e-9;

type Result<T, E = InputError> = std::result::Result<T, E>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile<'a> {
    #[serde(rename = "schema", deserialize_with = "schema")]
    _schema: String,
    #[serde(deserialize_with = "by_name")]
    policy: Policy,
    #[serde(deserialize_with = "by_name")]
    granularity: Granularity,
    #[serde(default, deserialize_with = "by_name")]
    objective: Objective,
    #[serde(default)]
    period_ms: Option<Time>,
    makespan_ms: Time,
    lower_bound_ms: Time,
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
    completion_ms: Time,
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
    start_ms: Time,
    end_ms: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UplinkFile<'a> {
    job: u64,
    #[serde(borrow)]
    tensor: Cow<'a, str>,
    start_ms: Time,
    end_ms: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockFile {
    job: u64,
    start_ms: Time,
    end_ms: Time,
}

fn schema<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    check_schema(deserializer, PLAN_SCHEMA)
}

fn by_name<'de, D: Deserializer<'de>, T: FromStr<Err = UnknownName>>(
    deserializer: D,
) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|e| Rule::UnknownName.in_json(e))
}

/// Reads a plan for `workload`. Names are resolved; whether the plan keeps the rules of the cost
/// model is for `check_plan` to say. Operations come out by start time.
///
/// # Errors
/// The first thing that is not of the format or not of the workload, with its place.
pub fn read_plan(json: &[u8], workload: &Workload) -> Result<Plan> {
    let file: PlanFile<'_> = parse(json, PLAN_BYTES_MAX)?;
    let jobs = workload.jobs.len();
    if file.period_ms.is_some_and(|period| period.checked_mul(jobs as u64).is_none()) {
        let message = format!("the last of {jobs} jobs arrives after more than 2^61 ns (73 years)");
        return Err(InputError::new("period_ms", Rule::TooLong, message));
    }
    let names = Names::of(workload);
    let plan = Plan {
        policy: file.policy,
        granularity: file.granularity,
        objective: file.objective,
        period: file.period_ms,
        partitions: partitions(&file.jobs, &names)?,
        schedule: schedule(&file.schedule, &names)?,
        completions: file.jobs.iter().map(|job| job.completion_ms).collect(),
        makespan: file.makespan_ms,
        lower_bound: file.lower_bound_ms,
        optimal: file.optimal,
    };
    let (found, expected) = (file.gap, plan.gap());
    let is_close = (found - expected).abs() <= GAP_TOLERANCE * expected.max(1.0);
    if !is_close {
        let message =
            format!("the gap is {expected} by makespan and lower bound, the plan says {found}");
        return Err(InputError::new("gap", Rule::WrongGap, message));
    }
    Ok(plan)
}

/// Layers and tensors by name, for each model.
struct Names<'a> {
    workload: &'a Workload,
    layers: Vec<BTreeMap<&'a str, LayerId>>,
    tensors: Vec<BTreeMap<&'a str, TensorId>>,
}

/// The place of a key that follows a dot, in a job or an operation; of the whole without a key.
type Place<'p> = &'p dyn Fn(&str) -> String;

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

    fn job(&self, job: u64, place: Place<'_>) -> Result<(JobId, ModelId)> {
        let index = usize::try_from(job).unwrap_or(usize::MAX);
        let model = self.workload.jobs.get(index).ok_or_else(|| {
            let message = format!("the workload has no job {job}");
            InputError::new(place(".job"), Rule::UnknownJob, message)
        })?;
        Ok((JobId::at(index), *model))
    }

    fn layer(&self, model: ModelId, name: &str, place: impl Fn() -> String) -> Result<LayerId> {
        let unknown = || {
            let message = format!("the job's model has no layer {name:?}");
            InputError::new(place(), Rule::UnknownLayer, message)
        };
        self.layers[model.index()].get(name).copied().ok_or_else(unknown)
    }

    fn tensor(&self, model: ModelId, name: &str, place: impl Fn() -> String) -> Result<TensorId> {
        let found = self.tensors[model.index()].get(name).copied();
        found.ok_or_else(|| InputError::unknown_tensor(place(), name))
    }
}

fn partitions(files: &[JobFile<'_>], names: &Names<'_>) -> Result<Vec<Partition>> {
    let Workload { jobs, models, .. } = names.workload;
    if files.len() != jobs.len() {
        let message = format!("the plan has {} jobs, the workload {}", files.len(), jobs.len());
        return Err(InputError::new("jobs", Rule::JobCount, message));
    }
    let partition = |((i, file), &id): ((usize, &JobFile<'_>), &ModelId)| {
        let place = |key: &str| format!("jobs[{i}]{key}");
        if file.job != i as u64 {
            let message = format!("found job {}, expected job {i}", file.job);
            return Err(InputError::new(place(".job"), Rule::JobNumber, message));
        }
        let expected = &models[id.index()].name;
        if file.model != *expected {
            let message =
                format!("the plan says model {:?}, the workload {expected:?}", file.model);
            return Err(InputError::new(place(".model"), Rule::WrongModel, message));
        }
        partition(file, id, names, &place)
    };
    files.iter().enumerate().zip(jobs).map(partition).collect()
}

fn partition(
    file: &JobFile<'_>,
    id: ModelId,
    names: &Names<'_>,
    place: Place<'_>,
) -> Result<Partition> {
    let model = &names.workload.models[id.index()];
    let mut device_layers = LayerSet::none(model);
    for (k, Name(name)) in file.device_layers.iter().enumerate() {
        let here = || place(&format!(".device_layers[{k}]"));
        if !device_layers.insert(names.layer(id, name, here)?) {
            let message = format!("layer {name:?} is listed twice");
            return Err(InputError::new(here(), Rule::RepeatedLayer, message));
        }
    }
    let upload = |(k, upload): (usize, &UploadFile<'_>)| {
        let here = |key: &str| place(&format!(".uploads[{k}].{key}"));
        let tensor = names.tensor(id, &upload.tensor, || here("tensor"))?;
        let encodings = &model.tensors[tensor.index()].encodings;
        let encoding = upload.encoding.as_ref().map(|Name(name)| {
            encodings.iter().position(|e| e.name == *name).ok_or_else(|| {
                let message = format!("the tensor has no encoding {name:?}");
                InputError::new(here("encoding"), Rule::UnknownEncoding, message)
            })
        });
        Ok(Upload { tensor, encoding: encoding.transpose()? })
    };
    let uploads = file.uploads.iter().enumerate().map(upload).collect::<Result<_>>()?;
    Ok(Partition { device_layers, uploads })
}

fn schedule(file: &ScheduleFile<'_>, names: &Names<'_>) -> Result<Schedule> {
    let device = |op: &DeviceFile<'_>, place: Place<'_>| {
        let (job, model) = names.job(op.job, place)?;
        let work = match (&op.layer, &op.encode) {
            (Some(Name(layer)), None) => {
                Work::Layer(names.layer(model, layer, || place(".layer"))?)
            }
            (None, Some(Name(tensor))) => {
                Work::Encode(names.tensor(model, tensor, || place(".encode"))?)
            }
            _ => {
                let message = "expected either `layer` or `encode`";
                return Err(InputError::new(place(""), Rule::LayerOrEncode, message));
            }
        };
        Ok(Operation { job, work, start: op.start_ms, end: op.end_ms })
    };
    let transfer = |op: &UplinkFile<'_>, place: Place<'_>| {
        let (job, model) = names.job(op.job, place)?;
        let work = Work::Transfer(names.tensor(model, &op.tensor, || place(".tensor"))?);
        Ok(Operation { job, work, start: op.start_ms, end: op.end_ms })
    };
    let block = |work: Work| {
        move |op: &BlockFile, place: Place<'_>| {
            let (job, _) = names.job(op.job, place)?;
            Ok(Operation { job, work, start: op.start_ms, end: op.end_ms })
        }
    };
    Ok(Schedule {
        device: operations(Machine::Device, &file.device, device)?,
        uplink: operations(Machine::Uplink, &file.uplink, transfer)?,
        server: operations(Machine::Server, &file.server, block(Work::Suffix))?,
        downlink: operations(Machine::Downlink, &file.downlink, block(Work::Download))?,
    })
}

fn operations<F>(
    machine: Machine,
    files: &[F],
    read: impl Fn(&F, Place<'_>) -> Result<Operation>,
) -> Result<Vec<Operation>> {
    let read = |(i, file)| read(file, &|key| format!("schedule.{}[{i}]{key}", machine.name()));
    let mut operations = files.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
    // Stable: operations without length keep the order of the file.
    operations.sort_by_key(|op| op.start);
    Ok(operations)
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
        writeln!(sink, "  \"period_ms\": {},", milliseconds(period))?;
    }
    writeln!(sink, "  \"makespan_ms\": {},", milliseconds(plan.makespan))?;
    writeln!(sink, "  \"lower_bound_ms\": {},", milliseconds(plan.lower_bound))?;
    writeln!(sink, "  \"gap\": {},", plan.gap())?;
    writeln!(sink, "  \"optimal\": {},", plan.optimal)?;
    let layers = device_layers_in_order(workload, plan);
    let jobs = layers.iter().enumerate().map(|(j, layers)| job_line(workload, plan, j, layers));
    write_list(sink, "  ", "jobs", jobs)?;
    writeln!(sink, ",\n  \"schedule\": {{")?;
    for (i, machine) in Machine::ALL.into_iter().enumerate() {
        let operations = plan.schedule.on(machine).iter().map(|op| operation_line(workload, op));
        write_list(sink, "    ", machine.name(), operations)?;
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

fn write_list(
    sink: &mut dyn Write,
    indent: &str,
    key: &str,
    lines: impl Iterator<Item = String>,
) -> io::Result<()> {
    write!(sink, "{indent}\"{key}\": [")?;
    let mut is_empty = true;
    for line in lines {
        write!(sink, "{}\n{indent}  {line}", if is_empty { "" } else { "," })?;
        is_empty = false;
    }
    if is_empty { write!(sink, "]") } else { write!(sink, "\n{indent}]") }
}

fn job_line(workload: &Workload, plan: &Plan, job: usize, layers: &[LayerId]) -> String {
    let model = workload.model_of(JobId::at(job));
    let layers: Vec<_> = layers.iter().map(|l| quoted(&model.layers[l.index()].name)).collect();
    let upload = |upload: &Upload| {
        let tensor = &model.tensors[upload.tensor.index()];
        let encoding = upload.encoding.map(|e| quoted(&tensor.encodings[e].name));
        let encoding = encoding.map_or(String::new(), |name| format!(", \"encoding\": {name}"));
        format!("{{ \"tensor\": {}{encoding} }}", quoted(&tensor.name))
    };
    let uploads: Vec<_> = plan.partitions[job].uploads.iter().map(upload).collect();
    format!(
        "{{ \"job\": {job}, \"model\": {}, \"device_layers\": [{}], \"uploads\": [{}], \
         \"completion_ms\": {} }}",
        quoted(&model.name),
        layers.join(", "),
        uploads.join(", "),
        milliseconds(plan.completions[job])
    )
}

fn operation_line(workload: &Workload, operation: &Operation) -> String {
    let model = workload.model_of(operation.job);
    let named = |key: &str, name: &str| format!("\"{key}\": {}, ", quoted(name));
    let what = match operation.work {
        Work::Layer(layer) => named("layer", &model.layers[layer.index()].name),
        Work::Encode(tensor) => named("encode", &model.tensors[tensor.index()].name),
        Work::Transfer(tensor) => named("tensor", &model.tensors[tensor.index()].name),
        Work::Suffix | Work::Download => String::new(),
    };
    let (start, end) = (milliseconds(operation.start), milliseconds(operation.end));
    let job = operation.job.0;
    format!("{{ \"job\": {job}, {what}\"start_ms\": {start}, \"end_ms\": {end} }}")
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

/// A time in milliseconds, in decimal, exact to the nanosecond.
fn milliseconds(time: Time) -> String {
    let (whole, rest) = (time.nanoseconds() / 1_000_000, time.nanoseconds() % 1_000_000);
    let text = format!("{whole}.{rest:06}");
    let digits = text.trim_end_matches('0');
    if digits.ends_with('.') { format!("{digits}0") } else { digits.to_owned() }
}
