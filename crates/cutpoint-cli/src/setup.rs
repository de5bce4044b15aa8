//! From a configuration to a session, and to what it measures.

use crate::args::encoding::EncodingArgs;
use crate::measurement;
use cutpoint::config::{Config, ModelConfig, ModelJobs};
use cutpoint::error::Result;
use cutpoint::frames::{Frame, parse_frames};
use cutpoint::input::{OnDemand, Supply};
use cutpoint::session::{Model, Profile, ProfileRequest, Session};
use std::env::current_exe;

/// Opens a session with models; `replans`: whether runs follow the link.
pub(crate) fn open<'m>(
    config: &Config,
    models: impl Iterator<Item = &'m ModelConfig>,
    replans: bool,
) -> Result<Session> {
    let load = |model: &ModelConfig| Ok(Model::from_onnx(model.name(), model.load()?));
    let mut options = config.session_options()?;
    options.select.profiler = current_exe().ok();
    options.replans = replans;
    Session::open(models.map(load).collect::<Result<_>>()?, options)
}

/// Measures the models for these numbers of jobs, and logs what was found. Encodings are measured on
/// the models' samples, or else on their jobs' inputs.
pub(crate) fn measure(
    session: &Session,
    jobs: &[ModelJobs],
    counts: Vec<usize>,
    encoding: &EncodingArgs,
    without_server: bool,
) -> Result<Profile> {
    let mut samples = Vec::new();
    for (m, of) in jobs.iter().enumerate() {
        let named = parse_frames(&of.model.samples)?;
        let frames = if named.is_empty() { of.frames.clone() } else { named };
        samples.push(OnDemand::new(frames.len(), move |k| load(session, jobs, m, &frames[k])));
    }
    let encodings = encoding.request(samples.iter().map(|s| s as &dyn Supply), without_server);
    let request = ProfileRequest { jobs: counts, encodings, ..ProfileRequest::default() };
    let profile = session.profile_with(&request)?;
    if let Some(found) = profile.measurement() {
        measurement::report(session.models(), found);
    }
    Ok(profile)
}

/// The inputs of all jobs, model by model; a job's files are read shortly before it begins.
pub(crate) fn inputs_of<'a>(session: &'a Session, jobs: &'a [ModelJobs]) -> impl Supply + 'a {
    let of_model = |(m, jobs): (usize, &'a ModelJobs)| jobs.frames.iter().map(move |f| (m, f));
    let frames: Vec<(usize, &Frame)> = jobs.iter().enumerate().flat_map(of_model).collect();
    OnDemand::new(frames.len(), move |job| load(session, jobs, frames[job].0, frames[job].1))
}

/// A frame as inputs of a model; one that cannot be loaded fails its job.
pub(crate) fn load(
    session: &Session,
    jobs: &[ModelJobs],
    model: usize,
    frame: &Frame,
) -> cutpoint::Inputs {
    let options = jobs[model].model.image.options();
    frame.load_or_fail_later(session.models()[model].onnx(), &options)
}
