//! From names, times and sizes to a workload: every rule that a workload must keep.

use crate::error::{InputError, Rule};
use crate::units::{Bandwidth, Time};
use crate::workload::json::{by_name, whole};
use crate::workload::limits::{
    ENCODINGS_MAX, JOBS_MAX, LAYERS_MAX, MODELS_MAX, OPERATIONS_MAX, READS_MAX, TENSOR_BYTES_MAX,
    TENSORS_MAX,
};
use crate::workload::size::Size;
use crate::workload::types::{
    Layer, LayerId, Link, ModelGraph, ModelId, ModelTensor, TensorId, Workload,
};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;

type Result<T> = std::result::Result<T, InputError>;

impl Workload {
    /// Begins a workload on a link, with a server that computes any number of jobs at a time.
    ///
    /// ```
    /// use cutpoint_plan::units::{Bandwidth, Time};
    /// use cutpoint_plan::workload::{LayerBuilder, Link, ModelBuilder, Workload};
    ///
    /// let ms = |ms| Time::from_milliseconds(ms).unwrap();
    /// let model = ModelBuilder::new("small")
    ///     .input("image", 150_528)
    ///     .layer(LayerBuilder::new("conv").read("image").write("map", 20_000).device(ms(8.0)))
    ///     .layer(LayerBuilder::new("head").read("map").write("label", 40).device(ms(30.0)));
    /// let workload = Workload::builder(Link::at(Bandwidth::from_mbit_per_s(20.0).unwrap()))
    ///     .add_model(model)
    ///     .add_jobs("small", 12)
    ///     .build()?;
    /// assert_eq!(workload.jobs().len(), 12);
    /// # Ok::<(), cutpoint_plan::error::InputError>(())
    /// ```
    pub fn builder(link: Link) -> WorkloadBuilder {
        WorkloadBuilder { link, executors: None, models: Vec::new(), jobs: Vec::new() }
    }
}

/// A workload before it is validated.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadBuilder {
    /// The link between device and server.
    pub link: Link,
    /// How many jobs the server computes at a time; `None` for any number.
    pub executors: Option<NonZeroU32>,
    /// The models, in any order.
    pub models: Vec<ModelBuilder>,
    /// The jobs, in runs of one model.
    pub jobs: Vec<JobRun>,
}

/// Jobs of one model that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRun {
    /// The name of the model.
    pub model: String,
    /// How many jobs.
    #[serde(default = "one", deserialize_with = "whole")]
    pub count: u64,
}

fn one() -> u64 {
    1
}

impl WorkloadBuilder {
    /// Sets how many jobs the server computes at a time; `None` for any number.
    pub fn executors(self, executors: Option<NonZeroU32>) -> WorkloadBuilder {
        WorkloadBuilder { executors, ..self }
    }

    /// Adds a model.
    pub fn add_model(mut self, model: ModelBuilder) -> WorkloadBuilder {
        self.models.push(model);
        self
    }

    /// Adds `count` jobs of the model of that name, after all jobs added before.
    pub fn add_jobs(mut self, model: impl Into<String>, count: u64) -> WorkloadBuilder {
        self.jobs.push(JobRun { model: model.into(), count });
        self
    }

    /// Validates everything; models are put in the order of their names.
    ///
    /// # Errors
    /// The first broken rule, with its place.
    pub fn build(self) -> Result<Workload> {
        at_most("models", self.models.len() as u64, MODELS_MAX, "models")?;
        let mut models = Vec::with_capacity(self.models.len());
        for model in self.models {
            models.push(model.build()?);
        }
        models.sort_by(|a: &ModelGraph, b| a.name.cmp(&b.name));
        if let Some(twice) = models.windows(2).find(|w| w[0].name == w[1].name) {
            let message = format!("duplicate model {:?}", twice[0].name);
            return Err(InputError::new("models", Rule::DuplicateKey, message));
        }
        let jobs = expand(&self.jobs, &models)?;
        let workload = Workload { link: self.link, executors: self.executors, models, jobs };
        check_total(&workload)?;
        Ok(workload)
    }
}

/// The model of each job.
fn expand(runs: &[JobRun], models: &[ModelGraph]) -> Result<Vec<ModelId>> {
    let (mut jobs, mut job_count, mut operation_count) = (Vec::new(), 0u64, 0u64);
    for (i, JobRun { model, count }) in runs.iter().enumerate() {
        let Ok(id) = models.binary_search_by(|known| known.name.cmp(model)) else {
            let message = format!("the workload has no model {model:?}");
            return Err(InputError::new(format!("jobs[{i}].model"), Rule::UnknownModel, message));
        };
        no_larger(*count, JOBS_MAX, || format!("jobs[{i}].count"))?;
        let size = (models[id].layers.len() + models[id].tensors.len()) as u64;
        job_count = job_count.saturating_add(*count);
        operation_count = operation_count.saturating_add(count.saturating_mul(size));
        at_most("jobs", job_count, JOBS_MAX, "jobs")?;
        at_most("jobs", operation_count, OPERATIONS_MAX, "layers and tensors over all jobs")?;
        jobs.extend(std::iter::repeat_n(ModelId::at(id), *count as usize));
    }
    Ok(jobs)
}

