//! Arguments that say which engine runs a model, and with how many threads.

use super::connect::replace;
use cutpoint::config::DeviceConfig;
use cutpoint::engine::Optimization;
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
    /// auto, rten, onnxruntime, or onnxruntime:LIBRARY; auto is ONNX Runtime if its library is found
    /// (ORT_DYLIB_PATH, or after `cutpoint engine install`), else the embedded rten [default: auto].
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineChoice>,

    /// How many threads one inference may use [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// How far ONNX Runtime may rewrite a model before it runs: off, basic, extended or all; has no
    /// effect on rten [default: all].
    #[arg(long, value_name = "LEVEL")]
    optimization: Option<Optimization>,
}

impl EngineArgs {
    /// Replaces what the arguments name in a configuration.
    pub(crate) fn apply(&self, device: &mut DeviceConfig) {
        if let Some(engine) = &self.engine {
            device.engine.clone_from(engine);
        }
        replace(&mut device.threads, &self.threads);
        device.optimization = self.optimization.unwrap_or(device.optimization);
    }

    /// The engine that the arguments name, and how to load models with it.
    pub(crate) fn select(&self) -> Result<(Arc<dyn Engine>, EngineOptions)> {
        let mut device = DeviceConfig::default();
        self.apply(&mut device);
        select_engine(&device)
    }
}

/// The engine of a configuration, and how to load models with it. Logs which engine it is.
pub(crate) fn select_engine(device: &DeviceConfig) -> Result<(Arc<dyn Engine>, EngineOptions)> {
    let cores = || available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = SelectOptions { optimization: device.optimization, profiler: current_exe().ok() };
    let engine = select(&device.engine, &options)?;
    Ok((engine, EngineOptions { threads: device.threads.unwrap_or_else(cores) }))
}
