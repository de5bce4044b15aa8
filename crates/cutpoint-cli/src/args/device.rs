//! The arguments of every command that has a device's part: its speed, and the models on it.

use crate::args::model::ModelArgs;
use cutpoint::device::SpeedFraction;
use cutpoint::engine::Engine;
use cutpoint::error::{Error, ErrorKind, Result};
use cutpoint::session::SessionModel;
use std::sync::Arc;

/// Loads a model and finds its layers; its name is the file's without the ending.
pub(crate) fn load(model: &ModelArgs, engine: &dyn Engine) -> Result<SessionModel> {
    let layered = model.load()?.into_layers(engine)?;
    let name = model.model.file_stem().map(|s| s.to_string_lossy().into_owned());
    Ok(SessionModel { name: name.unwrap_or_default(), model: Arc::new(layered) })
}

/// A fraction of this machine's speed.
pub(crate) fn parse_speed(text: &str) -> Result<SpeedFraction> {
    text.parse().ok().and_then(SpeedFraction::new).ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("no fraction {text:?}, expected 0.001 to 1"))
    })
}