/// Refuses a workload whose operations, one after the other, could take longer than the longest
/// time. A transfer that a link cannot carry at all does not count: no plan has it.
fn check_total(workload: &Workload) -> Result<()> {
    let link = &workload.link;
    let mut total = Some(Time::ZERO);
    for (model, count) in workload.models.iter().zip(workload.job_counts()) {
        let mut longest = Some(link.round_trip);
        let mut add = |time: Option<Time>| {
            longest = longest.and_then(|sum| time.and_then(|t| sum.checked_add(t)));
        };
        for layer in &model.layers {
            add(Some(layer.device));
            add(Some(layer.server));
        }
        for tensor in model.tensors.iter().filter(|t| !t.readers.is_empty()) {
            let raw = (tensor.bytes, Time::ZERO);
            let forms = tensor.encodings.iter().map(|e| (e.bytes, e.encode + e.decode));
            for (bytes, coding) in forms.chain([raw]) {
                add(Some(coding));
                add(possible_transfer(link.uplink, bytes));
                add(Some(link.message_overhead));
            }
        }
        if let Some(downlink) = link.downlink {
            for output in &model.outputs {
                add(possible_transfer(downlink, model.tensors[output.index()].bytes));
            }
        }
        let all = longest.and_then(|time| time.checked_mul(count));
        total = total.and_then(|sum| all.and_then(|time| sum.checked_add(time)));
    }
    total.map(|_| ()).ok_or_else(|| {
        let message = "all operations of all jobs together may take longer than 2^61 ns (73 years)";
        InputError::new("jobs", Rule::TotalTime, message)
    })
}

fn possible_transfer(bandwidth: Bandwidth, bytes: u64) -> Option<Time> {
    if bandwidth.mbit_per_s() > 0.0 { bandwidth.transfer_time(bytes) } else { Some(Time::ZERO) }
}

fn at_most(place: &str, found: u64, limit: u64, what: &str) -> Result<()> {
    match found <= limit {
        true => Ok(()),
        false => Err(InputError::too_many(place, what, found, limit)),
    }
}

fn no_larger(found: u64, limit: u64, place: impl FnOnce() -> String) -> Result<()> {
    match found <= limit {
        true => Ok(()),
        false => Err(InputError::too_large(place(), found, limit)),
    }
}

/// A layer before it is validated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerBuilder {
    /// Unique in the model.
    pub name: String,
    /// The tensors that it reads.
    #[serde(default)]
    pub reads: Vec<String>,
    /// The tensors that it writes.
    #[serde(default, with = "by_name")]
    pub writes: Vec<(String, Size)>,
    /// Its time on the device.
    #[serde(rename = "device_ms")]
    pub device: Time,
    /// Its time on the server.
    #[serde(rename = "server_ms", default)]
    pub server: Time,
}

impl LayerBuilder {
    /// A layer that reads and writes nothing and takes no time.
    pub fn new(name: impl Into<String>) -> LayerBuilder {
        LayerBuilder { name: name.into(), ..LayerBuilder::default() }
    }

    /// Adds a tensor that the layer reads.
    pub fn read(mut self, tensor: impl Into<String>) -> LayerBuilder {
        self.reads.push(tensor.into());
        self
    }

    /// Adds a tensor that the layer writes: a number of bytes, or a [`Size`] with encodings.
    pub fn write(mut self, tensor: impl Into<String>, size: impl Into<Size>) -> LayerBuilder {
        self.writes.push((tensor.into(), size.into()));
        self
    }

    /// Sets the layer's time on the device.
    pub fn device(self, device: Time) -> LayerBuilder {
        LayerBuilder { device, ..self }
    }

    /// Sets the layer's time on the server.
    pub fn server(self, server: Time) -> LayerBuilder {
        LayerBuilder { server, ..self }
    }
}

/// A model before it is validated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelBuilder {
    /// Unique in the workload.
    #[serde(skip)]
    pub name: String,
    /// The tensors that are on the device from the start.
    #[serde(with = "by_name")]
    pub inputs: Vec<(String, Size)>,
    /// The tensors that the user wants; `None` for those that a layer writes and none reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<String>>,
    /// The layers, in any order.
    pub layers: Vec<LayerBuilder>,
}

