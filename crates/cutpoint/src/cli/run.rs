//! `cutpoint run`: what to run and on what; then `run_batch`, or `run_stream` where jobs arrive over
//! time.

use super::batch::run_batch;
use super::connect_args::{ConnectArgs, NO_SERVER};
use super::device_args;
use super::encoding_args::EncodingArgs;
use super::engine_args::EngineArgs;
use super::image_args::ImageArgs;
use super::jobs_file::{Jobs, JobsEntry, is_jobs_file, read_jobs_file};
use super::output::write_whole;
use super::source_args::{ModelArgs, parse_shape};
use super::stream::{StreamArgs, run_stream};
use crate::device::SpeedFraction;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::frames::{Frame, parse_frames};
use crate::input::{OnDemand, Supply};
use crate::profile::ProfileOptions;
use crate::run::{PATTERN_JOBS_MAX, RunModel, RunOptions, Runner, parse_workload};
use cutpoint_plan::plan::{Granularity, Policy};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ONNX file; or a jobs file, ending in .toml, that names several models and their inputs.
    model: PathBuf,

    /// The shape of an input, instead of the one in the file. Needed where the file leaves a
    /// dimension open, except the first one, which is then 1. Repeatable.
    #[arg(long = "shape", value_name = "NAME=1x3x224x224", value_parser = parse_shape)]
    shapes: Vec<(String, Vec<usize>)>,

    /// One job each: JPEG or PNG files, .npy files, glob patterns, `name=FILE,name=FILE` for a
    /// model with several inputs, or synthetic:COUNT for made frames. None with a jobs file.
    pub(super) inputs: Vec<String>,

    /// How to plan: local-only, server-only, partition-only, schedule-only, best-single, adjacent,
    /// joint or exhaustive.
    #[arg(long, default_value_t = Policy::Joint)]
    pub(super) policy: Policy,

    /// When tensors may leave: layer (as they are made) or job (after the job's last device layer).
    #[arg(long, default_value_t = Granularity::Layer)]
    pub(super) granularity: Granularity,

    /// Plan from this workload.json instead of measuring; its jobs are replaced by the inputs.
    #[arg(long, value_name = "FILE")]
    pub(super) workload: Option<PathBuf>,

    /// Outputs go to this folder as .npy files; without it, to standard output as JSON lines.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,

    /// Where trace.json goes: planned and measured operations for a trace viewer.
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,

    /// Where plan.json goes.
    #[arg(long, value_name = "FILE")]
    pub(super) plan_output: Option<PathBuf>,

    /// Where the workload.json goes that the plan is for: as it was measured, and rehearsed if it was.
    #[arg(long, value_name = "FILE")]
    pub(super) workload_output: Option<PathBuf>,

    /// The closing summary on standard error: text or json.
    #[arg(long, value_enum, default_value_t = super::output::Format::Text)]
    pub(super) format: super::output::Format,

    /// A server that owes an answer and says nothing for so many seconds is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    patience_s: f64,

    /// Keep to the plan, whatever the link does. Without this, jobs that have not begun are planned
    /// anew when the uplink's bandwidth has changed, when the server is lost, and when it is back.
    #[arg(long)]
    pub(super) no_replan: bool,

    /// Execute about so many of the jobs under the policy first, on both sides together, and plan
    /// from what they took; up to three times, until the plan has no cut that was not executed. Then a
    /// plan of up to 2 seconds is run through as a whole. Of long jobs fewer are executed, about 5
    /// seconds at a time. Needs a server.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(super) rehearse: usize,

    /// Execute again until so many milliseconds have passed, up to 21 times, and report the run whose
    /// makespan is the median: a short run alone tells little. Outputs are of the first.
    #[arg(long, value_name = "MILLISECONDS", default_value = "0", value_parser = super::plan::parse_milliseconds, allow_negative_numbers = true, conflicts_with_all = ["period_ms", "watch"])]
    pub(super) repeat_ms: Time,

    #[command(flatten)]
    pub(super) stream: StreamArgs,

    /// The device's speed as a fraction of this machine's: its compute thread rests in proportion.
    #[arg(long, value_name = "FRACTION", default_value = "1", value_parser = device_args::parse_speed)]
    device_fraction: SpeedFraction,

    #[command(flatten)]
    image: ImageArgs,

    #[command(flatten)]
    encoding: EncodingArgs,

    #[command(flatten)]
    engine: EngineArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let patience = Duration::try_from_secs_f64(args.patience_s)
        .map_err(|e| Error::new(ErrorKind::Usage, e.to_string()).at("--patience-s"))?;
    let how = RunOptions { patience, ..RunOptions::default() };
    let jobs = jobs(&args)?;
    let (engine, options) = args.engine.select()?;
    let (models, entries) = load_models(jobs.entries, &*engine)?;
    for (model, entry) in models.iter().zip(&entries) {
        entry.check_size(model.model.model())?;
    }
    let mut connect = args.connect.clone();
    connect.server = jobs.server.unwrap_or(connect.server);
    let client = connect.connect()?;
    let speed = args.device_fraction;
    let runner = Runner { engine, options, speed, models, client };
    let counts: Vec<usize> = match args.stream.watch {
        Some(_) => vec![PATTERN_JOBS_MAX; entries.len()],
        None => entries.iter().map(|entry| entry.frames.len()).collect(),
    };

    let workload = match &args.workload {
        Some(path) => given_workload(path, &runner, &counts)?,
        None => measured_workload(&args, &runner, &entries, &counts)?,
    };
    if args.stream.is_wanted() {
        return run_stream(&args, &runner, &workload, &entries, &how);
    }
    run_batch(&args, &runner, &workload, &inputs_of(&runner, &entries), &how)
}

