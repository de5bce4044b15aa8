//! The jobs of a run: models, and the inputs of each.

use super::args::Args;
use super::jobs_file::{Jobs, JobsEntry, is_jobs_file, read_jobs_file};
use crate::args::connect::NO_SERVER;
use crate::args::device;
use crate::args::model::ModelArgs;
use cutpoint::engine::Engine;
use cutpoint::error::Error;
use cutpoint::frames::{Frame, parse_frames};
use cutpoint::input::{OnDemand, Supply};
use cutpoint::session::{DeviceSide, SessionModel};

/// What the arguments name: one model and its inputs, or a file of several.
pub(super) fn jobs(args: &Args) -> anyhow::Result<Jobs> {
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
pub(super) fn load_models(
    entries: Vec<JobsEntry>,
    engine: &dyn Engine,
) -> Result<(Vec<SessionModel>, Vec<JobsEntry>), Error> {
    let mut joined: Vec<JobsEntry> = Vec::new();
    for entry in entries {
        match joined.iter_mut().find(|known| known.is_like(&entry)) {
            Some(known) => known.frames.extend(entry.frames),
            None => joined.push(entry),
        }
    }
    let mut models: Vec<SessionModel> = Vec::new();
    for entry in &joined {
        let mut model = device::load(&entry.model, engine)?;
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
pub(super) fn inputs_of<'a>(runner: &'a DeviceSide, entries: &'a [JobsEntry]) -> impl Supply + 'a {
    let of_entry = |(e, entry): (usize, &'a JobsEntry)| entry.frames.iter().map(move |f| (e, f));
    let frames: Vec<(usize, &Frame)> = entries.iter().enumerate().flat_map(of_entry).collect();
    OnDemand::new(frames.len(), move |job| {
        let (e, frame) = frames[job];
        frame.load_or_fail_later(runner.models[e].model.model(), &entries[e].options)
    })
}
