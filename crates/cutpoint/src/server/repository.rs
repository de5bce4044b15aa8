//! Which models the server holds, under which names, and how they came.

use super::status;
use crate::engine::declared::Declared;
use crate::engine::{Engine, EngineOptions, InferenceSession, warm_up};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MODELS_MAX;
use crate::onnx::{LayeredModel, OnnxModel, ReadOptions};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tonic::Status;

/// A model that the server is started with.
pub struct ServedModel {
    /// Its name in requests.
    pub name: String,
    /// The model, ready to be split.
    pub model: LayeredModel,
}

/// Where a model comes from.
pub(super) enum Origin {
    /// It was given at the start, and stays.
    Given(Arc<LayeredModel>),
    /// A client sent it.
    Pushed(Bytes),
    /// The server cut it from another one.
    Suffix,
}

/// A model that is ready to run on every executor.
pub(super) struct LoadedModel {
    pub(super) name: String,
    /// Of the file that it comes from, in hexadecimal digits.
    pub(super) sha256: String,
    pub(super) declared: Declared,
    origin: Origin,
    /// What distinguishes the content from another's.
    pub(super) content: String,
    /// By executor; `None` after the engine has panicked.
    sessions: Vec<Mutex<Option<Box<dyn InferenceSession>>>>,
    statistics: Mutex<Statistics>,
}

impl std::fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedModel").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Counts since the model was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    pub(super) successes: u64,
    pub(super) success: Duration,
    pub(super) failures: u64,
    pub(super) failure: Duration,
    pub(super) queue: Duration,
    pub(super) compute: Duration,
    pub(super) last: Option<Instant>,
}

impl Statistics {
    pub(super) fn record(&mut self, queue: Duration, compute: Duration, is_success: bool) {
        self.last = Some(Instant::now());
        if is_success {
            self.successes += 1;
            self.success += queue + compute;
            self.queue += queue;
            self.compute += compute;
        } else {
            self.failures += 1;
            self.failure += queue + compute;
        }
    }
}

impl LoadedModel {
    pub(super) fn is_suffix(&self) -> bool {
        matches!(self.origin, Origin::Suffix)
    }

    pub(super) fn statistics(&self) -> MutexGuard<'_, Statistics> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends an executor's session.
    pub(super) fn with_session<T>(
        &self,
        executor: usize,
        work: impl FnOnce(&mut dyn InferenceSession) -> Result<T>,
    ) -> Result<T> {
        let engine = |message: &str| Error::new(ErrorKind::Engine, message).at(&self.name);
        let slot = self.sessions.get(executor).expect("every executor has a session");
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(session) = slot.as_deref_mut() else {
            return Err(engine("the engine has panicked on this model; load it again"));
        };
        let result = catch_unwind(AssertUnwindSafe(|| work(session)));
        result.unwrap_or_else(|_| {
            *slot = None;
            Err(engine("the engine has panicked"))
        })
    }

    /// The model to cut suffixes from.
    pub(super) fn layered(&self, engine: &dyn Engine) -> Result<Arc<LayeredModel>> {
        match &self.origin {
            Origin::Given(model) => Ok(model.clone()),
            Origin::Pushed(onnx) => {
                let model =
                    OnnxModel::from_bytes(onnx.clone(), &self.name, &ReadOptions::default())?;
                Ok(Arc::new(model.into_layers(engine)?))
            }
            Origin::Suffix => {
                Err(Error::new(ErrorKind::Usage, "a suffix is not split again").at(&self.name))
            }
        }
    }
}

/// A model to be loaded.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) content: String,
    pub(super) origin: Origin,
    pub(super) onnx: Bytes,
}

/// All models of a server.
pub(super) struct Repository {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) options: EngineOptions,
    pub(super) executors: NonZeroUsize,
    models: RwLock<BTreeMap<String, Arc<LoadedModel>>>,
    /// Held while a model is loaded, so that loads do not multiply their memory.
    loading: Mutex<()>,
}

impl Repository {
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        options: EngineOptions,
        executors: NonZeroUsize,
    ) -> Repository {
        let (models, loading) = (RwLock::default(), Mutex::default());
        Repository { engine, options, executors, models, loading }
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<LoadedModel>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All models, by name.
    pub(super) fn all(&self) -> Vec<Arc<LoadedModel>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The model that comes from the file with this SHA-256 and can be split.
    pub(super) fn find_source(&self, sha256: &str) -> Option<Arc<LoadedModel>> {
        self.all().into_iter().find(|m| m.sha256 == sha256 && !m.is_suffix())
    }

    /// Loads a model for a client. Takes as long as the engine takes, so it is not for the network's
    /// threads.
    pub(super) fn load(&self, candidate: Candidate) -> Result<(), Status> {
        let _turn = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        match self.admit(&candidate)? {
            true => Ok(()),
            false => self.insert(candidate).map_err(|error| status::of_error(&error)),
        }
    }

    /// Loads a model, on as many sessions as there are executors.
    pub(super) fn insert(&self, candidate: Candidate) -> Result<()> {
        let place = |e: Error| e.at(&candidate.name);
        let declared = Declared::read(&candidate.onnx).map_err(place)?;
        let load = || {
            let loaded =
                catch_unwind(AssertUnwindSafe(|| self.engine.load(&candidate.onnx, self.options)));
            let panicked = |_| Err(Error::new(ErrorKind::Engine, "the engine has panicked"));
            loaded.unwrap_or_else(panicked).map_err(place)
        };
        let session = |_| {
            let mut session = load()?;
            // A session that panics on made-up values is not to be trusted with others.
            let warmed = catch_unwind(AssertUnwindSafe(|| warm_up(&mut *session, &declared)));
            if warmed.is_err() {
                session = load()?;
            }
            Ok(Mutex::new(Some(session)))
        };
        let sessions = (0..self.executors.get()).map(session).collect::<Result<_>>()?;
        let Candidate { name, sha256, content, origin, .. } = candidate;
        log::info!("model {name} is loaded");
        let statistics = Mutex::default();
        let model = LoadedModel { name, sha256, declared, origin, content, sessions, statistics };
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        models.insert(model.name.clone(), Arc::new(model));
        Ok(())
    }

    /// Whether the very model is there already.
    fn admit(&self, candidate: &Candidate) -> Result<bool, Status> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        match models.get(&candidate.name) {
            Some(held) if held.content == candidate.content => Ok(true),
            // Who pushes again under a name means to replace what was pushed.
            Some(held) => match (&held.origin, &candidate.origin) {
                (Origin::Pushed(_), Origin::Pushed(_)) => Ok(false),
                _ => Err(Status::already_exists(format!(
                    "model `{}` is there already, with other content; choose another name",
                    candidate.name
                ))),
            },
            None if models.len() >= MODELS_MAX => {
                Err(Status::resource_exhausted("too many models; unload some"))
            }
            None => Ok(false),
        }
    }

    /// Drops a model that a client loaded. Jobs that wait for it are still computed.
    pub(super) fn unload(&self, name: &str) -> Result<(), Status> {
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        match models.get(name).map(|m| &m.origin) {
            None => Err(status::unknown_model(name)),
            Some(Origin::Given(_)) => Err(Status::failed_precondition(format!(
                "model `{name}` was given when the server started, and stays"
            ))),
            Some(_) => {
                models.remove(name);
                log::info!("model {name} is unloaded");
                Ok(())
            }
        }
    }
}
