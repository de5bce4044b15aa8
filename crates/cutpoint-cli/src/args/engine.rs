//! The arguments that say which engine runs a model, and with how many threads.

use cutpoint::engine::onnxruntime::Optimization;
use cutpoint::engine::select::{EngineChoice, SelectOptions, select};
use cutpoint::engine::{Engine, EngineOptions};
use cutpoint::error::Result;
use std::env::current_exe;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

/// Flattened into every subcommand that runs models.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// auto, rten, onnxruntime, or onnxruntime:LIBRARY; auto is ONNX Runtime where its library is
    /// found (ORT_DYLIB_PATH, or after `cutpoint engine install`), else the embedded rten.
    #[arg(long, value_name = "ENGINE", default_value_t = EngineChoice::Auto)]
    pub(crate) engine: EngineChoice,

    /// How many threads one inference may use [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// How far ONNX Runtime may rewrite a model before it runs: off, basic, extended or all; without
    /// effect on rten.
    #[arg(long, value_name = "LEVEL", default_value = "all")]
    pub(crate) optimization: Optimization,
}

impl EngineArgs {
    /// The engine, and how to load models with it. Says on standard error which engine it is.
    pub(crate) fn select(&self) -> Result<(Arc<dyn Engine>, EngineOptions)> {
        let cores = || available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let threads = self.threads.unwrap_or_else(cores);
        let profiler = current_exe().ok();
        let engine =
            select(&self.engine, &SelectOptions { optimization: self.optimization, profiler })?;
        Ok((engine, EngineOptions { threads }))
    }
}
