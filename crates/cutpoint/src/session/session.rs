//! A device with its models, and the server it is connected to.

use super::device_side::Runner;
use super::model::Model;
use super::options::{RunModel, RunOptions};
use super::outcome::{Outcome, Outputs};
use super::plan::{Planned, Profile};
use super::running::Running;
use crate::device::{Cancel, Prepared, SpeedFraction};
use crate::engine::EngineOptions;
use crate::engine::select::{EngineChoice, SelectOptions, select};
use crate::error::{Error, ErrorKind, Result};
use crate::input::Supply;
use crate::link::{Client, ConnectOptions};
use crate::profile::{EncodingOptions, ProfileOptions};
use crate::trace::Execution;
use cutpoint_plan::workload::JobId;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a session is set up.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// What computes on this device.
    pub engine: EngineChoice,
    /// How many threads one inference may use; `None` for one for each core.
    pub threads: Option<NonZeroUsize>,
    /// How fast the device is, relative to this machine.
    pub speed: SpeedFraction,
    /// The server, as HOST:PORT; `None` for none.
    pub server: Option<String>,
    /// How to connect to it.
    pub connect: ConnectOptions,
    /// A server that owes a reply and says nothing for so long is given up.
    pub patience: Duration,
    /// Whether jobs that have not begun are planned anew in the middle of a run, when the uplink's
    /// bandwidth has changed, and when the server is lost or back. The cuts that other bandwidths
    /// call for are loaded with the plan's, each weight once.
    pub replans: bool,
}

impl SessionOptions {
    /// The same, but a run keeps to its plan whatever becomes of the link; a server that is lost is
    /// not called again.
    ///
    /// ```
    /// # use cutpoint::{Model, Policy, Session, SessionOptions};
    /// # use cutpoint::profile::ProfileOptions;
    /// # use cutpoint::zoo::Network;
    /// # let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    /// # let inputs = vec![model.synthetic_inputs(1), model.synthetic_inputs(2)];
    /// # let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
    /// let session = Session::open(vec![model], options.without_replanning())?;
    /// # let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    /// # let planned = session.profile_with(&quick, None)?.plan(&[("squeezenet", 2)], Policy::Joint)?;
    /// let outcome = session.run(&planned, &inputs)?;
    /// assert!(outcome.execution.changes.is_empty());
    /// # Ok::<(), cutpoint::Error>(())
    /// ```
    #[must_use]
    pub fn without_replanning(self) -> SessionOptions {
        SessionOptions { replans: false, ..self }
    }
}

impl Default for SessionOptions {
    /// ONNX Runtime where its library is found, else the embedded engine; all cores, at full speed;
    /// no server. Jobs are planned anew when the link changes.
    fn default() -> SessionOptions {
        SessionOptions {
            engine: EngineChoice::Auto,
            threads: None,
            speed: SpeedFraction::FULL,
            server: None,
            connect: ConnectOptions::default(),
            patience: RunOptions::default().patience,
            replans: true,
        }
    }
}

/// A device with its models, and the server it is connected to, if any. Clones share it; one run
/// goes on at a time.
///
/// ```
/// use cutpoint::{Model, Policy, Session, SessionOptions};
/// use cutpoint::profile::ProfileOptions;
/// use cutpoint::zoo::Network;
///
/// let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
/// let inputs = vec![model.synthetic_inputs(1), model.synthetic_inputs(2)];
/// // The embedded engine, no server.
/// let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
/// let session = Session::open(vec![model], options)?;
/// let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
/// let profile = session.profile_with(&quick, None)?;
/// let planned = profile.plan(&[("squeezenet", 2)], Policy::Joint)?;
/// let outputs = session.run(&planned, &inputs)?.into_outputs()?;
/// assert_eq!(outputs[1][0].0, "logits");
/// # Ok::<(), cutpoint::Error>(())
/// ```
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Runner,
    patience: Duration,
    replans: bool,
    /// What is loaded for the plan that was last asked for.
    prepared: Mutex<Option<(Planned, Prepared)>>,
}

