//! From plans to a run: what is loaded on both sides, and how the server is called again.

use super::device_side::DeviceSide;
use super::generic_server;
use super::options::SessionModel;
use super::replan::{add_cut, cuts_of, other_plans};
use super::server_models::Sources;
use crate::device::{
    Access, Arrivals, Batch, Connection, Device, Executor, Inbox, Loaded, LoadedSuffix, Planner,
    Prepared, RunOptions, ServerLink, SuffixContent, Suffixes, segments_for,
};
use crate::digest::sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Supply;
use crate::link::{Acknowledgement, Client, Suffix};
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::check::check_plan;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::plan::{Partition, Plan};
use cutpoint_plan::workload::{JobId, ModelGraph, ModelId, Workload};
use std::sync::Arc;

impl DeviceSide {
    /// Loads what a plan needs on both sides, and, if jobs are re-planned, what it may come to need:
    /// the cuts that it would take at other bandwidths of the uplink, a few for each model.
    ///
    /// # Errors
    /// As [`DeviceSide::prepare`].
    pub(super) fn load(&self, workload: &Workload, plan: &Plan) -> Result<Prepared> {
        match self.replans {
            true => self.prepare(workload, plan, &other_plans(workload, plan)),
            false => self.prepare(workload, plan, &[]),
        }
    }

    /// Loads what a plan needs on both sides, and, as far as the server can, what others need.
    /// Weights are held once.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`] if a plan breaks a rule; those of the engine and the connection.
    pub(super) fn prepare(
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
        let models = self.models_of(workload)?;
        let layered = models.iter().map(|m| m.model.clone()).collect();
        let (engine, on_device) = (self.engine.clone(), segments.clone());
        let device = Device::load(engine, self.options, self.speed, layered, on_device)?;
        let is_local = |(workload, plan): &(&Workload, &Plan)| {
            let mut jobs = workload.jobs().iter().zip(&plan.partitions);
            jobs.all(|(&id, cut)| is_local(workload, id, cut))
        };
        let suffixes = match all.iter().all(is_local) {
            true => Suffixes::new(false),
            false => self.load_suffixes(&all, &models)?,
        };
        let mut cuts: Vec<(ModelId, Partition)> = Vec::new();
        for (model, cut) in all.iter().flat_map(|(workload, plan)| cuts_of(workload, plan)) {
            if cut.uploads.is_empty() || suffixes.find(model, &cut).is_some() {
                add_cut(&mut cuts, model, &cut);
            }
        }
        let loaded = Loaded { segments, suffixes };
        let program = loaded.program(workload, plan)?.expect("all of it was loaded for this plan");
        Ok(Prepared { program, device, loaded, cuts })
    }

    /// Has the server load the suffixes of plans; those of all but the first may be missing.
    fn load_suffixes(
        &self,
        plans: &[(&Workload, &Plan)],
        models: &[&SessionModel],
    ) -> Result<Suffixes> {
        let client = self.client.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Usage, "the plan uses a server, but none is connected")
        })?;
        let mut sources = Sources::of(client)?;
        let mut suffixes = Suffixes::new(sources.is_none());
        for (number, (workload, plan)) in plans.iter().enumerate() {
            for (&id, cut) in workload.jobs().iter().zip(&plan.partitions) {
                if is_local(workload, id, cut) || suffixes.find(id, cut).is_some() {
                    continue;
                }
                let (model, described) = (models[id.index()], &workload.models()[id.index()]);
                let loaded = match &mut sources {
                    None => generic_server::load_suffix(client, model, described, id, cut),
                    Some(sources) => {
                        let source = sources.sha256(model)?;
                        load_suffix(client, model, source, described, id, &cut.device_layers)
                    }
                };
                match loaded {
                    Ok(loaded) => suffixes.add(id, cut, loaded),
                    Err(error) if number == 0 => return Err(error),
                    Err(error) => log::debug!("a cut for another bandwidth is left out: {error:?}"),
                }
            }
        }
        Ok(suffixes)
    }

    /// Executes the jobs of a prepared plan, all of them there from the start.
    ///
    /// # Errors
    /// As [`DeviceSide::execute`]; [`ErrorKind::Usage`] unless there is one set of inputs for each job.
    pub(super) fn execute_batch(
        &self,
        prepared: &mut Prepared,
        workload: &Workload,
        inputs: &dyn Supply,
        planner: Option<&mut dyn Planner>,
        options: RunOptions,
        on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
    ) -> Result<Execution> {
        let mut batch = Batch::new(prepared, inputs)?;
        let planner = planner.map(|planner| planner as &mut dyn Planner);
        self.execute(prepared, workload, &mut batch, planner, options, on_outputs)
    }

    /// Executes what arrives.
    ///
    /// # Errors
    /// As `Executor::run`, and if the stream to the server cannot be opened.
    pub(super) fn execute<'r>(
        &self,
        prepared: &mut Prepared,
        workload: &'r Workload,
        arrivals: &'r mut dyn Arrivals<'_>,
        planner: Option<&'r mut dyn Planner>,
        options: RunOptions,
        on_outputs: impl FnMut(JobId, Vec<(String, Tensor)>),
    ) -> Result<Execution> {
        let server = self.connect(prepared, workload)?;
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
        let Some(client) =
            self.client.as_ref().filter(|_| !prepared.loaded.suffixes.loaded.is_empty())
        else {
            return Ok(None);
        };
        let acknowledgement = Acknowledgement::of(workload);
        client.expect_link(workload.link().uplink, acknowledgement);
        let connection = client.open_stream()?;
        let probe = client.probe();
        let expecting = client.clone();
        let client = client.clone();
        let models: Vec<SessionModel> = self.models_of(workload)?.into_iter().cloned().collect();
        let suffixes: Vec<LoadedSuffix> =
            prepared.loaded.suffixes.loaded.values().cloned().collect();
        let call = Arc::new(move || call_again(&client, &models, &suffixes));
        let probe = Arc::new(move |bytes| probe.up(bytes));
        let expect = Arc::new(move |uplink| expecting.expect_link(uplink, acknowledgement));
        Ok(Some(ServerLink { connection, access: Access { call, probe, expect } }))
    }
}

