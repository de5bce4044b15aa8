//! Everything that a run needs and that takes time: segments loaded on the device, suffixes on the
//! server, both warm.

use super::program::{Program, Segments, StepWork};
use super::throttle::{ComputeClock, SpeedFraction, Stint, Usual};
use crate::encoding::Encoding;
use crate::engine::declared::Declared;
use crate::engine::{Engine, EngineOptions, InferenceSession, warm_up};
use crate::error::Result;
use crate::link::Suffix;
use crate::onnx::LayeredModel;
use crate::tensor::Tensor;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::plan::{Partition, Plan};
use cutpoint_plan::workload::{ModelId, TensorId, Workload};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The device: its engine, its speed, and its models.
pub(crate) struct Device {
    /// The engine.
    pub(crate) engine: Arc<dyn Engine>,
    /// How it loads.
    pub(crate) options: EngineOptions,
    /// How fast it is, relative to this machine.
    pub(crate) speed: SpeedFraction,
    /// Its models, by their positions in the workload.
    pub(crate) models: Vec<Arc<LayeredModel>>,
    segments: Segments,
    /// The segments that are loaded, by model and number.
    sessions: BTreeMap<(ModelId, usize), LoadedSession>,
    /// Times of runs of segments.
    usual: Usual<(ModelId, Vec<usize>)>,
}

struct LoadedSession {
    session: Box<dyn InferenceSession>,
    inputs: Vec<String>,
    declared: Declared,
}

/// A plan, ready to be executed.
pub struct Prepared {
    /// The program.
    pub(crate) program: Program,
    /// With what.
    pub(crate) device: Device,
    /// What there is to make programs of.
    pub(crate) loaded: Loaded,
    /// The cuts that need no more than what is loaded, by model, each once.
    pub cuts: Vec<(ModelId, Partition)>,
}

/// What is loaded on both sides: programs that need no more can be carried out.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) segments: Segments,
    pub(crate) suffixes: Suffixes,
}

impl Loaded {
    /// The program of a plan that has been checked; `None` if it needs more than what is loaded.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub(crate) fn program(&self, workload: &Workload, plan: &Plan) -> Result<Option<Program>> {
        let Some(mut program) = Program::on(&self.segments, workload, plan)? else {
            return Ok(None);
        };
        for job in program.jobs.iter_mut().filter(|job| job.is_offloaded) {
            let Some(suffix) = self.suffixes.find(job.model, &job.partition) else {
                return Ok(None);
            };
            job.suffix = Some(suffix.name.clone());
        }
        Ok(Some(program))
    }
}

/// Which suffix: of which model, what stays on the device, and, where the server does not decode,
/// which tensors it takes in which of their encodings.
type SuffixKey = (ModelId, LayerSet, Vec<(TensorId, usize)>);

/// The suffixes that a server has loaded.
#[derive(Clone, Debug)]
pub(crate) struct Suffixes {
    /// Whether the server is a plain one: of the protocol, and not Cutpoint's own.
    pub(crate) is_plain: bool,
    pub(crate) loaded: BTreeMap<SuffixKey, LoadedSuffix>,
}

impl Suffixes {
    /// None yet; on a plain server each suffix takes tensors in encodings of its own.
    pub(crate) fn new(is_plain: bool) -> Suffixes {
        Suffixes { is_plain, loaded: BTreeMap::new() }
    }

    /// The suffix for a cut.
    pub(crate) fn find(&self, model: ModelId, cut: &Partition) -> Option<&LoadedSuffix> {
        self.loaded.get(&self.key(model, cut))
    }

    /// The server has loaded a suffix for a cut.
    pub(crate) fn add(&mut self, model: ModelId, cut: &Partition, loaded: LoadedSuffix) {
        self.loaded.insert(self.key(model, cut), loaded);
    }

    fn key(&self, model: ModelId, cut: &Partition) -> SuffixKey {
        let encodings = cut.uploads.iter().filter(|_| self.is_plain);
        let mut encodings: Vec<(TensorId, usize)> =
            encodings.filter_map(|upload| Some((upload.tensor, upload.encoding?))).collect();
        encodings.sort_unstable();
        (model, cut.device_layers.clone(), encodings)
    }
}

/// A suffix on the server.
#[derive(Clone, Debug)]
pub(crate) struct LoadedSuffix {
    /// Its name there.
    pub(crate) name: Arc<str>,
    /// The position of its model in the workload.
    pub(crate) model: ModelId,
    /// What it is, should the server have to load it again.
    pub(crate) content: SuffixContent,
}

