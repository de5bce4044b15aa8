//! `workload.json` key by key, before it is judged.

use crate::format::entries::{Entries, Quantity};
use crate::units::Time;
use crate::workload::{Link, ModelGraph, ModelTensor, TensorId, Workload};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The schema of a workload file.
pub const WORKLOAD_SCHEMA: &str = "cutpoint.workload/1";

/// A whole workload file. [`Workload`] is made from it with `try_from`, which validates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadFile {
    /// [`WORKLOAD_SCHEMA`].
    pub schema: String,
    /// The link between device and server.
    pub link: LinkFile,
    /// The server; without it, any number of jobs are computed at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerFile>,
    /// Models by name.
    pub models: Entries<ModelFile>,
    /// Runs of jobs.
    pub jobs: Vec<JobsFile>,
}

/// The link between device and server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkFile {
    /// From device to server, in million bits per second.
    pub uplink_mbps: f64,
    /// From server to device, in million bits per second; without it, results return at no cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downlink_mbps: Option<f64>,
    /// There and back.
    #[serde(default)]
    pub rtt_ms: f64,
    /// Added to the transfer of each tensor on the uplink.
    #[serde(default)]
    pub message_overhead_ms: f64,
}

/// The server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerFile {
    /// How many jobs it computes at a time; 0 for any number.
    #[serde(default = "zero")]
    pub executors: Quantity,
}

/// A model: its inputs, its layers, and what the user wants of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Sizes of the tensors that are on the device from the start.
    pub inputs: Entries<SizeFile>,
    /// Tensors that the user wants; without it, those that a layer writes and none reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<String>>,
    /// The layers, in any order.
    pub layers: Vec<LayerFile>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerFile {
    /// Unique in the model.
    pub name: String,
    /// The tensors it reads.
    #[serde(default)]
    pub reads: Vec<String>,
    /// Sizes of the tensors it writes.
    #[serde(default)]
    pub writes: Entries<SizeFile>,
    /// What it takes on the device.
    pub device_ms: f64,
    /// What it takes on the server.
    #[serde(default)]
    pub server_ms: f64,
}

/// The size of a tensor: a number of bytes, or an object that also has encodings.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeFile {
    /// The raw size.
    pub bytes: Quantity,
    /// Other forms, by name.
    pub encodings: Entries<EncodingFile>,
}

/// One encoding of a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodingFile {
    /// The size on the link.
    pub bytes: Quantity,
    /// What encoding takes on the device.
    #[serde(default)]
    pub encode_ms: f64,
    /// What decoding takes on the server.
    #[serde(default)]
    pub decode_ms: f64,
}

/// A run of jobs of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsFile {
    /// The name of the model.
    pub model: String,
    /// How many jobs.
    #[serde(default = "one")]
    pub count: Quantity,
}

fn zero() -> Quantity {
    Quantity::Whole(0)
}

fn one() -> Quantity {
    Quantity::Whole(1)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SizeObject {
    bytes: Quantity,
    #[serde(default)]
    encodings: Entries<EncodingFile>,
}

impl Serialize for SizeFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.encodings.is_empty() {
            return self.bytes.serialize(serializer);
        }
        let (bytes, encodings) = (self.bytes, self.encodings.clone());
        SizeObject { bytes, encodings }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SizeFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SizeFile, D::Error> {
        struct SizeVisitor;

        impl<'de> Visitor<'de> for SizeVisitor {
            type Value = SizeFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or an object with bytes and encodings")
            }

            fn visit_u64<E>(self, bytes: u64) -> Result<SizeFile, E> {
                Ok(SizeFile { bytes: bytes.into(), encodings: Entries::default() })
            }

            fn visit_i64<E>(self, bytes: i64) -> Result<SizeFile, E> {
                let bytes = Quantity::from(bytes as f64);
                Ok(SizeFile { bytes, encodings: Entries::default() })
            }

            fn visit_f64<E>(self, bytes: f64) -> Result<SizeFile, E> {
                Ok(SizeFile { bytes: bytes.into(), encodings: Entries::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SizeFile, A::Error> {
                let object = SizeObject::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SizeFile { bytes: object.bytes, encodings: object.encodings })
            }
        }

        deserializer.deserialize_any(SizeVisitor)
    }
}

impl From<&Workload> for WorkloadFile {
    fn from(workload: &Workload) -> WorkloadFile {
        let mut jobs: Vec<JobsFile> = Vec::new();
        for run in workload.jobs.chunk_by(|a, b| a == b) {
            let model = workload.models[run[0].index()].name.clone();
            jobs.push(JobsFile { model, count: (run.len() as u64).into() });
        }
        let executors = workload.executors;
        WorkloadFile {
            schema: WORKLOAD_SCHEMA.into(),
            link: (&workload.link).into(),
            server: executors.map(|n| ServerFile { executors: u64::from(n.get()).into() }),
            models: workload.models.iter().map(|m| (m.name.clone(), m.into())).collect(),
            jobs,
        }
    }
}

impl From<&Link> for LinkFile {
    fn from(link: &Link) -> LinkFile {
        LinkFile {
            uplink_mbps: link.uplink.mbit_per_s(),
            downlink_mbps: link.downlink.map(|b| b.mbit_per_s()),
            rtt_ms: link.round_trip.milliseconds(),
            message_overhead_ms: link.message_overhead.milliseconds(),
        }
    }
}

impl From<&ModelGraph> for ModelFile {
    fn from(model: &ModelGraph) -> ModelFile {
        let name = |&t: &TensorId| model.tensors[t.index()].name.clone();
        let size = |&t: &TensorId| (name(&t), SizeFile::from(&model.tensors[t.index()]));
        let layers = model.layers.iter().map(|layer| LayerFile {
            name: layer.name.clone(),
            reads: layer.reads.iter().map(name).collect(),
            writes: layer.writes.iter().map(size).collect(),
            device_ms: layer.device.milliseconds(),
            server_ms: layer.server.milliseconds(),
        });
        ModelFile {
            inputs: model.inputs.iter().map(size).collect(),
            outputs: Some(model.outputs.iter().map(name).collect()),
            layers: layers.collect(),
        }
    }
}

impl From<&ModelTensor> for SizeFile {
    fn from(tensor: &ModelTensor) -> SizeFile {
        let encodings = tensor.encodings.iter().map(|encoding| {
            let ms = |time: Time| time.milliseconds();
            let (encode_ms, decode_ms) = (ms(encoding.encode), ms(encoding.decode));
            let bytes = encoding.bytes.into();
            (encoding.name.clone(), EncodingFile { bytes, encode_ms, decode_ms })
        });
        SizeFile { bytes: tensor.bytes.into(), encodings: encodings.collect() }
    }
}
