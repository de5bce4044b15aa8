//! The jobs of a run: the configuration that the arguments make or name, and the inputs.

use super::args::Args;
use crate::args::connect::replace;
use clap::error::ErrorKind as Misuse;
use cutpoint::config::{Config, JobsConfig, ModelConfig, ModelJobs};
use std::path::Path;

/// What the arguments name, one model and its inputs or a file of several, with the settings that
/// the arguments replace.
pub(super) fn config(args: &Args) -> anyhow::Result<Config> {
    let misuse = |kind, message: &str| Err(clap::Error::raw(kind, format!("{message}\n")).into());
    let mut config = if is_config_file(&args.model) {
        if !args.inputs.is_empty() || !args.shapes.shapes.is_empty() {
            let message = "inputs and shapes are in the configuration; give no others";
            return misuse(Misuse::ArgumentConflict, message);
        }
        Config::load(&args.model)?
    } else {
        let model = args.shapes.model(&args.model);
        let model = ModelConfig { image: args.image.config(), ..model };
        let (name, inputs) = (model.name(), args.inputs.clone());
        let jobs = JobsConfig { model: name, inputs, image: None, shapes: [].into() };
        let jobs = if jobs.inputs.is_empty() { vec![] } else { vec![jobs] };
        Config { models: vec![model], jobs, ..Config::default() }
    };
    match args.stream.watch {
        Some(_) if config.models.len() != 1 || !config.jobs.is_empty() => {
            let message = "--watch takes one model, and its inputs from the folder";
            return misuse(Misuse::ArgumentConflict, message);
        }
        None if config.jobs.is_empty() => {
            let message = "no inputs: name files, or synthetic:COUNT for synthetic frames; in a \
                           configuration, add [[jobs]] with model and inputs";
            return misuse(Misuse::MissingRequiredArgument, message);
        }
        _ => {}
    }
    args.engine.apply(&mut config.device);
    args.connect.apply(&mut config.server);
    replace(&mut config.limits.patience, &args.patience_s);
    config.device.fraction = args.device_fraction.unwrap_or(config.device.fraction);
    Ok(config)
}

/// Every model with its inputs; none where files are watched for.
pub(super) fn model_jobs(args: &Args, config: &Config) -> anyhow::Result<Vec<ModelJobs>> {
    match (&args.stream.watch, &config.models[..]) {
        (Some(_), [model, ..]) => Ok(vec![ModelJobs { model: model.clone(), frames: vec![] }]),
        _ => Ok(config.model_jobs()?),
    }
}

/// Whether an argument names a configuration and not a model.
fn is_config_file(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"))
}