impl From<&ModelGraph> for ModelBuilder {
    fn from(model: &ModelGraph) -> ModelBuilder {
        let name = |&t: &TensorId| model.tensors[t.index()].name.clone();
        let sized = |&t: &TensorId| {
            let ModelTensor { name, bytes, encodings, .. } = model.tensors[t.index()].clone();
            (name, Size { bytes, encodings })
        };
        let layers = model.layers.iter().map(|layer| LayerBuilder {
            name: layer.name.clone(),
            reads: layer.reads.iter().map(name).collect(),
            writes: layer.writes.iter().map(sized).collect(),
            device: layer.device,
            server: layer.server,
        });
        ModelBuilder {
            name: model.name.clone(),
            inputs: model.inputs.iter().map(sized).collect(),
            outputs: Some(model.outputs.iter().map(name).collect()),
            layers: layers.collect(),
        }
    }
}

impl ModelBuilder {
    /// A model without inputs and layers; its outputs are the tensors that a layer writes and none
    /// reads, unless [`ModelBuilder::outputs`] names them.
    pub fn new(name: impl Into<String>) -> ModelBuilder {
        ModelBuilder { name: name.into(), ..ModelBuilder::default() }
    }

    /// Adds a tensor that is on the device from the start.
    pub fn input(mut self, tensor: impl Into<String>, size: impl Into<Size>) -> ModelBuilder {
        self.inputs.push((tensor.into(), size.into()));
        self
    }

    /// Adds a layer.
    pub fn layer(mut self, layer: LayerBuilder) -> ModelBuilder {
        self.layers.push(layer);
        self
    }

    /// Sets the tensors that the user wants: possibly none.
    pub fn outputs(self, tensors: Vec<String>) -> ModelBuilder {
        ModelBuilder { outputs: Some(tensors), ..self }
    }

    pub(crate) fn build(self) -> Result<ModelGraph> {
        let ModelBuilder { name, inputs, outputs, layers } = self;
        let place = format!("models.{name}");
        at_most(&format!("{place}.layers"), layers.len() as u64, LAYERS_MAX, "layers")?;
        let count = inputs.len() + layers.iter().map(|l| l.writes.len()).sum::<usize>();
        at_most(&place, count as u64, TENSORS_MAX, "tensors")?;
        let mut graph = Graph { place, tensors: Vec::new(), by_name: BTreeMap::new() };
        for (tensor, size) in inputs {
            let place = format!("{}.inputs.{tensor}", graph.place);
            graph.add_tensor(tensor, size, None, &place)?;
        }
        let inputs = (0..graph.tensors.len()).map(TensorId::at).collect();
        let layers = graph.add_layers(layers)?;
        let outputs = match outputs {
            Some(names) => graph.outputs(&names)?,
            None => graph.unread(),
        };
        let topological = graph.topological(&layers)?;
        Ok(ModelGraph { name, tensors: graph.tensors, layers, topological, inputs, outputs })
    }
}

/// The tensors of one model while it is built.
struct Graph {
    place: String,
    tensors: Vec<ModelTensor>,
    by_name: BTreeMap<String, TensorId>,
}

impl Graph {
    /// Adds the layers with what they write, then, when all tensors are known, what they read.
    fn add_layers(&mut self, builders: Vec<LayerBuilder>) -> Result<Vec<Layer>> {
        let mut names = BTreeMap::new();
        let (mut layers, mut all_reads) = (Vec::with_capacity(builders.len()), Vec::new());
        for (i, LayerBuilder { name, reads, writes, device, server }) in
            builders.into_iter().enumerate()
        {
            let place = format!("{}.layers[{i}]", self.place);
            if let Some(first) = names.insert(name.clone(), i) {
                let message = format!("layer {name:?} is already at position {first}");
                let place = format!("{place}.name");
                return Err(InputError::new(place, Rule::DuplicateLayer, message));
            }
            let mut written = Vec::with_capacity(writes.len());
            for (tensor, size) in writes {
                let place = format!("{place}.writes.{tensor}");
                written.push(self.add_tensor(tensor, size, Some(LayerId::at(i)), &place)?);
            }
            layers.push(Layer { name, device, server, reads: Vec::new(), writes: written });
            all_reads.push(reads);
        }
        for (l, (layer, reads)) in layers.iter_mut().zip(all_reads).enumerate() {
            layer.reads = self.reads(&reads, LayerId::at(l))?;
        }
        Ok(layers)
    }

