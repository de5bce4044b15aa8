//! `cutpoint run`: what to run and on what; then `run_batch`, or `run_stream` where jobs arrive over
//! time.

mod args;
mod batch;
mod jobs;
mod jobs_file;
mod repeat;
mod stream;

pub(crate) use args::Args;

use crate::files::write_whole;
use crate::measurement;
use batch::run_batch;
use cutpoint::error::{Error, ErrorKind};
use cutpoint::input::Supply;
use cutpoint::session::{
    DeviceSide, EncodingRequest, PATTERN_JOBS_MAX, ProfileRequest, RunOptions, parse_workload,
};
use cutpoint_plan::format::write_workload;
use cutpoint_plan::workload::Workload;
use jobs::{inputs_of, jobs, load_models};
use jobs_file::JobsEntry;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use stream::run_stream;

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
    let runner = DeviceSide { engine, options, speed, models, client, replans: !args.no_replan };
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

/// The workload as models, link and server are now.
fn measured_workload(
    args: &Args,
    runner: &DeviceSide,
    entries: &[JobsEntry],
    counts: &[usize],
) -> anyhow::Result<Workload> {
    let frames: Vec<_> = entries.iter().map(|e| (e.frames.as_slice(), &e.options)).collect();
    let encodings = match runner.client {
        Some(_) => args.encoding.options(&runner.models, &frames),
        None => None,
    };
    let measurement = runner.measure(&ProfileRequest {
        jobs: counts.to_vec(),
        encodings: encodings.as_ref().map(|measured_on| EncodingRequest {
            budget: measured_on.budget,
            inputs: measured_on.inputs.iter().map(|inputs| inputs as &dyn Supply).collect(),
            without_server: true,
        }),
        ..ProfileRequest::default()
    })?;
    measurement::report(runner, &measurement);
    if let Some(path) = &args.workload_output {
        let mut text = Vec::new();
        write_workload(&measurement.workload, &mut text)?;
        write_whole(path, &text)?;
    }
    Ok(measurement.workload)
}

/// The workload in a file, with as many jobs of each model as there are inputs.
fn given_workload(path: &Path, runner: &DeviceSide, counts: &[usize]) -> anyhow::Result<Workload> {
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
