//! From plans to a run: what is loaded on both sides, and how the server is called again.

use super::device_side::DeviceSide;
use super::generic_server;
use super::options::{RunOptions, SessionModel};
use super::replan::{JobsLeft, cuts_of, is_alike, other_plans};
use super::server_models::offer;
use crate::device::{
    Access, Arrivals, Batch, Connection, Device, ExecuteOptions, Executor, Inbox, LoadedSuffix,
    Planner, Prepared, Program, ServerLink, SuffixContent, Suffixes, segments_for,
};
use crate::error::{Error, ErrorKind, Result};
use crate::input::Supply;
use crate::link::{Acknowledgement, Client, Suffix};
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::check::check_plan;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::options::PlanOptions;
use cutpoint_plan::plan::{Partition, Plan};
use cutpoint_plan::workload::{JobId, ModelId, Workload};
use sha2::{Digest, Sha256};
use std::sync::Arc;

impl DeviceSide {
    /// Loads what a plan needs on both sides, and, if the session plans anew, what it may come to need.
    ///
    /// # Errors
    /// As [`DeviceSide::prepare`].
    pub(super) fn load(&self, workload: &Workload, plan: &Plan) -> Result<Prepared> {
        match self.replans {
            true => self.prepare_for_change(workload, plan),
            false => self.prepare(workload, plan),
        }
    }

    /// Loads what a plan needs on both sides.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if the plan breaks a rule; those of the engine and the connection.
    pub fn prepare(&self, workload: &Workload, plan: &Plan) -> Result<Prepared> {
        self.prepare_all(workload, plan, &[])
    }

    /// Loads what a plan needs on both sides, and what it may come to need: the cuts that it would
    /// take at other bandwidths of the uplink, a few for each model. Weights are held once.
    ///
    /// # Errors
    /// As [`DeviceSide::prepare`].
    pub fn prepare_for_change(&self, workload: &Workload, plan: &Plan) -> Result<Prepared> {
        self.prepare_all(workload, plan, &other_plans(workload, plan))
    }

    /// Loads what a plan needs on both sides, and, as far as the server can, what others need.
    pub(super) fn prepare_all(
        &self,
        workload: &Workload,
        plan: &Plan,
        others: &[(Workload, Plan)],
    ) -> Result<Prepared> {
        let others = others.iter().map(|(workload, plan)| (workload, plan));
        let all: Vec<(&Workload, &Plan)> = [(workload, plan)].into_iter().chain(others).collect();
        for (workload, plan) in &all {
            check(workload, plan)?;
        }
        let segments = segments_for(&all)?;
        let program = Program::on(&segments, workload, plan)?;
        let program = program.expect("the segments are made for its runs");
        let is_offloaded = |plan: &Plan| plan.partitions.iter().any(|p| !p.uploads.is_empty());
        let is_plain = all.iter().any(|(_, plan)| is_offloaded(plan)) && self.is_server_plain()?;
        let models = self.models_of(workload)?;
        let layered: Vec<_> = models.iter().map(|m| m.model.clone()).collect();
        let engine = self.engine.clone();
        let device = Device::load(engine, self.options, self.speed, &layered, &program)?;
        let mut suffixes = Suffixes::new(is_plain);
        let mut sources = vec![None; models.len()];
        for (number, (workload, plan)) in all.iter().enumerate() {
            let is_own = number == 0;
            self.load_suffixes(workload, plan, is_own, &models, &mut sources, &mut suffixes)?;
        }
        let mut cuts: Vec<(ModelId, Partition)> = Vec::new();
        for (model, cut) in all.iter().flat_map(|(workload, plan)| cuts_of(workload, plan)) {
            let is_there = cut.uploads.is_empty() || suffixes.find(model, &cut).is_some();
            if is_there && !cuts.iter().any(|(m, known)| *m == model && is_alike(known, &cut)) {
                cuts.push((model, cut));
            }
        }
        Ok(Prepared { program, device, suffixes, cuts })
    }

    /// Has the server load the suffixes of a plan that it has not loaded yet. Those of a plan that
    /// is not the run's own may be missing.
    fn load_suffixes(
        &self,
        workload: &Workload,
        plan: &Plan,
        is_own: bool,
        models: &[&SessionModel],
        sources: &mut [Option<String>],
        suffixes: &mut Suffixes,
    ) -> Result<()> {
        for (&model, partition) in workload.jobs().iter().zip(&plan.partitions) {
            let described = &workload.models()[model.index()];
            let device_layers = &partition.device_layers;
            let is_local = device_layers.count() == described.layers.len();
            if is_local || suffixes.find(model, partition).is_some() {
                continue;
            }
            let m = model.index();
            let loaded = if suffixes.is_plain() {
                generic_server::load_suffix(self.server()?, models[m], described, model, partition)
            } else {
                let source = match sources[m].take() {
                    Some(source) => source,
                    None => self.source_of(models[m])?,
                };
                let loaded = self.load_suffix(models[m], &source, described, model, device_layers);
                sources[m] = Some(source);
                loaded
            };
            match loaded {
                Ok(loaded) => suffixes.add(model, partition, loaded),
                Err(error) if is_own => return Err(error),
                Err(error) => log::debug!("a cut for another bandwidth is left out: {error:?}"),
            }
        }
        Ok(())
    }

    /// Executes a prepared plan as it is.
    ///
    /// # Errors
    /// As `Executor::run`, and if the stream to the server cannot be opened.
    pub fn execute(
        &self,
        prepared: &mut Prepared,
        workload: &Workload,
        inputs: &dyn Supply,
        how: &RunOptions,
        on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
    ) -> Result<Execution> {
        let mut batch = Batch::new(prepared, inputs)?;
        self.execute_with(prepared, workload, &mut batch, None, (how, false), on_outputs)
    }

