//! The interface of engines: load a model, run it, time its nodes.

use crate::error::Result;
use crate::tensor::Tensor;
use std::num::NonZeroUsize;
use std::time::Duration;

/// How to load a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How many threads one run may use.
    pub threads: NonZeroUsize,
}

/// An inference engine.
pub trait Engine: Send + Sync {
    /// Name and version, for example `rten 0.27.0`.
    fn name(&self) -> String;

    /// Loads a model from the bytes of an ONNX file without external data.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Engine`] if the engine cannot run the model, or is known to run
    /// it wrongly; the hint names an engine that can.
    fn load(&self, onnx: &[u8], options: EngineOptions) -> Result<Box<dyn InferenceSession>>;

    /// Loads a model to be run node by node as it is in the file, where the engine can do that: for
    /// models that have intermediate tensors as outputs, which optimisation may remove or merge.
    ///
    /// # Errors
    /// As [`Engine::load`].
    fn load_unoptimized(
        &self,
        onnx: &[u8],
        options: EngineOptions,
    ) -> Result<Box<dyn InferenceSession>> {
        self.load(onnx, options)
    }

    /// The processor time that the calling thread, and the threads that compute for it, have used so
    /// far, for sessions loaded with these options; `None` where that cannot be told from the time
    /// of the program's other threads.
    fn processor_time(&self, options: EngineOptions) -> Option<Duration> {
        let _ = options;
        None
    }

    /// Runs a model with the engine's own clock on every node, and as often without, in turns;
    /// `None` if the engine has no such clock in this program.
    ///
    /// Nodes in the bodies of control-flow operators are left out if their names start with
    /// [`BODY_PREFIX`]: their time is part of the operator's.
    ///
    /// # Errors
    /// As [`Engine::load`] and [`InferenceSession::run`].
    fn profile(
        &self,
        onnx: &[u8],
        options: EngineOptions,
        inputs: &[(&str, &Tensor)],
        runs: ProfileRuns,
    ) -> Result<Option<Profiled>>;
}

/// How often a model is run to time its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileRuns {
    /// Runs that come first and do not count.
    pub warm_up: usize,
    /// Runs that count.
    pub repeats: usize,
}

/// An engine's measurements of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiled {
    /// The nodes in the order in which they ran.
    pub nodes: Vec<NodeTimes>,
    /// The time of each run without the clock.
    pub whole: Vec<Duration>,
    /// The share of the time in which the engine's threads were ready to run and waited for a
    /// processor; `None` where the operating system does not say.
    pub waiting: Option<f64>,
}

/// The times of one node in each run that counts, by the engine's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTimes {
    /// Its name. Where the engine fused nodes, it is made from the name of one of them or of the
    /// last tensor that they write; where the engine added a node, it is the engine's own.
    pub node: String,
    /// The tensors that it writes, if the engine says so.
    pub tensors: Vec<String>,
    /// Its operator, as the engine calls it.
    pub operator: String,
    /// One duration for each run; zero where the node did not run.
    pub times: Vec<Duration>,
}

/// What the names of nodes in the bodies of control-flow operators start with in a model that is
/// to be profiled.
pub const BODY_PREFIX: &str = "cutpoint_body/";

/// A model that is loaded and ready to run.
pub trait InferenceSession: Send {
    /// Runs once: every input of the model by name; returns every output, in the model's order and
    /// of the element type that the model declares for it.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if an input is missing, unknown or of the wrong shape or
    /// element type; [`crate::error::ErrorKind::Engine`] if the engine fails.
    fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>>;
}