/// Whether all layers of a job's model stay on the device.
fn is_local(workload: &Workload, id: ModelId, cut: &Partition) -> bool {
    cut.device_layers.count() == workload.models()[id.index()].layers.len()
}

/// Has a Cutpoint server cut the suffix of a model.
fn load_suffix(
    client: &Client,
    model: &SessionModel,
    source_sha256: String,
    described: &ModelGraph,
    id: ModelId,
    device_layers: &LayerSet,
) -> Result<LoadedSuffix> {
    let names = device_layers.iter().map(|l| described.layers[l.index()].name.clone());
    let shapes = model.inputs().iter().map(|(name, spec)| (name.clone(), spec.shape.clone()));
    let (device_layers, shapes) = (names.collect(), shapes.collect());
    let suffix = Suffix { source_sha256, device_layers, shapes };
    let name = suffix_name(&model.name, &suffix);
    client.load_suffix(&name, &suffix)?;
    Ok(LoadedSuffix { name: name.into(), model: id, content: SuffixContent::Cut(suffix) })
}

/// Refuses a plan that breaks a rule.
pub(super) fn check(workload: &Workload, plan: &Plan) -> Result<()> {
    let Some(violation) = check_plan(workload, plan).into_iter().next() else { return Ok(()) };
    Err(Error::new(ErrorKind::Workload, format!("the plan breaks a rule: {violation}")))
}

/// Another connection to a server that was lost: it may be a new process, which has to be given
/// models and suffixes again.
fn call_again(
    client: &Client,
    models: &[SessionModel],
    suffixes: &[LoadedSuffix],
) -> Result<Connection> {
    let mut sources = Sources::of(client)?;
    for LoadedSuffix { name, model, content } in suffixes {
        let model = &models[model.index()];
        match content {
            SuffixContent::Cut(suffix) => {
                let mut suffix = suffix.clone();
                if let Some(sources) = &mut sources {
                    suffix.source_sha256 = sources.sha256(model)?;
                }
                client.load_suffix(name, &suffix)?;
            }
            SuffixContent::Sent(tensors) => {
                generic_server::offer_again(client, model, name, tensors)?;
            }
        }
    }
    client.open_stream()
}

/// A name for a suffix that says what it is: the same suffix gets the same name.
fn suffix_name(model: &str, suffix: &Suffix) -> String {
    let mut content = suffix.source_sha256.clone();
    suffix.device_layers.iter().for_each(|layer| content += &format!("{layer}\0"));
    suffix.shapes.iter().for_each(|(name, shape)| content += &format!("{name}={shape:?};"));
    let digest = &sha256(content.as_bytes())[..16];
    let (model, layers) = (generic_server::safe(model), suffix.device_layers.len());
    format!("{model}__after_{layers}_{digest}")
}
