//! Which engine runs: the one that was asked for, or the best that is there.

use super::Engine;
use super::onnxruntime::{OnnxRuntime, Optimization};
use super::rten::Rten;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// The engine that a user asks for: `auto`, `rten`, `onnxruntime`, or `onnxruntime:LIBRARY`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// ONNX Runtime where a usable library is found, else rten.
    #[default]
    Auto,
    /// The embedded engine.
    Rten,
    /// ONNX Runtime, from this library, or from where it is found.
    OnnxRuntime(Option<PathBuf>),
}

impl FromStr for EngineChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<EngineChoice> {
        match text.split_once(':') {
            None if text == "auto" => Ok(EngineChoice::Auto),
            None if text == "rten" => Ok(EngineChoice::Rten),
            None if text == "onnxruntime" => Ok(EngineChoice::OnnxRuntime(None)),
            Some(("onnxruntime", path)) if !path.is_empty() => {
                Ok(EngineChoice::OnnxRuntime(Some(path.into())))
            }
            _ => {
                let expected = "expected auto, rten, onnxruntime or onnxruntime:LIBRARY";
                Err(Error::new(ErrorKind::Usage, format!("no engine {text:?}, {expected}")))
            }
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineChoice::Auto => f.write_str("auto"),
            EngineChoice::Rten => f.write_str("rten"),
            EngineChoice::OnnxRuntime(None) => f.write_str("onnxruntime"),
            EngineChoice::OnnxRuntime(Some(path)) => write!(f, "onnxruntime:{}", path.display()),
        }
    }
}

/// The engine of a choice, with every optimisation; says at level info which one it is.
///
/// # Errors
/// [`ErrorKind::Engine`] if ONNX Runtime is asked for and not found, too old, or not loadable.
/// `Auto` never fails: a library that cannot be used is named in a warning.
pub fn select(choice: &EngineChoice) -> Result<Arc<dyn Engine>> {
    select_with(choice, Optimization::default())
}

/// The same, with ONNX Runtime's graph optimisations held to a level.
///
/// # Errors
/// As [`select`].
pub fn select_with(choice: &EngineChoice, optimization: Optimization) -> Result<Arc<dyn Engine>> {
    let runtime = |path: Option<&PathBuf>| -> Result<Arc<dyn Engine>> {
        Ok(Arc::new(OnnxRuntime::find(path.map(PathBuf::as_path))?.with_optimization(optimization)))
    };
    let engine: Arc<dyn Engine> = match choice {
        EngineChoice::Rten => Arc::new(Rten::new()),
        EngineChoice::OnnxRuntime(path) => runtime(path.as_ref())?,
        EngineChoice::Auto if !OnnxRuntime::is_present() => Arc::new(Rten::new()),
        EngineChoice::Auto => runtime(None).unwrap_or_else(|error| {
            log::warn!("ONNX Runtime cannot be used, falling back to rten: {error}");
            Arc::new(Rten::new())
        }),
    };
    log::info!("engine: {}", engine.name());
    Ok(engine)
}