    fn add_tensor(
        &mut self,
        name: String,
        Size { bytes, encodings }: Size,
        producer: Option<LayerId>,
        place: &str,
    ) -> Result<TensorId> {
        let id = TensorId::at(self.tensors.len());
        if self.by_name.insert(name.clone(), id).is_some() {
            let message =
                format!("tensor {name:?} is already an input or written by another layer");
            return Err(InputError::new(place, Rule::WrittenTwice, message));
        }
        at_most(&format!("{place}.encodings"), encodings.len() as u64, ENCODINGS_MAX, "encodings")?;
        no_larger(bytes, TENSOR_BYTES_MAX, || match encodings.is_empty() {
            true => place.to_string(),
            false => format!("{place}.bytes"),
        })?;
        for form in &encodings {
            let place = || format!("{place}.encodings.{}.bytes", form.name);
            no_larger(form.bytes, TENSOR_BYTES_MAX, place)?;
        }
        self.tensors.push(ModelTensor { name, bytes, encodings, producer, readers: Vec::new() });
        Ok(id)
    }

    fn find(&self, name: &str, place: impl FnOnce() -> String) -> Result<TensorId> {
        let found = self.by_name.get(name).copied();
        found.ok_or_else(|| InputError::unknown_tensor(place(), name))
    }

    /// The tensors that a layer reads, each once.
    fn reads(&mut self, names: &[String], layer: LayerId) -> Result<Vec<TensorId>> {
        let place = format!("{}.layers[{}].reads", self.place, layer.index());
        at_most(&place, names.len() as u64, READS_MAX, "tensors read")?;
        let mut reads = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            let tensor = self.find(name, || format!("{place}[{i}]"))?;
            let readers = &mut self.tensors[tensor.index()].readers;
            if readers.last() != Some(&layer) {
                readers.push(layer);
                reads.push(tensor);
            }
        }
        Ok(reads)
    }

    /// The outputs that the user wants, each once.
    fn outputs(&self, names: &[String]) -> Result<Vec<TensorId>> {
        let mut is_output = vec![false; self.tensors.len()];
        let mut outputs = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let tensor = self.find(name, || format!("{}.outputs[{i}]", self.place))?;
            if !std::mem::replace(&mut is_output[tensor.index()], true) {
                outputs.push(tensor);
            }
        }
        Ok(outputs)
    }

    fn unread(&self) -> Vec<TensorId> {
        let is_output = |t: &ModelTensor| t.readers.is_empty() && t.producer.is_some();
        (0..self.tensors.len()).filter(|&t| is_output(&self.tensors[t])).map(TensorId::at).collect()
    }

    /// All layers, each after those it reads from, ties in the order of the model.
    fn topological(&self, layers: &[Layer]) -> Result<Vec<LayerId>> {
        let is_written = |t: &&TensorId| self.tensors[t.index()].producer.is_some();
        let mut waits: Vec<usize> =
            layers.iter().map(|layer| layer.reads.iter().filter(is_written).count()).collect();
        let mut ready: BinaryHeap<Reverse<usize>> =
            (0..layers.len()).filter(|&l| waits[l] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(layers.len());
        while let Some(Reverse(layer)) = ready.pop() {
            order.push(LayerId::at(layer));
            for tensor in &layers[layer].writes {
                for reader in &self.tensors[tensor.index()].readers {
                    waits[reader.index()] -= 1;
                    if waits[reader.index()] == 0 {
                        ready.push(Reverse(reader.index()));
                    }
                }
            }
        }
        if order.len() == layers.len() {
            return Ok(order);
        }
        let layers = self.cycle(layers, &waits);
        let message =
            format!("layers wait for each other: {} -> {}", layers.join(" -> "), layers[0]);
        Err(InputError::new(format!("{}.layers", self.place), Rule::Cycle, message))
    }

    /// One cycle among the layers that still wait: each has a predecessor that waits too.
    fn cycle(&self, layers: &[Layer], waits: &[usize]) -> Vec<String> {
        let waiting = |l: &LayerId| waits[l.index()] > 0;
        let before = |layer: LayerId| {
            let producers = layers[layer.index()].reads.iter();
            producers.filter_map(|t| self.tensors[t.index()].producer).find(waiting)
        };
        let mut position = vec![None; layers.len()];
        let mut path = Vec::new();
        let mut next = (0..layers.len()).map(LayerId::at).find(waiting);
        while let Some(layer) = next {
            if let Some(start) = position[layer.index()] {
                path.drain(..start);
                break;
            }
            position[layer.index()] = Some(path.len());
            path.push(layer);
            next = before(layer);
        }
        path.iter().rev().map(|l: &LayerId| layers[l.index()].name.clone()).collect()
    }
}
