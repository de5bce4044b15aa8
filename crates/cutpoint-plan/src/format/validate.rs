//! From a workload file to a workload: numbers are judged here, everything else by the builder.

use crate::error::{InputError, Rule};
use crate::format::entries::{Entries, Quantity};
use crate::format::workload_file::{
    EncodingFile, LayerFile, LinkFile, ModelFile, SizeFile, WORKLOAD_SCHEMA, WorkloadFile,
};
use crate::units::{Bandwidth, Time};
use crate::workload::limits::{EXECUTORS_MAX, JOBS_MAX, TENSOR_BYTES_MAX};
use crate::workload::{LayerBuilder, Link, ModelBuilder, Size, TensorEncoding, Workload};
use std::num::NonZeroU32;

type Result<T> = std::result::Result<T, InputError>;

impl TryFrom<WorkloadFile> for Workload {
    type Error = InputError;

    fn try_from(file: WorkloadFile) -> Result<Workload> {
        if file.schema != WORKLOAD_SCHEMA {
            let rule = Rule::Schema { found: file.schema, expected: WORKLOAD_SCHEMA };
            return Err(InputError::new("schema", rule));
        }
        let executors = match &file.server {
            Some(server) => whole(server.executors, EXECUTORS_MAX, "server.executors")?,
            None => 0,
        };
        let executors = u32::try_from(executors).ok().and_then(NonZeroU32::new);
        let mut builder = Workload::builder(link(&file.link)?).executors(executors);
        for (name, file) in file.models.0 {
            builder = builder.add_model(model(name, file)?);
        }
        for (i, run) in file.jobs.into_iter().enumerate() {
            let count = whole(run.count, JOBS_MAX, &format!("jobs[{i}].count"))?;
            builder = builder.add_jobs(run.model, count);
        }
        builder.build()
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
    Bandwidth::from_mbit_per_s(mbps).ok_or_else(|| InputError::new(place, not_valid(mbps)))
}

/// A length of time at `place`.
pub(super) fn time(milliseconds: f64, place: &str) -> Result<Time> {
    Time::from_milliseconds(milliseconds)
        .filter(|_| milliseconds >= 0.0)
        .ok_or_else(|| InputError::new(place, not_valid(milliseconds)))
}

/// Why a number that should be a time or a bandwidth is not valid.
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
    Err(InputError::new(place, rule))
}

fn model(name: String, file: ModelFile) -> Result<ModelBuilder> {
    let place = format!("models.{name}");
    let mut model = ModelBuilder::new(name);
    for (tensor, file) in file.inputs.0 {
        let size = size(file, &format!("{place}.inputs.{tensor}"))?;
        model = model.input(tensor, size);
    }
    for (i, file) in file.layers.into_iter().enumerate() {
        model = model.layer(layer(file, &format!("{place}.layers[{i}]"))?);
    }
    Ok(match file.outputs {
        Some(outputs) => model.outputs(outputs),
        None => model,
    })
}

fn layer(file: LayerFile, place: &str) -> Result<LayerBuilder> {
    let mut layer = LayerBuilder::new(file.name)
        .device(time(file.device_ms, &format!("{place}.device_ms"))?)
        .server(time(file.server_ms, &format!("{place}.server_ms"))?);
    for tensor in file.reads {
        layer = layer.read(tensor);
    }
    for (tensor, file) in file.writes.0 {
        let size = size(file, &format!("{place}.writes.{tensor}"))?;
        layer = layer.write(tensor, size);
    }
    Ok(layer)
}

fn size(file: SizeFile, place: &str) -> Result<Size> {
    let bytes_place = match file.encodings.is_empty() {
        true => place.to_string(),
        false => format!("{place}.bytes"),
    };
    let bytes = whole(file.bytes, TENSOR_BYTES_MAX, &bytes_place)?;
    Ok(Size { bytes, encodings: encodings(file.encodings, &format!("{place}.encodings"))? })
}

fn encodings(files: Entries<EncodingFile>, place: &str) -> Result<Vec<TensorEncoding>> {
    let one = |(name, file): (String, EncodingFile)| {
        let place = format!("{place}.{name}");
        Ok(TensorEncoding {
            name,
            bytes: whole(file.bytes, TENSOR_BYTES_MAX, &format!("{place}.bytes"))?,
            encode: time(file.encode_ms, &format!("{place}.encode_ms"))?,
            decode: time(file.decode_ms, &format!("{place}.decode_ms"))?,
        })
    };
    files.0.into_iter().map(one).collect()
}