/// What a suffix is made of.
#[derive(Clone, Debug)]
pub(crate) enum SuffixContent {
    /// The server cuts it from its own copy of the model.
    Cut(Suffix),
    /// The device cuts it, and a plain server is given it: behind the cut that these tensors cross,
    /// some of them in encodings.
    Sent(BTreeMap<String, Option<Encoding>>),
}

impl Prepared {
    /// Takes up another plan of the same models, which has been checked, if it needs no other
    /// segments and suffixes than are there; returns whether that is so.
    ///
    /// # Errors
    /// As [`Program::new`] and [`Device::load`].
    pub(crate) fn take_up(&mut self, workload: &Workload, plan: &Plan) -> Result<bool> {
        let Some(program) = self.loaded.program(workload, plan)? else { return Ok(false) };
        for step in &program.steps {
            if let StepWork::Layers { segments, .. } = &step.work {
                let model = program.jobs[step.job.index()].model;
                segments.iter().try_for_each(|&segment| self.device.warm(model, segment))?;
            }
        }
        self.program = program;
        Ok(true)
    }
}

impl Device {
    /// A device with the segments loaded that a plan has it run.
    ///
    /// # Errors
    /// If a segment cannot be made or loaded.
    pub(crate) fn load(
        engine: Arc<dyn Engine>,
        options: EngineOptions,
        speed: SpeedFraction,
        models: Vec<Arc<LayeredModel>>,
        segments: Segments,
    ) -> Result<Device> {
        let (sessions, usual) = (BTreeMap::new(), Usual::new());
        let segments_of_models = segments.clone();
        let mut device = Device { engine, options, speed, models, segments, sessions, usual };
        for (model, segments) in segments_of_models.iter().enumerate() {
            for (number, _) in segments.iter().enumerate().filter(|(_, s)| s.is_planned) {
                device.warm(ModelId::at(model), number)?;
            }
        }
        Ok(device)
    }

    /// Loads a segment and warms it up, unless that has been done.
    fn warm(&mut self, model: ModelId, segment: usize) -> Result<()> {
        if !self.sessions.contains_key(&(model, segment)) {
            let loaded = self.session(model, segment)?;
            warm_up(&mut *loaded.session, &loaded.declared);
        }
        Ok(())
    }

    /// Tells what the calling thread computes.
    pub(crate) fn clock(&self) -> ComputeClock<'_> {
        ComputeClock::new(&*self.engine, self.options)
    }

    /// Rests after segments of a model were run, as long as the device's speed has it.
    pub(crate) fn rest_after(&mut self, stint: Stint, model: ModelId, segments: &[usize]) {
        if self.speed != SpeedFraction::FULL {
            let busy = stint.busy(self.clock());
            self.speed.rest_for(self.usual.undisturbed((model, segments.to_vec()), busy));
        }
    }

    /// Runs one segment of a model on the tensors that `find` finds; returns what it writes.
    ///
    /// # Errors
    /// If the segment cannot be loaded or run; those of `find`.
    pub(crate) fn run<'t>(
        &mut self,
        model: ModelId,
        segment: usize,
        find: impl Fn(&str) -> Result<Option<&'t Tensor>>,
    ) -> Result<Vec<(String, Tensor)>> {
        let loaded = self.session(model, segment)?;
        let mut inputs: Vec<(&str, &Tensor)> = Vec::with_capacity(loaded.inputs.len());
        for name in &loaded.inputs {
            inputs.extend(find(name)?.map(|value| (name.as_str(), value)));
        }
        loaded.session.run(&inputs)
    }

    fn session(&mut self, model: ModelId, segment: usize) -> Result<&mut LoadedSession> {
        let entry = match self.sessions.entry((model, segment)) {
            Entry::Occupied(loaded) => return Ok(loaded.into_mut()),
            Entry::Vacant(entry) => entry,
        };
        let layers = &self.segments[model.index()][segment].layers;
        let layers: Vec<usize> = layers.iter().map(|layer| layer.index()).collect();
        let part = self.models[model.index()].segment(&layers)?;
        Ok(entry.insert(LoadedSession {
            session: self.engine.load(&part.onnx, self.options)?,
            declared: Declared::read(&part.onnx)?,
            inputs: part.inputs,
        }))
    }
}