/// What the arguments name: one model and its inputs, or a file of several.
fn jobs(args: &Args) -> anyhow::Result<Jobs> {
    let misuse = |kind, message: &str| Err(clap::Error::raw(kind, format!("{message}\n")).into());
    if args.stream.watch.is_some() && (is_jobs_file(&args.model) || !args.inputs.is_empty()) {
        let message = "--watch takes one model, and its inputs from the folder";
        return misuse(clap::error::ErrorKind::ArgumentConflict, message);
    }
    if is_jobs_file(&args.model) {
        if !args.inputs.is_empty() || !args.shapes.is_empty() {
            let message = "a jobs file names its inputs and shapes; give none besides";
            return misuse(clap::error::ErrorKind::ArgumentConflict, message);
        }
        let mut jobs = read_jobs_file(&args.model)?;
        if args.connect.server != NO_SERVER {
            jobs.server = None;
        }
        return Ok(jobs);
    }
    if args.inputs.is_empty() && args.stream.watch.is_none() {
        let message = "no inputs; name files, or synthetic:COUNT for made frames";
        return misuse(clap::error::ErrorKind::MissingRequiredArgument, message);
    }
    let model = ModelArgs { model: args.model.clone(), shapes: args.shapes.clone() };
    let entry = JobsEntry::new(model, parse_frames(&args.inputs)?, args.image.options());
    Ok(Jobs { server: None, entries: vec![entry] })
}

/// Loads each model once, under a name of its own; entries of the same model are joined if they
/// also load their inputs alike.
fn load_models(
    entries: Vec<JobsEntry>,
    engine: &dyn Engine,
) -> Result<(Vec<RunModel>, Vec<JobsEntry>), Error> {
    let mut joined: Vec<JobsEntry> = Vec::new();
    for entry in entries {
        match joined.iter_mut().find(|known| known.is_like(&entry)) {
            Some(known) => known.frames.extend(entry.frames),
            None => joined.push(entry),
        }
    }
    let mut models: Vec<RunModel> = Vec::new();
    for entry in &joined {
        let mut model = device_args::load(&entry.model, engine)?;
        let base = model.name.clone();
        let is_taken = |name: &str| models.iter().any(|m| m.name == name);
        let mut names = (2..).map(|n| format!("{base}-{n}"));
        while is_taken(&model.name) {
            model.name = names.next().expect("numbers do not end");
        }
        models.push(model);
    }
    Ok((models, joined))
}

/// The inputs of all jobs; a job's files are read shortly before it begins.
pub(super) fn inputs_of<'a>(runner: &'a Runner, entries: &'a [JobsEntry]) -> impl Supply + 'a {
    let of_entry = |(e, entry): (usize, &'a JobsEntry)| entry.frames.iter().map(move |f| (e, f));
    let frames: Vec<(usize, &Frame)> = entries.iter().enumerate().flat_map(of_entry).collect();
    OnDemand::new(frames.len(), move |job| {
        let (e, frame) = frames[job];
        frame.load_or_fail_later(runner.models[e].model.model(), &entries[e].options)
    })
}

/// The workload as models, link and server are now.
fn measured_workload(
    args: &Args,
    runner: &Runner,
    entries: &[JobsEntry],
    counts: &[usize],
) -> anyhow::Result<Workload> {
    let frames: Vec<_> = entries.iter().map(|e| (e.frames.as_slice(), &e.options)).collect();
    let encodings = match runner.client {
        Some(_) => args.encoding.options(&runner.models, &frames),
        None => None,
    };
    let measurement = runner.measure(counts, &ProfileOptions::default(), encodings.as_ref())?;
    super::profile::report(runner, &measurement);
    if let Some(path) = &args.workload_output {
        let text = serde_json::to_string_pretty(&measurement.workload_json)?;
        write_whole(path, format!("{text}\n").as_bytes())?;
    }
    Ok(measurement.workload)
}

/// The workload in a file, with as many jobs of each model as there are inputs.
fn given_workload(path: &Path, runner: &Runner, counts: &[usize]) -> anyhow::Result<Workload> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::new(ErrorKind::File, format!("cannot be read: {e}")).at(&place))?;
    let mut json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|e| Error::new(ErrorKind::Workload, e.to_string()).at(&place))?;
    let jobs = runner.models.iter().zip(counts);
    let jobs = jobs.map(|(m, count)| serde_json::json!({ "model": m.name, "count": count }));
    json["jobs"] = jobs.collect();
    let workload = parse_workload(&json.to_string(), &place)?;
    runner.check_fits(&workload).map_err(|e| e.at(&place))?;
    Ok(workload)
}

pub(crate) fn progress_bar(count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} jobs {elapsed}")
        .expect("a valid template");
    ProgressBar::new(count as u64).with_style(style)
}
