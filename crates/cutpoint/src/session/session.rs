//! A device with its models, and the server it is connected to.

use super::device_side::DeviceSide;
use super::measurement::ProfileRequest;
use super::model::Model;
use super::options::{SessionModel, SessionOptions};
use super::outcome::{Outcome, Outputs};
use super::plan::{PlannedRun, Profile};
use super::rehearsal::RehearsalOptions;
use super::replan::JobsLeft;
use super::running::Running;
use super::stream::{Patterns, StreamPlan};
use super::workload::naming_jobs;
use crate::device::{Arrivals, Cancel, Planner, Prepared, RunOptions};
use crate::engine::EngineOptions;
use crate::engine::select::select;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Supply;
use crate::link::Client;
use crate::trace::Execution;
use cutpoint_plan::options::PlanOptions;
use cutpoint_plan::options::Policy;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, Workload};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A device with its models, and the server it is connected to, if any. Clones share it; one run
/// goes on at a time.
///
/// ```
/// use cutpoint::{Model, Policy, ProfileOptions, ProfileRequest, Session, SessionOptions};
/// use cutpoint::zoo::Network;
///
/// let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
/// let inputs = vec![model.synthetic_inputs(1), model.synthetic_inputs(2)];
/// // The embedded engine, no server.
/// let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
/// let session = Session::open(vec![model], options)?;
/// let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
/// let profile = session.profile_with(&ProfileRequest::of_layers(quick))?;
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
    side: DeviceSide,
    patience: Duration,
    /// What is loaded for the plan that was last asked for.
    prepared: Mutex<Option<(PlannedRun, Prepared)>>,
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
        let engine = select(&options.engine, &options.select)?;
        let layered = |Model { name, onnx }| {
            Ok(SessionModel { name, model: Arc::new(onnx.into_layers(&*engine)?) })
        };
        let models = models.into_iter().map(layered).collect::<Result<_>>()?;
        let connect = |address| Client::connect(address, options.connect);
        let client = options.server.as_deref().map(connect).transpose()?;
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let engine_options = EngineOptions { threads: options.threads.unwrap_or_else(cores) };
        let SessionOptions { speed, patience, replans, .. } = options;
        let side = DeviceSide { engine, options: engine_options, speed, models, client, replans };
        let prepared = Mutex::new(None);
        Ok(Session { inner: Arc::new(Inner { side, patience, prepared }) })
    }

    /// [`Session::open`] without blocking.
    pub fn open_async(models: Vec<Model>, options: SessionOptions) -> Running<Session> {
        Running::start(None, move || Session::open(models, options))
    }

    /// The models, in the order in which they were given.
    pub fn models(&self) -> &[SessionModel] {
        &self.inner.side.models
    }

    /// The name and version of the engine that computes on this device.
    pub fn engine_name(&self) -> String {
        self.inner.side.engine.name().to_string()
    }

    /// Whether there is a connection to a server.
    pub fn has_server(&self) -> bool {
        self.inner.side.client.is_some()
    }

    /// Holds the uplink to another bandwidth, for trials.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] without a server.
    pub fn set_uplink_limit(&self, limit: Bandwidth) -> Result<()> {
        let client = self.inner.side.client.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Usage, "the session has no server, and so no uplink")
        })?;
        client.set_uplink_limit(limit)
    }

    /// What the unsplit models make of these inputs on this device, to compare with.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if no model has this name; those of the engine.
    pub fn unsplit_outputs(&self, model: &str, inputs: &[crate::Inputs]) -> Result<Vec<Outputs>> {
        let side = &self.inner.side;
        let found = side.models.iter().find(|known| known.name == model).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("the session has no model {model:?}"))
        })?;
        crate::profile::unsplit_outputs(&*side.engine, side.options, found.onnx(), inputs)
    }

    /// Measures every layer of every model on both sides, and the link. Sends models to the server
    /// that it lacks. Takes up to a few minutes with slow models.
    ///
    /// # Errors
    /// Those of the engine and of the connection.
    pub fn profile(&self) -> Result<Profile> {
        self.profile_with(&ProfileRequest::default())
    }

    /// As [`Session::profile`], with other repeats; and with encodings, so that plans may send
    /// tensors in smaller forms.
    ///
    /// ```
    /// # use cutpoint::{Model, ProfileOptions, ProfileRequest, Session, SessionOptions};
    /// # use cutpoint::zoo::Network;
    /// # let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    /// # let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
    /// let session = Session::open(vec![model], options)?;
    /// let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    /// let profile = session.profile_with(&ProfileRequest::of_layers(quick))?;
    /// let measured = profile.measurement().expect("measured, not read");
    /// assert!(measured.device[0].whole.median_ms > 0.0);
    /// // Written to a file, it saves measuring at the next start.
    /// assert!(cutpoint::Profile::from_json(&profile.to_json()).is_ok());
    /// # Ok::<(), cutpoint::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Session::profile`]; those of the inputs that encodings are measured on.
    pub fn profile_with(&self, request: &ProfileRequest<'_>) -> Result<Profile> {
        let (workload, measurement) = self.inner.side.measure(request)?;
        Ok(Profile::measured(workload, measurement))
    }

    /// The profile that a workload describes, if it speaks of the session's models.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`], naming the first model or layer that is not the same.
    pub fn profile_of(&self, workload: Workload) -> Result<Profile> {
        self.inner.side.check_fits(&workload)?;
        Ok(Profile::of_workload(workload))
    }

    /// [`Session::profile`] without blocking.
    pub fn profile_async(&self) -> Running<Profile> {
        let session = self.clone();
        Running::start(None, move || session.profile())
    }

    /// Plans jobs from what they take when device, link and server are all at work: executes some of
    /// them as planned, re-plans from their times, and goes on until every cut of the plan was
    /// executed. Without a server this is [`Profile::plan_with`].
    ///
    /// `inputs` has those of all the jobs. What the plan needs is loaded afterwards.
    ///
    /// # Errors
    /// Those of planning, of the engine and of the connection.
    pub fn rehearse(
        &self,
        profile: &Profile,
        jobs: &[(&str, usize)],
        how: &RehearsalOptions<'_>,
        inputs: &(impl Supply + ?Sized),
    ) -> Result<PlannedRun> {
        if !self.has_server() || how.jobs == 0 {
            return profile.plan_with(jobs, how.policy, &how.plan);
        }
        let workload = naming_jobs(profile.workload(), jobs)?;
        let mut held = self.inner.emptied();
        let rehearsal = self.inner.side.rehearse(&workload, how, &inputs)?;
        let planned = PlannedRun::new(rehearsal.workload, rehearsal.plan);
        *held = Some((planned.clone(), rehearsal.prepared));
        Ok(planned)
    }

    /// The profile with the times of a rehearsal of `count` jobs of each model on made-up inputs.
    ///
    /// # Errors
    /// As [`Session::rehearse`].
    pub fn rehearse_profile(&self, profile: &Profile, count: usize) -> Result<Profile> {
        let models = self.models();
        let jobs: Vec<(&str, usize)> = models.iter().map(|m| (m.name(), count)).collect();
        let made = |(seed, model): (usize, &SessionModel)| -> crate::Inputs {
            let made = model.onnx().synthetic_inputs(seed as u64).into_iter();
            made.map(|(name, tensor)| (name, tensor.into())).collect()
        };
        let of_each = models.iter().flat_map(|model| std::iter::repeat_n(model, count));
        let inputs: Vec<crate::Inputs> = of_each.enumerate().map(made).collect();
        let how = RehearsalOptions { jobs: inputs.len(), ..RehearsalOptions::default() };
        let rehearsed = self.rehearse(profile, &jobs, &how, &inputs)?;
        let jobs = profile.workload().jobs().iter().copied();
        Ok(profile.with_workload(rehearsed.workload().with_jobs(jobs)))
    }

    /// A plan for jobs that arrive over time: one each `period`, or, without a period, about as fast
    /// as the machines can take them. Where the uplink rests between jobs, what a transfer takes
    /// longer after such a pause is measured and planned for, unless the profile was read from a file.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if there is no such plan; those of the connection.
    pub fn plan_stream(
        &self,
        profile: &Profile,
        jobs: &[(&str, usize)],
        policy: Policy,
        options: &PlanOptions,
        period: Option<Time>,
    ) -> Result<StreamPlan> {
        let workload = naming_jobs(profile.workload(), jobs)?;
        let stream = StreamPlan::new(&workload, policy, options, period)?;
        if profile.measurement().is_none() {
            return Ok(stream);
        }
        match self.inner.side.measure_pauses(&stream)? {
            Time::ZERO => Ok(stream),
            longer => {
                let mut link = workload.link();
                link.message_overhead += longer;
                StreamPlan::new(&workload.with_link(link), policy, options, period)
            }
        }
    }

    /// Executes jobs as they arrive; hands over each job's outputs as soon as it is done.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_stream(
        &self,
        stream: &StreamPlan,
        source: &mut dyn Arrivals,
        cancel: &Cancel,
        on_outputs: impl FnMut(JobId, Outputs),
    ) -> Result<Execution> {
        let side = &self.inner.side;
        side.check_fits(&stream.workload)?;
        let _held = self.inner.emptied();
        let others = if side.replans { &stream.others[..] } else { &[] };
        let mut prepared = side.prepare(&stream.workload, &stream.plan, others)?;
        let mut patterns = Patterns::new(stream, &prepared.loaded)?;
        let options = self.inner.run_options(cancel);
        let planner = Some(&mut patterns as &mut dyn Planner);
        side.execute(&mut prepared, &stream.workload, source, planner, options, on_outputs)
    }

    /// Loads what a plan needs on both sides, so that the first run need not. The session keeps
    /// what it loaded until it is asked for another plan.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if the plan breaks a rule, or is for other models; those of the
    /// engine and the connection.
    pub fn prepare(&self, planned: &PlannedRun) -> Result<()> {
        self.inner.with_prepared(planned, |_| Ok(()))
    }

    /// Executes a plan on one set of inputs for each job, in the order of the plan's jobs: a list of
    /// them, or an [`OnDemand`](crate::input::OnDemand), which loads each job's shortly before the job
    /// begins.
    ///
    /// A server that is lost costs time, not jobs: the device does the rest, and jobs that have not
    /// begun are re-planned, as they are when the link changes ([`SessionOptions::replans`]);
    /// [`Execution::changes`] says when and why. A job that cannot be computed fails alone.
    ///
    /// # Errors
    /// As [`Session::prepare`]; [`ErrorKind::Usage`] if the inputs are not as many as the jobs.
    pub fn run(&self, planned: &PlannedRun, inputs: &(impl Supply + ?Sized)) -> Result<Outcome> {
        self.inner.collect(planned, &inputs, Cancel::new())
    }

    /// As [`Session::run`], but hands over each job's outputs as soon as it is done, in any order,
    /// and can be cancelled. Jobs that are neither done nor failed have no completion in the
    /// result.
    ///
    /// ```
    /// # use cutpoint::{Cancel, Model, Policy, ProfileOptions, ProfileRequest, Session, SessionOptions};
    /// # use cutpoint::zoo::Network;
    /// # let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    /// # let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
    /// # let inputs: Vec<_> = (0..20).map(|seed| model.synthetic_inputs(seed)).collect();
    /// # let session = Session::open(vec![model], options)?;
    /// # let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    /// # let planned = session.profile_with(&ProfileRequest::of_layers(quick))?.plan(&[("squeezenet", 20)], Policy::Joint)?;
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
        planned: &PlannedRun,
        inputs: &(impl Supply + ?Sized),
        cancel: &Cancel,
        on_outputs: impl FnMut(JobId, Outputs),
    ) -> Result<Execution> {
        self.inner.run(planned, &inputs, cancel.clone(), on_outputs)
    }

    /// [`Session::run`] without blocking. Dropping the future cancels the run.
    ///
    /// ```
    /// # use cutpoint::{JobOutcome, Model, Policy, ProfileRequest, Session, SessionOptions};
    /// # use cutpoint::profile::ProfileOptions;
    /// # use cutpoint::zoo::Network;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    /// # let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
    /// # let inputs: Vec<_> = (0..2).map(|seed| model.synthetic_inputs(seed)).collect();
    /// let session = Session::open_async(vec![model], options).await?;
    /// # let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    /// # let planned = session.profile_with(&ProfileRequest::of_layers(quick))?.plan(&[("squeezenet", 2)], Policy::Joint)?;
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
        planned: &PlannedRun,
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
        planned: &PlannedRun,
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
    fn collect(
        &self,
        planned: &PlannedRun,
        inputs: &dyn Supply,
        cancel: Cancel,
    ) -> Result<Outcome> {
        let mut outputs = vec![None; planned.jobs()];
        let execution =
            self.run(planned, inputs, cancel, |job, made| outputs[job.index()] = Some(made))?;
        Ok(Outcome::new(outputs, execution))
    }

    fn run(
        &self,
        planned: &PlannedRun,
        inputs: &dyn Supply,
        cancel: Cancel,
        on_outputs: impl FnMut(JobId, Outputs),
    ) -> Result<Execution> {
        let options = self.run_options(&cancel);
        self.with_prepared(planned, |prepared| {
            let workload = planned.workload();
            let replans = self.side.replans;
            let mut planner = replans.then(|| JobsLeft::new(workload, planned.plan(), prepared));
            let planner = planner.as_mut().map(|planner| planner as &mut dyn Planner);
            self.side.execute_batch(prepared, workload, inputs, planner, options, on_outputs)
        })
    }

    fn run_options(&self, cancel: &Cancel) -> RunOptions {
        let (patience, follows_link, cancel) = (self.patience, self.side.replans, cancel.clone());
        RunOptions { patience, follows_link, cancel, ..RunOptions::default() }
    }

    /// The place of what is loaded, after dropping it: two plans' segments are never held at once.
    fn emptied(&self) -> std::sync::MutexGuard<'_, Option<(PlannedRun, Prepared)>> {
        let mut held = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
        held
    }

    /// Works with what is loaded for a plan, after loading it where it is not.
    fn with_prepared<T>(
        &self,
        planned: &PlannedRun,
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
                self.side.check_fits(workload)?;
                self.side.load(workload, plan)?
            }
        };
        let (_, prepared) = held.insert((planned.clone(), prepared));
        work(prepared)
    }
}