impl Session {
    /// Finds the engine, runs each model once to learn its layers, and connects to the server.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`] if an engine that was asked for is missing, or a model cannot be run;
    /// [`ErrorKind::Usage`] if two models have one name; those of [`Client::connect`].
    pub fn open(models: Vec<Model>, options: SessionOptions) -> Result<Session> {
        let mut names = BTreeSet::new();
        if let Some(model) = models.iter().find(|model| !names.insert(&model.name)) {
            let message = format!("two models are named {:?}", model.name);
            return Err(Error::new(ErrorKind::Usage, message).hint("rename one: Model::named"));
        }
        let engine = select(&options.engine, &SelectOptions::default())?;
        let layered = |Model { name, onnx }| {
            Ok(RunModel { name, model: Arc::new(onnx.into_layers(&*engine)?) })
        };
        let models = models.into_iter().map(layered).collect::<Result<_>>()?;
        let connect = |address| Client::connect(address, options.connect);
        let client = options.server.as_deref().map(connect).transpose()?;
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let engine_options = EngineOptions { threads: options.threads.unwrap_or_else(cores) };
        let speed = options.speed;
        let runner = Runner { engine, options: engine_options, speed, models, client };
        let SessionOptions { patience, replans, .. } = options;
        let prepared = Mutex::new(None);
        Ok(Session { inner: Arc::new(Inner { runner, patience, replans, prepared }) })
    }

    /// [`Session::open`] without blocking.
    pub fn open_async(models: Vec<Model>, options: SessionOptions) -> Running<Session> {
        Running::start(None, move || Session::open(models, options))
    }

    /// Measures every layer of every model on both sides, and the link. Sends models to the server
    /// that it lacks. Takes up to a few minutes with slow models.
    ///
    /// # Errors
    /// Those of the engine and of the connection.
    pub fn profile(&self) -> Result<Profile> {
        self.profile_with(&ProfileOptions::default(), None)
    }

    /// As [`Session::profile`], with other repeats; and with encodings, so that plans may send
    /// tensors in smaller forms.
    ///
    /// ```
    /// # use cutpoint::{Model, Session, SessionOptions};
    /// # use cutpoint::profile::ProfileOptions;
    /// # use cutpoint::zoo::Network;
    /// # let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    /// # let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
    /// let session = Session::open(vec![model], options)?;
    /// let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    /// let profile = session.profile_with(&quick, None)?;
    /// let measured = profile.measurement().expect("measured, not read");
    /// assert!(measured.device[0].whole.median_ms > 0.0);
    /// // Written to a file, it saves measuring at the next start.
    /// assert!(cutpoint::Profile::from_json(&profile.to_json()).is_ok());
    /// # Ok::<(), cutpoint::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Session::profile`]; those of the inputs that encodings are measured on.
    pub fn profile_with(
        &self,
        how: &ProfileOptions,
        encodings: Option<&EncodingOptions>,
    ) -> Result<Profile> {
        let runner = &self.inner.runner;
        Ok(Profile::of(runner.measure(&vec![1; runner.models.len()], how, encodings)?))
    }

    /// [`Session::profile`] without blocking.
    pub fn profile_async(&self) -> Running<Profile> {
        let session = self.clone();
        Running::start(None, move || session.profile())
    }

    /// Loads what a plan needs on both sides, so that the first run need not. The session keeps
    /// what it loaded until it is asked for another plan.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if the plan breaks a rule, or is for other models; those of the
    /// engine and the connection.
    pub fn prepare(&self, planned: &Planned) -> Result<()> {
        self.inner.with_prepared(planned, |_| Ok(()))
    }

    /// Executes a plan on one set of inputs for each job, in the order of the plan's jobs: a list of
    /// them, or an [`OnDemand`](crate::input::OnDemand), which loads each job's shortly before the job
    /// begins.
    ///
    /// A server that is lost costs time, not jobs: the device does the rest, and jobs that have not
    /// begun are planned anew, as they are when the link changes ([`SessionOptions::replans`]);
    /// [`Execution::changes`] says when and why. A job that cannot be computed fails alone.
    ///
    /// # Errors
    /// As [`Session::prepare`]; [`ErrorKind::Usage`] if the inputs are not as many as the jobs.
    pub fn run(&self, planned: &Planned, inputs: &(impl Supply + ?Sized)) -> Result<Outcome> {
        self.inner.collect(planned, &inputs, Cancel::new())
    }

