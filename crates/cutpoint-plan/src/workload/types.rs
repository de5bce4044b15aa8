//! The parts of a workload: link, server, models with layers and tensors, jobs.

use crate::units::{Bandwidth, Time};
use crate::workload::size::TensorEncoding;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the list this id belongs to.
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The id at a position. Lists are limited to 2^32 - 1 entries when they are read.
            pub fn at(index: usize) -> $name {
                $name(u32::try_from(index).expect("lists are limited when they are read"))
            }
        }
    };
}

id!(
    /// One inference request: its position in the workload's expanded list of jobs.
    JobId
);
id!(
    /// A model: its position in [`Workload::models`].
    ModelId
);
id!(
    /// A layer of one model: its position in [`ModelGraph::layers`].
    LayerId
);
id!(
    /// A tensor of one model: its position in [`ModelGraph::tensors`].
    TensorId
);

/// Everything the planner knows. Made by [`Workload::builder`] or read from a file, both of which
/// validate it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    pub(crate) link: Link,
    pub(crate) executors: Option<NonZeroU32>,
    pub(crate) models: Vec<ModelGraph>,
    pub(crate) jobs: Vec<ModelId>,
}

impl Workload {
    /// The link between device and server.
    pub fn link(&self) -> Link {
        self.link
    }

    /// How many jobs the server computes at a time; `None` for any number.
    pub fn executors(&self) -> Option<NonZeroU32> {
        self.executors
    }

    /// The models, in the order of their names.
    pub fn models(&self) -> &[ModelGraph] {
        &self.models
    }

    /// The model of each job, jobs in the order of the workload.
    pub fn jobs(&self) -> &[ModelId] {
        &self.jobs
    }

    /// How many jobs each model has.
    pub fn job_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.models.len()];
        self.jobs.iter().for_each(|id| counts[id.index()] += 1);
        counts
    }

    /// The same with other jobs.
    ///
    /// # Panics
    /// If a job is of a model that the workload does not have.
    pub fn with_jobs(&self, jobs: impl IntoIterator<Item = ModelId>) -> Workload {
        let mut workload = self.clone();
        workload.set_jobs(jobs);
        workload
    }

    /// Replaces the jobs.
    ///
    /// # Panics
    /// If a job is of a model that the workload does not have.
    pub fn set_jobs(&mut self, jobs: impl IntoIterator<Item = ModelId>) {
        self.jobs = jobs.into_iter().collect();
        let is_known = |model: &ModelId| model.index() < self.models.len();
        assert!(self.jobs.iter().all(is_known), "a job of a model that the workload does not have");
    }

    /// Replaces the bandwidth of the uplink.
    pub fn set_uplink(&mut self, uplink: Bandwidth) {
        self.link.uplink = uplink;
    }

    /// The same on another link.
    pub fn with_link(self, link: Link) -> Workload {
        Workload { link, ..self }
    }

    /// The same with other layer times: `times` gives what each layer takes on the device and on the
    /// server.
    pub fn with_layer_times(
        mut self,
        mut times: impl FnMut(ModelId, LayerId, &Layer) -> (Time, Time),
    ) -> Workload {
        for (m, model) in self.models.iter_mut().enumerate() {
            for (l, layer) in model.layers.iter_mut().enumerate() {
                (layer.device, layer.server) = times(ModelId::at(m), LayerId::at(l), layer);
            }
        }
        self
    }

    /// The same as if the server took no time: any number of jobs at once, nothing to compute or
    /// decode, and no round trip.
    pub fn without_server_times(self) -> Workload {
        let link = Link { round_trip: Time::ZERO, ..self.link };
        let mut workload = Workload { link, executors: None, ..self };
        for model in &mut workload.models {
            model.layers.iter_mut().for_each(|layer| layer.server = Time::ZERO);
            let forms = model.tensors.iter_mut().flat_map(|t| &mut t.encodings);
            forms.for_each(|form| form.decode = Time::ZERO);
        }
        workload
    }

    /// The model of a job.
    pub fn model_of(&self, job: JobId) -> &ModelGraph {
        &self.models[self.jobs[job.index()].index()]
    }
}

/// The link between device and server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// From device to server.
    #[serde(rename = "uplink_mbps")]
    pub uplink: Bandwidth,
    /// From server to device; `None` if results return at no cost.
    #[serde(rename = "downlink_mbps", default, skip_serializing_if = "Option::is_none")]
    pub downlink: Option<Bandwidth>,
    /// There and back; half of it passes between the end of a transfer and its arrival.
    #[serde(rename = "rtt_ms", default)]
    pub round_trip: Time,
    /// Added to the transfer of each tensor on the uplink.
    #[serde(rename = "message_overhead_ms", default)]
    pub message_overhead: Time,
}

impl Link {
    /// A link of this uplink, with no downlink, round trip or overhead.
    pub fn at(uplink: Bandwidth) -> Link {
        let (round_trip, message_overhead) = (Time::ZERO, Time::ZERO);
        Link { uplink, downlink: None, round_trip, message_overhead }
    }
}

/// A model as the planner sees it: layers that read and write tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelGraph {
    /// Its name in the workload.
    pub name: String,
    /// All tensors: first the inputs, then what layers write, in the order of the file.
    pub tensors: Vec<ModelTensor>,
    /// The layers in the order of the file.
    pub layers: Vec<Layer>,
    /// All layers, each after the layers that it reads from; ties in the order of the file.
    pub topological: Vec<LayerId>,
    /// Tensors that are on the device from the start.
    pub inputs: Vec<TensorId>,
    /// Tensors that the user wants.
    pub outputs: Vec<TensorId>,
}

/// The atomic unit the planner may place on the device or on the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name, unique in the model.
    pub name: String,
    /// Its time on the device.
    pub device: Time,
    /// Its time on the server.
    pub server: Time,
    /// The tensors it reads, each once.
    pub reads: Vec<TensorId>,
    /// The tensors it writes.
    pub writes: Vec<TensorId>,
}

/// A tensor that flows between layers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelTensor {
    /// Its name, unique in the model.
    pub name: String,
    /// Its raw size.
    pub bytes: u64,
    /// Other forms in which it can cross the link.
    pub encodings: Vec<TensorEncoding>,
    /// The layer that writes it; `None` for an input.
    pub producer: Option<LayerId>,
    /// The layers that read it, in the order of the file.
    pub readers: Vec<LayerId>,
}

impl ModelTensor {
    /// Its bytes on the link, in one of its encodings or raw.
    pub fn sent_bytes(&self, encoding: Option<usize>) -> u64 {
        encoding.map_or(self.bytes, |encoding| self.encodings[encoding].bytes)
    }
}