    /// Executes a plan that was prepared for change: jobs that have not begun are planned anew when
    /// the link changes, when the server is lost, and when it is back.
    ///
    /// # Errors
    /// As [`DeviceSide::execute`].
    pub fn execute_following(
        &self,
        prepared: &mut Prepared,
        (workload, plan): (&Workload, &Plan),
        inputs: &dyn Supply,
        how: &RunOptions,
        on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
    ) -> Result<Execution> {
        let options =
            PlanOptions { objective: plan.objective, ..PlanOptions::raw(plan.granularity) };
        let mut planner = JobsLeft::new(workload, plan, options, prepared);
        let mut batch = Batch::new(prepared, inputs)?;
        let how = (how, true);
        self.execute_with(prepared, workload, &mut batch, Some(&mut planner), how, on_outputs)
    }

    /// Executes what arrives; `follows_link` says whether a change of bandwidth counts.
    pub(super) fn execute_with<'r>(
        &self,
        prepared: &mut Prepared,
        workload: &'r Workload,
        arrivals: &'r mut dyn Arrivals<'_>,
        planner: Option<&'r mut dyn Planner>,
        (how, follows_link): (&RunOptions, bool),
        on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
    ) -> Result<Execution> {
        let server = self.connect(prepared, workload)?;
        let options = execute_options(workload, how, follows_link);
        let inbox = Inbox::closed();
        let executor = Executor { workload, arrivals, planner, server, inbox, options };
        executor.run(prepared, on_outputs)
    }

    /// A connection for what was prepared, if the server has a part in it.
    pub(super) fn connect(
        &self,
        prepared: &Prepared,
        workload: &Workload,
    ) -> Result<Option<ServerLink>> {
        let Some(client) = self.client.as_ref().filter(|_| !prepared.suffixes.is_empty()) else {
            return Ok(None);
        };
        let acknowledgement = Acknowledgement::of(workload);
        client.expect_link(workload.link().uplink, acknowledgement);
        let connection = client.open_stream()?;
        let probe = client.probe();
        let expecting = client.clone();
        let client = client.clone();
        let models: Vec<SessionModel> = self.models_of(workload)?.into_iter().cloned().collect();
        let suffixes: Vec<LoadedSuffix> = prepared.suffixes.iter().cloned().collect();
        let call = Arc::new(move || call_again(&client, &models, &suffixes));
        let probe = Arc::new(move |bytes| probe.up(bytes));
        let expect = Arc::new(move |uplink| expecting.expect_link(uplink, acknowledgement));
        Ok(Some(ServerLink { connection, access: Access { call, probe, expect } }))
    }

    fn load_suffix(
        &self,
        model: &SessionModel,
        source_sha256: &str,
        described: &cutpoint_plan::workload::ModelGraph,
        id: ModelId,
        device_layers: &LayerSet,
    ) -> Result<LoadedSuffix> {
        let SessionModel { name, model: layered } = model;
        let shapes = layered.model().inputs();
        let names =
            device_layers.iter().map(|l| described.layers[l.index()].name.clone()).collect();
        let suffix = Suffix {
            source_sha256: source_sha256.to_owned(),
            device_layers: names,
            shapes: shapes.iter().map(|(n, s)| (n.clone(), s.shape.clone())).collect(),
        };
        let name = suffix_name(name, &suffix);
        self.server()?.load_suffix(&name, &suffix)?;
        Ok(LoadedSuffix { name: name.into(), model: id, content: SuffixContent::Cut(suffix) })
    }
}

/// Refuses a plan that breaks a rule.
pub(super) fn check(workload: &Workload, plan: &Plan) -> Result<()> {
    let Some(violation) = check_plan(workload, plan).into_iter().next() else { return Ok(()) };
    Err(Error::new(ErrorKind::Workload, format!("the plan breaks a rule: {violation}")))
}

fn execute_options(workload: &Workload, how: &RunOptions, follows_link: bool) -> ExecuteOptions {
    let RunOptions { patience, held_bytes_max, cancel } = how.clone();
    let round_trip = workload.link().round_trip;
    ExecuteOptions { patience, round_trip, follows_link, held_bytes_max, cancel }
}

/// Another connection to a server that was lost: it may be a new process, which has to be given
/// models and suffixes again.
fn call_again(
    client: &Client,
    models: &[SessionModel],
    suffixes: &[LoadedSuffix],
) -> Result<Connection> {
    let held = client.hello()?.map(|hello| hello.models);
    let mut sources: Vec<Option<String>> = vec![None; models.len()];
    for LoadedSuffix { name, model, content } in suffixes {
        let mut suffix = match content {
            SuffixContent::Cut(suffix) => suffix.clone(),
            SuffixContent::Sent(tensors) => {
                generic_server::offer_again(client, &models[model.index()], name, tensors)?;
                continue;
            }
        };
        let source = &mut sources[model.index()];
        if let (None, Some(held)) = (&source, &held) {
            *source = Some(offer(client, held, &models[model.index()])?.sha256);
        }
        if let Some(source) = source {
            suffix.source_sha256.clone_from(source);
        }
        client.load_suffix(name, &suffix)?;
    }
    client.open_stream()
}

/// A name for a suffix that says what it is: the same suffix gets the same name.
fn suffix_name(model: &str, suffix: &Suffix) -> String {
    let mut hash = Sha256::new();
    hash.update(suffix.source_sha256.as_bytes());
    for layer in &suffix.device_layers {
        hash.update(layer.as_bytes());
        hash.update([0]);
    }
    for (name, shape) in &suffix.shapes {
        hash.update(format!("{name}={shape:?};").as_bytes());
    }
    let digest: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    let safe: String =
        model.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{safe}__after_{}_{digest}", suffix.device_layers.len())
}