    /// As [`Session::run`], but hands over each job's outputs as soon as it is done, in any order,
    /// and can be cancelled. Jobs that are neither done nor failed have no completion in the
    /// result.
    ///
    /// ```
    /// # use cutpoint::{Cancel, Model, Policy, Session, SessionOptions};
    /// # use cutpoint::profile::ProfileOptions;
    /// # use cutpoint::zoo::Network;
    /// # let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    /// # let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
    /// # let inputs: Vec<_> = (0..20).map(|seed| model.synthetic_inputs(seed)).collect();
    /// # let session = Session::open(vec![model], options)?;
    /// # let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    /// # let planned = session.profile_with(&quick, None)?.plan(&[("squeezenet", 20)], Policy::Joint)?;
    /// // Enough is known after three jobs of twenty.
    /// let (cancel, mut done) = (Cancel::new(), Vec::new());
    /// let execution = session.run_each(&planned, &inputs, &cancel, |job, _outputs| {
    ///     done.push(job);
    ///     if done.len() == 3 {
    ///         cancel.cancel();
    ///     }
    /// })?;
    /// assert!(execution.is_cancelled);
    /// let complete = execution.completions.iter().filter(|c| c.is_some()).count();
    /// assert!(complete == done.len() && complete < 20);
    /// # Ok::<(), cutpoint::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_each(
        &self,
        planned: &Planned,
        inputs: &(impl Supply + ?Sized),
        cancel: &Cancel,
        on_outputs: impl FnMut(JobId, Outputs),
    ) -> Result<Execution> {
        self.inner.run(planned, &inputs, cancel.clone(), on_outputs)
    }

    /// [`Session::run`] without blocking. Dropping the future cancels the run.
    ///
    /// ```
    /// # use cutpoint::{JobOutcome, Model, Policy, Session, SessionOptions};
    /// # use cutpoint::profile::ProfileOptions;
    /// # use cutpoint::zoo::Network;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    /// # let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
    /// # let inputs: Vec<_> = (0..2).map(|seed| model.synthetic_inputs(seed)).collect();
    /// let session = Session::open_async(vec![model], options).await?;
    /// # let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    /// # let planned = session.profile_with(&quick, None)?.plan(&[("squeezenet", 2)], Policy::Joint)?;
    /// let outcome = session.run_async(&planned, inputs.clone()).await?;
    /// assert_eq!(outcome.done().count(), 2);
    ///
    /// let running = session.run_async(&planned, inputs);
    /// running.cancel();
    /// let outcome = running.await?;
    /// assert!(outcome.jobs.iter().any(|job| *job == JobOutcome::Cancelled));
    /// # Ok::<(), cutpoint::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn run_async(
        &self,
        planned: &Planned,
        inputs: impl Supply + Send + 'static,
    ) -> Running<Outcome> {
        let (inner, planned, cancel) = (self.inner.clone(), planned.clone(), Cancel::new());
        Running::start(Some(cancel.clone()), move || inner.collect(&planned, &inputs, cancel))
    }

    /// [`Session::run_each`] without blocking; `on_outputs` is called on a thread of the run.
    /// Dropping the future cancels the run, and `on_outputs` has been called for every job that is
    /// done.
    pub fn run_each_async(
        &self,
        planned: &Planned,
        inputs: impl Supply + Send + 'static,
        on_outputs: impl FnMut(JobId, Outputs) + Send + 'static,
    ) -> Running<Execution> {
        let (inner, planned, cancel) = (self.inner.clone(), planned.clone(), Cancel::new());
        Running::start(Some(cancel.clone()), move || {
            inner.run(&planned, &inputs, cancel, on_outputs)
        })
    }
}

impl Inner {
    fn collect(&self, planned: &Planned, inputs: &dyn Supply, cancel: Cancel) -> Result<Outcome> {
        let mut outputs = vec![None; planned.jobs()];
        let execution =
            self.run(planned, inputs, cancel, |job, made| outputs[job.index()] = Some(made))?;
        Ok(Outcome::new(outputs, execution))
    }

    fn run(
        &self,
        planned: &Planned,
        inputs: &dyn Supply,
        cancel: Cancel,
        on_outputs: impl FnMut(JobId, Outputs),
    ) -> Result<Execution> {
        let how = RunOptions { patience: self.patience, cancel, ..RunOptions::default() };
        self.with_prepared(planned, |prepared| {
            let workload = planned.workload();
            if !self.replans {
                return self.runner.execute(prepared, workload, inputs, &how, on_outputs);
            }
            let both = (workload, planned.plan());
            self.runner.execute_following(prepared, both, inputs, &how, on_outputs)
        })
    }

    /// Works with what is loaded for a plan, after loading it where it is not.
    fn with_prepared<T>(
        &self,
        planned: &Planned,
        work: impl FnOnce(&mut Prepared) -> Result<T>,
    ) -> Result<T> {
        // What a run that panicked has left is as good as before it: sessions keep no state.
        let mut held = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = match held.take() {
            Some((of, prepared)) if of.is(planned) => prepared,
            // Dropped before the next is loaded, so that no two plans' segments are held.
            other => {
                drop(other);
                let (workload, plan) = (planned.workload(), planned.plan());
                self.runner.check_fits(workload)?;
                match self.replans {
                    true => self.runner.prepare_for_change(workload, plan)?,
                    false => self.runner.prepare(workload, plan)?,
                }
            }
        };
        let (_, prepared) = held.insert((planned.clone(), prepared));
        work(prepared)
    }
}
