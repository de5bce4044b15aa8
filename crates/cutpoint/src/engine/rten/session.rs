//! Models that rten has loaded.

use super::{convert, profile};
use crate::engine::declared::{Declared, Operator};
use crate::engine::interface::{Engine, EngineOptions, InferenceSession, ProfileRuns, Profiled};
use crate::engine::timing::of_this_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, ValueOrView};
use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const VERSION: &str = "0.27.0";

/// What to do about a model that rten cannot run, or runs wrongly.
pub(in crate::engine) const INSTALL_HINT: &str =
    "ONNX Runtime may run this model: install it with `cutpoint engine install`";

/// The engine rten. Sessions with equal thread counts share one thread pool.
#[derive(Default)]
pub struct Rten {
    pools: Mutex<Vec<(NonZeroUsize, Arc<ThreadPool>)>>,
    profiler: Option<PathBuf>,
}

impl Rten {
    /// The engine.
    pub fn new() -> Rten {
        Rten::default()
    }

    /// Lets [`Engine::profile`] time single nodes, which rten only prints: in a child process of
    /// `program`, which must answer `engine profile-rten FOLDER` as `cutpoint` does.
    #[must_use]
    pub fn with_profiler(mut self, program: PathBuf) -> Rten {
        self.profiler = Some(program);
        self
    }

    fn pool(&self, threads: NonZeroUsize) -> Arc<ThreadPool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(count, _)| *count == threads) {
            return pool.clone();
        }
        let pool = Arc::new(ThreadPool::with_num_threads(threads.get()));
        pools.push((threads, pool.clone()));
        pool
    }

    pub(super) fn session(
        &self,
        onnx: &[u8],
        options: EngineOptions,
        model_options: &ModelOptions,
    ) -> Result<RtenSession> {
        let declared = Declared::read(onnx)?;
        if let Some(operator) = declared.operators.iter().find(|o| is_known_wrong(o)) {
            let message = "rten gives wrong results for ConvInteger with padding";
            let error = Error::new(ErrorKind::Engine, message);
            return Err(error.at(format!("node {:?}", operator.node)).hint(INSTALL_HINT));
        }
        let load = || model_options.load(onnx.to_vec());
        let model = guarded(load)?.map_err(|e| {
            let error = Error::new(ErrorKind::Engine, format!("rten cannot load the model: {e}"));
            error.hint(INSTALL_HINT)
        })?;
        let ids = |names: Vec<&str>| -> Result<Vec<NodeId>> {
            let id = |name: &str| {
                model.node_id(name).map_err(|e| {
                    Error::new(ErrorKind::Engine, format!("rten lost the tensor {name:?}: {e}"))
                })
            };
            names.into_iter().map(id).collect()
        };
        let inputs = ids(declared.inputs.iter().map(|port| port.name.as_str()).collect())?;
        let outputs = ids(declared.outputs.iter().map(|port| port.name.as_str()).collect())?;
        let pool = self.pool(options.threads);
        Ok(RtenSession { model, declared, inputs, outputs, pool })
    }
}

impl Engine for Rten {
    fn name(&self) -> String {
        format!("rten {VERSION}")
    }

    fn load(&self, onnx: &[u8], options: EngineOptions) -> Result<Box<dyn InferenceSession>> {
        Ok(Box::new(self.session(onnx, options, &ModelOptions::with_all_ops())?))
    }

    fn load_unoptimized(
        &self,
        onnx: &[u8],
        options: EngineOptions,
    ) -> Result<Box<dyn InferenceSession>> {
        let mut plain = ModelOptions::with_all_ops();
        plain.enable_optimization(false);
        Ok(Box::new(self.session(onnx, options, &plain)?))
    }

    fn processor_time(&self, options: EngineOptions) -> Option<Duration> {
        if options.threads.get() > 1 {
            return None;
        }
        let of_pool = self.pool(options.threads).run(of_this_thread)?;
        Some(of_this_thread()? + of_pool)
    }

    fn profile(
        &self,
        onnx: &[u8],
        options: EngineOptions,
        inputs: &[(&str, &Tensor)],
        runs: ProfileRuns,
    ) -> Result<Option<Profiled>> {
        let profile = |program| profile::profile(program, onnx, options, inputs, runs);
        self.profiler.as_deref().map(profile).transpose()
    }
}

pub(super) struct RtenSession {
    model: Model,
    declared: Declared,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
    pool: Arc<ThreadPool>,
}

impl RtenSession {
    pub(super) fn run_with(
        &self,
        inputs: &[(&str, &Tensor)],
        options: RunOptions,
    ) -> Result<Vec<(String, Tensor)>> {
        let ordered = self.declared.order_inputs(inputs)?;
        let owned = ordered
            .iter()
            .zip(&self.declared.inputs)
            .map(|(tensor, port)| {
                convert::Converted::new(tensor)
                    .map_err(|e| e.at(format!("input {:?}", port.name)).hint(INSTALL_HINT))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut values: Vec<(NodeId, ValueOrView)> = Vec::with_capacity(owned.len());
        for ((&id, tensor), value) in self.inputs.iter().zip(&ordered).zip(&owned) {
            values.push((id, value.view(tensor.shape())?));
        }
        let options = options.with_thread_pool(Some(self.pool.clone()));
        let results =
            guarded(|| self.model.run(values, &self.outputs, Some(options)))?.map_err(|e| {
                let message = format!("rten cannot run the model: {e}");
                Error::new(ErrorKind::Engine, message).hint(INSTALL_HINT)
            })?;
        let named = self.declared.outputs.iter().zip(results).map(|(port, value)| {
            let tensor = convert::to_tensor(value, port.element_type)
                .map_err(|e| e.at(format!("output {:?}", port.name)).hint(INSTALL_HINT))?;
            Ok((port.name.clone(), tensor))
        });
        named.collect()
    }
}

impl InferenceSession for RtenSession {
    fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>> {
        self.run_with(inputs, RunOptions::default())
    }
}

/// rten 0.27.0 fills the border of a padded `ConvInteger` as if the zero point were 128.
fn is_known_wrong(operator: &Operator) -> bool {
    operator.kind == "ConvInteger" && operator.is_padded
}

/// Runs a call into rten, which panics on some malformed models; a model from a file must not end
/// the process. rten keeps no state across calls that a panic could leave half-changed, except a
/// lock around the cached plan: once poisoned, every later run of that model is an error.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let message = format!("rten panicked: {}", panic_message(panic.as_ref()));
        Error::new(ErrorKind::Engine, message).hint(INSTALL_HINT)
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
