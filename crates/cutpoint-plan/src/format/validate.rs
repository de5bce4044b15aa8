//! From a workload file to a workload: every rule that a reader of JSON cannot know.

use crate::format::entries::{Entries, Quantity};
use crate::format::error::{FormatError, Rule};
use crate::format::limits::{
    ENCODINGS_MAX, EXECUTORS_MAX, JOBS_MAX, LAYERS_MAX, MODELS_MAX, OPERATIONS_MAX, READS_MAX,
    TENSOR_BYTES_MAX, TENSORS_MAX,
};
use crate::format::workload_file::{
    EncodingFile, LayerFile, LinkFile, ModelFile, SizeFile, WORKLOAD_SCHEMA, WorkloadFile,
};
use crate::units::{Bandwidth, Time};
use crate::workload::{
    Encoding, Layer, LayerId, Link, Model, ModelId, Server, Tensor, TensorId, Workload,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;

type Result<T> = std::result::Result<T, FormatError>;

impl TryFrom<WorkloadFile> for Workload {
    type Error = FormatError;

    fn try_from(file: WorkloadFile) -> Result<Workload> {
        if file.schema != WORKLOAD_SCHEMA {
            let rule = Rule::Schema { found: file.schema, expected: WORKLOAD_SCHEMA };
            return Err(FormatError::new("schema", rule));
        }
        let link = link(&file.link)?;
        let executors = match &file.server {
            Some(server) => whole(server.executors, EXECUTORS_MAX, "server.executors")?,
            None => 0,
        };
        let executors = u32::try_from(executors).ok().and_then(NonZeroU32::new);
        at_most("models", file.models.0.len(), MODELS_MAX, "models")?;
        let mut models = Vec::with_capacity(file.models.0.len());
        for (name, model) in &file.models.0 {
            models.push(ModelReader::new(name).read(model)?);
        }
        models.sort_by(|a, b| a.name.cmp(&b.name));
        let mut workload =
            Workload { link, server: Server { executors }, models, jobs: Vec::new() };
        workload.jobs = jobs(&file, &workload.models)?;
        check_total(&workload)?;
        Ok(workload)
    }
}

fn link(file: &LinkFile) -> Result<Link> {
    let downlink = match file.downlink_mbps {
        Some(mbps) => Some(bandwidth(mbps, "link.downlink_mbps")?),
        None => None,
    };
    Ok(Link {
        uplink: bandwidth(file.uplink_mbps, "link.uplink_mbps")?,
        downlink,
        round_trip: time(file.rtt_ms, "link.rtt_ms")?,
        message_overhead: time(file.message_overhead_ms, "link.message_overhead_ms")?,
    })
}

fn bandwidth(mbps: f64, place: &str) -> Result<Bandwidth> {
    Bandwidth::from_mbit_per_s(mbps).ok_or_else(|| FormatError::new(place, not_valid(mbps)))
}

/// A length of time at `place`.
pub(super) fn time(milliseconds: f64, place: &str) -> Result<Time> {
    Time::from_milliseconds(milliseconds)
        .filter(|_| milliseconds >= 0.0)
        .ok_or_else(|| FormatError::new(place, not_valid(milliseconds)))
}

/// Why a number that should be a time or a bandwidth is none.
fn not_valid(value: f64) -> Rule {
    match value {
        _ if !value.is_finite() => Rule::NotFinite,
        _ if value < 0.0 => Rule::Negative(value),
        _ => Rule::TooLong(value),
    }
}

fn whole(value: Quantity, limit: u64, place: &str) -> Result<u64> {
    let rule = match value {
        Quantity::Whole(value) if value <= limit => return Ok(value),
        Quantity::Whole(value) => Rule::TooLarge { found: value as f64, limit },
        Quantity::Other(value) if !value.is_finite() => Rule::NotFinite,
        Quantity::Other(value) if value < 0.0 => Rule::Negative(value),
        Quantity::Other(value) if value > limit as f64 => Rule::TooLarge { found: value, limit },
        Quantity::Other(value) => Rule::NotWhole(value),
    };
    Err(FormatError::new(place, rule))
}

fn at_most(place: &str, found: usize, limit: usize, what: &'static str) -> Result<()> {
    let (found, limit) = (found as u64, limit as u64);
    match found <= limit {
        true => Ok(()),
        false => Err(FormatError::new(place, Rule::TooMany { what, found, limit })),
    }
}

/// The model of each job.
fn jobs(file: &WorkloadFile, models: &[Model]) -> Result<Vec<ModelId>> {
    let ids: BTreeMap<&str, usize> =
        models.iter().enumerate().map(|(id, model)| (model.name.as_str(), id)).collect();
    let (mut runs, mut job_count, mut operation_count) = (Vec::new(), 0u64, 0u64);
    for (i, run) in file.jobs.iter().enumerate() {
        let Some(&id) = ids.get(run.model.as_str()) else {
            let rule = Rule::UnknownModel { model: run.model.clone() };
            return Err(FormatError::new(format!("jobs[{i}].model"), rule));
        };
        let count = whole(run.count, JOBS_MAX, &format!("jobs[{i}].count"))?;
        let size = (models[id].layers.len() + models[id].tensors.len()) as u64;
        job_count += count;
        operation_count += count * size;
        let too_many = [
            ("jobs", job_count, JOBS_MAX),
            ("layers and tensors over all jobs", operation_count, OPERATIONS_MAX),
        ];
        for (what, found, limit) in too_many {
            if found > limit {
                return Err(FormatError::new("jobs", Rule::TooMany { what, found, limit }));
            }
        }
        runs.push((ModelId::at(id), count as usize));
    }
    Ok(runs.into_iter().flat_map(|(id, count)| std::iter::repeat_n(id, count)).collect())
}

/// Refuses a workload whose operations, one after the other, could take longer than the longest
/// time. A transfer that a link cannot carry at all does not count: no plan has it.
fn check_total(workload: &Workload) -> Result<()> {
    let mut counts = vec![0u64; workload.models.len()];
    workload.jobs.iter().for_each(|id| counts[id.index()] += 1);
    let link = &workload.link;
    let mut total = Some(Time::ZERO);
    for (model, &count) in workload.models.iter().zip(&counts) {
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
    total.map(|_| ()).ok_or_else(|| FormatError::new("jobs", Rule::TotalTime))
}

fn possible_transfer(bandwidth: Bandwidth, bytes: u64) -> Option<Time> {
    if bandwidth.mbit_per_s() > 0.0 { bandwidth.transfer_time(bytes) } else { Some(Time::ZERO) }
}

/// One model while it is read.
struct ModelReader<'a> {
    place: String,
    name: &'a str,
    tensors: Vec<Tensor>,
    by_name: BTreeMap<&'a str, TensorId>,
}

impl<'a> ModelReader<'a> {
    fn new(name: &'a str) -> ModelReader<'a> {
        let place = format!("models.{name}");
        ModelReader { place, name, tensors: Vec::new(), by_name: BTreeMap::new() }
    }

    fn read(mut self, file: &'a ModelFile) -> Result<Model> {
        let layers_place = format!("{}.layers", self.place);
        at_most(&layers_place, file.layers.len(), LAYERS_MAX, "layers")?;
        let tensor_count =
            file.inputs.0.len() + file.layers.iter().map(|l| l.writes.0.len()).sum::<usize>();
        at_most(&self.place, tensor_count, TENSORS_MAX, "tensors")?;
        for (name, size) in &file.inputs.0 {
            let place = format!("{}.inputs.{name}", self.place);
            self.add_tensor(name, size, None, &place)?;
        }
        let inputs = self.by_name_in_order();
        let mut layers = self.layers(&file.layers)?;
        for (i, (layer, file)) in layers.iter_mut().zip(&file.layers).enumerate() {
            layer.reads = self.reads(file, LayerId::at(i))?;
        }
        let outputs = match &file.outputs {
            Some(names) => self.outputs(names)?,
            None => self.unread(),
        };
        let topological = self.topological(&layers)?;
        let name = self.name.to_string();
        Ok(Model { name, tensors: self.tensors, layers, topological, inputs, outputs })
    }

    fn by_name_in_order(&self) -> Vec<TensorId> {
        (0..self.tensors.len()).map(TensorId::at).collect()
    }

    /// The layers with their times and what they write; what they read comes when all tensors
    /// are known.
    fn layers(&mut self, files: &'a [LayerFile]) -> Result<Vec<Layer>> {
        let mut names = BTreeMap::new();
        let mut layers = Vec::with_capacity(files.len());
        for (i, file) in files.iter().enumerate() {
            let place = format!("{}.layers[{i}]", self.place);
            if let Some(first) = names.insert(file.name.as_str(), i) {
                let rule = Rule::DuplicateLayer { name: file.name.clone(), first };
                return Err(FormatError::new(format!("{place}.name"), rule));
            }
            let mut writes = Vec::with_capacity(file.writes.0.len());
            for (name, size) in &file.writes.0 {
                let place = format!("{place}.writes.{name}");
                writes.push(self.add_tensor(name, size, Some(LayerId::at(i)), &place)?);
            }
            layers.push(Layer {
                name: file.name.clone(),
                device: time(file.device_ms, &format!("{place}.device_ms"))?,
                server: time(file.server_ms, &format!("{place}.server_ms"))?,
                reads: Vec::new(),
                writes,
            });
        }
        Ok(layers)
    }

    fn add_tensor(
        &mut self,
        name: &'a str,
        size: &SizeFile,
        producer: Option<LayerId>,
        place: &str,
    ) -> Result<TensorId> {
        let id = TensorId::at(self.tensors.len());
        if self.by_name.insert(name, id).is_some() {
            let rule = Rule::WrittenTwice { tensor: name.to_string() };
            return Err(FormatError::new(place, rule));
        }
        let bytes_place = match size.encodings.is_empty() {
            true => place.to_string(),
            false => format!("{place}.bytes"),
        };
        self.tensors.push(Tensor {
            name: name.to_string(),
            bytes: whole(size.bytes, TENSOR_BYTES_MAX, &bytes_place)?,
            encodings: encodings(&size.encodings, &format!("{place}.encodings"))?,
            producer,
            readers: Vec::new(),
        });
        Ok(id)
    }

    fn find(&self, name: &str, place: impl FnOnce() -> String) -> Result<TensorId> {
        self.by_name.get(name).copied().ok_or_else(|| {
            FormatError::new(place(), Rule::UnknownTensor { tensor: name.to_string() })
        })
    }

    /// What a layer reads, each tensor once.
    fn reads(&mut self, file: &LayerFile, layer: LayerId) -> Result<Vec<TensorId>> {
        let place = format!("{}.layers[{}].reads", self.place, layer.index());
        at_most(&place, file.reads.len(), READS_MAX, "tensors read")?;
        let mut reads = Vec::with_capacity(file.reads.len());
        for (i, name) in file.reads.iter().enumerate() {
            let tensor = self.find(name, || format!("{place}[{i}]"))?;
            let readers = &mut self.tensors[tensor.index()].readers;
            if readers.last() != Some(&layer) {
                readers.push(layer);
                reads.push(tensor);
            }
        }
        Ok(reads)
    }

    /// What the user wants, each tensor once.
    fn outputs(&self, names: &[String]) -> Result<Vec<TensorId>> {
        let place = format!("{}.outputs", self.place);
        let mut is_output = vec![false; self.tensors.len()];
        let mut outputs = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let tensor = self.find(name, || format!("{place}[{i}]"))?;
            if !std::mem::replace(&mut is_output[tensor.index()], true) {
                outputs.push(tensor);
            }
        }
        Ok(outputs)
    }

    fn unread(&self) -> Vec<TensorId> {
        let is_output = |t: &Tensor| t.readers.is_empty() && t.producer.is_some();
        (0..self.tensors.len()).filter(|&t| is_output(&self.tensors[t])).map(TensorId::at).collect()
    }

    /// How many tensors that layers write each layer still waits for.
    fn waits(&self, layers: &[Layer]) -> Vec<usize> {
        let is_written = |t: &&TensorId| self.tensors[t.index()].producer.is_some();
        layers.iter().map(|layer| layer.reads.iter().filter(is_written).count()).collect()
    }

    /// All layers, each after those it reads from, ties in the order of the file.
    fn topological(&self, layers: &[Layer]) -> Result<Vec<LayerId>> {
        let mut waits = self.waits(layers);
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
        Err(FormatError::new(format!("{}.layers", self.place), Rule::Cycle { layers }))
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

fn encodings(files: &Entries<EncodingFile>, place: &str) -> Result<Vec<Encoding>> {
    at_most(place, files.0.len(), ENCODINGS_MAX, "encodings")?;
    let mut encodings = Vec::with_capacity(files.0.len());
    for (name, file) in &files.0 {
        let place = format!("{place}.{name}");
        encodings.push(Encoding {
            name: name.clone(),
            bytes: whole(file.bytes, TENSOR_BYTES_MAX, &format!("{place}.bytes"))?,
            encode: time(file.encode_ms, &format!("{place}.encode_ms"))?,
            decode: time(file.decode_ms, &format!("{place}.decode_ms"))?,
        });
    }
    Ok(encodings)
}
