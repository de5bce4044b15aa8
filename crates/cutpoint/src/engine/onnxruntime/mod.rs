//! ONNX Runtime, loaded when the program runs from a shared library of version 1.23 or later.
//!
//! A process holds one library and one environment of it, for as long as it lives. The version is
//! checked twice before anything of the library is used: in the file, and by what it answers once
//! loaded. Version 1.22 would end the process when a session is made.
//!
//! Worker threads spin while a run lasts, which is faster between small operators, and stop when
//! it returns, so that they take no time from the threads that encode, send and receive.
//!
//! Some published builds record usage events in the user's cache. They are turned off here, but
//! events from loading the library can only be kept out by `ORT_DISABLE_TELEMETRY=1` in the
//! environment before the process starts; the program `cutpoint` sees to that.

mod convert;
mod library;
mod trace;

use super::declared::Declared;
use super::interface::{Engine, EngineOptions, InferenceSession, ProfileRuns, Profiled};
use super::optimization::Optimization;
use super::timing::{WaitClock, of_this_thread};
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session as OrtSession, SessionInputValue};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use library::{VERSION_MIN, Version};

/// ONNX Runtime from one shared library.
pub struct OnnxRuntime {
    environment: Environment,
    path: PathBuf,
    version: Option<Version>,
    optimization: Optimization,
}

impl OnnxRuntime {
    /// Loads ONNX Runtime from `path`, or else from where [`OnnxRuntime::is_present`] looks.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`] if there is no library, if it is older than [`VERSION_MIN`], if it
    /// cannot be loaded, or if this process already holds another one.
    pub fn find(path: Option<&Path>) -> Result<OnnxRuntime> {
        let path = match path {
            Some(path) => path.to_path_buf(),
            None => library::locate().ok_or_else(|| {
                let message = "no ONNX Runtime library is installed";
                Error::new(ErrorKind::Engine, message).hint(
                    "run `cutpoint engine install`, or set ORT_DYLIB_PATH to libonnxruntime.so",
                )
            })?,
        };
        let loaded = library::load(&path).map_err(|e| e.at(path.display()))?;
        let (environment, version) = (loaded.environment, loaded.version);
        Ok(OnnxRuntime { environment, path, version, optimization: Optimization::default() })
    }

    /// Whether a library lies where one is looked for: at `ORT_DYLIB_PATH` if that is set, else
    /// where `cutpoint engine install` puts it. It may still be too old.
    pub fn is_present() -> bool {
        library::locate().is_some()
    }

    /// The same library with the graph optimisations held to a level.
    #[must_use]
    pub fn with_optimization(mut self, optimization: Optimization) -> OnnxRuntime {
        self.optimization = optimization;
        self
    }

    /// The shared library in use.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn builder(&self, options: EngineOptions) -> Result<SessionBuilder, ort::Error> {
        self.builder_with(options, self.optimization)
    }

    fn builder_with(
        &self,
        options: EngineOptions,
        optimization: Optimization,
    ) -> Result<SessionBuilder, ort::Error> {
        let level = match optimization {
            Optimization::Off => GraphOptimizationLevel::Disable,
            Optimization::Basic => GraphOptimizationLevel::Level1,
            Optimization::Extended => GraphOptimizationLevel::Level2,
            Optimization::All => GraphOptimizationLevel::All,
        };
        let builder = OrtSession::builder(&self.environment)?
            .with_optimization_level(level)?
            .with_intra_threads(options.threads.get())?
            .with_inter_threads(1)?
            .with_config_entry("session.force_spinning_stop", "1")?;
        Ok(builder)
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> String {
        match self.version {
            Some(version) => format!("onnxruntime {version}"),
            None => "onnxruntime".into(),
        }
    }

    fn load(&self, onnx: &[u8], options: EngineOptions) -> Result<Box<dyn InferenceSession>> {
        Ok(Box::new(RuntimeSession::new(self.builder(options), onnx)?))
    }

    fn load_unoptimized(
        &self,
        onnx: &[u8],
        options: EngineOptions,
    ) -> Result<Box<dyn InferenceSession>> {
        let builder = self.builder_with(options, Optimization::Off);
        Ok(Box::new(RuntimeSession::new(builder, onnx)?))
    }

    fn processor_time(&self, options: EngineOptions) -> Option<Duration> {
        // With one thread, a session computes on the thread that calls it.
        of_this_thread().filter(|_| options.threads.get() == 1)
    }

    fn profile(
        &self,
        onnx: &[u8],
        options: EngineOptions,
        inputs: &[(&str, &Tensor)],
        runs: ProfileRuns,
    ) -> Result<Option<Profiled>> {
        let folder = tempfile::tempdir().map_err(|e| {
            Error::new(ErrorKind::File, "no temporary folder for the profile").because(e)
        })?;
        let builder = self.builder(options).and_then(|builder| {
            let builder = builder.with_profiling(folder.path().join("profile"))?;
            Ok(builder)
        });
        let mut clocked = RuntimeSession::new(builder, onnx)?;
        let mut plain = RuntimeSession::new(self.builder(options), onnx)?;
        let mut whole = Vec::with_capacity(runs.warm_up + runs.repeats);
        let clock = WaitClock::start();
        for _ in 0..runs.warm_up + runs.repeats {
            let start = Instant::now();
            plain.run(inputs)?;
            whole.push(start.elapsed());
            clocked.run(inputs)?;
        }
        let waiting = clock.share(options.threads);
        let written = clocked.session.end_profiling();
        let written = written.map_err(|e| failed("cannot write its profile", &e))?;
        let nodes = trace::read(Path::new(&written), runs)?;
        Ok(Some(Profiled { nodes, whole: whole.split_off(runs.warm_up), waiting }))
    }
}

struct RuntimeSession {
    session: OrtSession,
    declared: Declared,
}

impl RuntimeSession {
    fn new(builder: Result<SessionBuilder, ort::Error>, onnx: &[u8]) -> Result<RuntimeSession> {
        let declared = Declared::read(onnx)?;
        let session = builder.and_then(|mut builder| builder.commit_from_memory(onnx));
        let session = session.map_err(|e| failed("cannot load the model", &e))?;
        Ok(RuntimeSession { session, declared })
    }

    fn run_ordered(&mut self, ordered: &[&Tensor]) -> Result<Vec<(String, Tensor)>> {
        let owned: Vec<_> = ordered.iter().map(|tensor| convert::Aligned::new(tensor)).collect();
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        for (port, values) in self.declared.inputs.iter().zip(&owned) {
            let value =
                values.view().map_err(|e| failed("cannot take an input", &e).at(&port.name))?;
            inputs.push((port.name.as_str().into(), value));
        }
        let found = self.session.run(inputs).map_err(|e| failed("cannot run the model", &e))?;
        let named = self.declared.outputs.iter().map(|port| {
            let value = found.get(&port.name).ok_or_else(|| {
                let message = format!("ONNX Runtime gave no output {:?}", port.name);
                Error::new(ErrorKind::Engine, message)
            })?;
            let tensor = convert::to_tensor(value).map_err(|e| e.at(&port.name))?;
            Ok((port.name.clone(), tensor))
        });
        named.collect()
    }
}

impl InferenceSession for RuntimeSession {
    fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>> {
        let ordered = self.declared.order_inputs(inputs)?;
        self.run_ordered(&ordered)
    }
}

fn failed(what: &str, error: &ort::Error) -> Error {
    Error::new(ErrorKind::Engine, format!("ONNX Runtime {what}: {error}"))
}
