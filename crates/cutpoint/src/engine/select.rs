//! Which engine runs: the one that was asked for, or the best that is there.

use super::interface::Engine;
use super::optimization::Optimization;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::path::{Path, PathBuf};
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

/// Further options of an engine when it is selected.
#[derive(Clone, Debug, Default)]
pub struct SelectOptions {
    /// How far ONNX Runtime may rewrite models.
    pub optimization: Optimization,
    /// The program for `Rten::with_profiler`.
    pub profiler: Option<PathBuf>,
}

/// The engine of a choice; says at level info which one it is.
///
/// # Errors
/// [`ErrorKind::Engine`] if the engine was not compiled in, or if ONNX Runtime is asked for and not
/// found, too old, or not loadable. With rten compiled in, `Auto` never fails: a library that
/// cannot be used is named in a warning.
pub fn select(choice: &EngineChoice, options: &SelectOptions) -> Result<Arc<dyn Engine>> {
    let has_rten = cfg!(feature = "rten");
    let engine = match choice {
        EngineChoice::Rten => built_in::rten(options)?,
        EngineChoice::OnnxRuntime(path) => built_in::onnxruntime(path.as_deref(), options)?,
        EngineChoice::Auto if has_rten && !built_in::finds_onnxruntime() => {
            built_in::rten(options)?
        }
        EngineChoice::Auto => match built_in::onnxruntime(None, options) {
            Err(error) if has_rten => {
                log::warn!("ONNX Runtime cannot be used, falling back to rten: {error}");
                built_in::rten(options)?
            }
            found => found?,
        },
    };
    log::info!("engine: {}", engine.name());
    Ok(engine)
}

/// The engines that are compiled in, and errors for those that are not.
mod built_in {
    use super::*;

    #[cfg(feature = "rten")]
    pub(super) fn rten(options: &SelectOptions) -> Result<Arc<dyn Engine>> {
        let rten = crate::engine::rten::Rten::new();
        Ok(Arc::new(match &options.profiler {
            Some(program) => rten.with_profiler(program.clone()),
            None => rten,
        }))
    }

    #[cfg(not(feature = "rten"))]
    pub(super) fn rten(_: &SelectOptions) -> Result<Arc<dyn Engine>> {
        Err(Error::without_feature(ErrorKind::Engine, "rten"))
    }

    #[cfg(feature = "onnxruntime")]
    pub(super) fn onnxruntime(
        path: Option<&Path>,
        options: &SelectOptions,
    ) -> Result<Arc<dyn Engine>> {
        let found = crate::engine::onnxruntime::OnnxRuntime::find(path)?;
        Ok(Arc::new(found.with_optimization(options.optimization)))
    }

    #[cfg(not(feature = "onnxruntime"))]
    pub(super) fn onnxruntime(_: Option<&Path>, _: &SelectOptions) -> Result<Arc<dyn Engine>> {
        Err(Error::without_feature(ErrorKind::Engine, "onnxruntime"))
    }

    #[cfg(feature = "onnxruntime")]
    pub(super) fn finds_onnxruntime() -> bool {
        crate::engine::onnxruntime::OnnxRuntime::is_present()
    }

    #[cfg(not(feature = "onnxruntime"))]
    pub(super) fn finds_onnxruntime() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_printed_alike() {
        for text in ["auto", "rten", "onnxruntime", "onnxruntime:/lib/x:y.so"] {
            assert_eq!(text.parse::<EngineChoice>().unwrap().to_string(), text);
        }
        for text in ["", "Rten", "rten:x", "onnxruntime:", "tract"] {
            let error = text.parse::<EngineChoice>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        }
    }

    #[test]
    #[cfg(not(feature = "rten"))]
    fn an_engine_that_was_not_compiled_in_is_an_error_with_a_hint() {
        let error = select(&EngineChoice::Rten, &SelectOptions::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Engine);
        assert_eq!(error.to_string(), "built without the feature \"rten\"");
        assert!(error.advice().is_some());
    }

    #[test]
    #[cfg(feature = "onnxruntime")]
    fn a_missing_library_is_an_error_if_requested() {
        let choice = EngineChoice::OnnxRuntime(Some("/nonexistent/libonnxruntime.so".into()));
        let error = select(&choice, &SelectOptions::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Engine);
        assert!(error.to_string().starts_with("/nonexistent/libonnxruntime.so: "), "{error}");
    }
}
