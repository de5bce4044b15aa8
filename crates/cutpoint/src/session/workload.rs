//! A workload from measurements: what the planner is told about models, link and server.

use crate::error::{Error, ErrorKind, Result};
use crate::onnx::LayeredModel;
use crate::profile::{EncodingCost, ModelProfile};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{
    LayerBuilder, Link, ModelBuilder, ModelId, Size, TensorEncoding, Workload,
};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A model and what its layers take on both sides.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredModel<'a> {
    /// Its name in the workload.
    pub name: &'a str,
    /// Its layers and tensors.
    pub model: &'a LayeredModel,
    /// Its layers' times on the device, in milliseconds.
    pub device_ms: &'a [f64],
    /// Its layers' times on the server; `None` counts as no time.
    pub server: Option<&'a ModelProfile>,
    /// The encodings that its tensors may cross the link in, with their costs on both sides.
    pub encodings: &'a BTreeMap<String, Vec<EncodingCost>>,
    /// How many jobs use it.
    pub jobs: usize,
}

/// The workload of these models; jobs in the order of the models.
///
/// # Errors
/// [`ErrorKind::Protocol`] if a profile or the device's times do not have the model's layers;
/// [`ErrorKind::Workload`] if the workload breaks a rule of the planner.
pub fn measured_workload(
    models: &[MeasuredModel<'_>],
    link: Link,
    executors: u32,
) -> Result<Workload> {
    let mut builder = Workload::builder(link).executors(NonZeroU32::new(executors));
    for model in models {
        builder = builder.add_model(described(model)?);
        builder = builder.add_jobs(model.name, model.jobs as u64);
    }
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Workload, error.to_string()).at("the measured workload")
    })
}

fn described(measured: &MeasuredModel<'_>) -> Result<ModelBuilder> {
    let graph = measured.model.layers();
    if measured.device_ms.len() != graph.layers.len() {
        let (found, expected) = (measured.device_ms.len(), graph.layers.len());
        let message = format!("{found} device times for {expected} layers");
        return Err(Error::new(ErrorKind::Protocol, message).at(measured.name));
    }
    let server = match measured.server {
        Some(profile) => {
            profile.check(measured.model).map_err(|error| error.at(measured.name))?;
            profile.layers_ms(profile.whole.median_ms)
        }
        None => vec![0.0; graph.layers.len()],
    };
    let size = |name: &String| -> Result<Size> {
        let costs = measured.encodings.get(name).map_or(&[][..], Vec::as_slice);
        let encodings = costs.iter().map(encoding).collect::<Result<_>>()?;
        Ok(Size { bytes: graph.tensors[name].bytes(), encodings })
    };
    let mut model = ModelBuilder::new(measured.name).outputs(graph.outputs.clone());
    for name in &graph.inputs {
        model = model.input(name, size(name)?);
    }
    for (layer, (&device, &server)) in
        graph.layers.iter().zip(measured.device_ms.iter().zip(&server))
    {
        let mut described =
            LayerBuilder::new(&layer.name).device(time(device)?).server(time(server)?);
        for name in &layer.reads {
            described = described.read(name);
        }
        for name in &layer.writes {
            described = described.write(name, size(name)?);
        }
        model = model.layer(described);
    }
    Ok(model)
}

fn encoding(cost: &EncodingCost) -> Result<TensorEncoding> {
    Ok(TensorEncoding {
        name: cost.encoding.name().to_owned(),
        bytes: cost.bytes,
        encode: time(cost.encode_ms)?,
        decode: time(cost.decode_ms)?,
    })
}

fn time(milliseconds: f64) -> Result<Time> {
    Time::from_milliseconds(milliseconds).ok_or_else(|| {
        let message = format!("{milliseconds} ms is not a time that a plan can use");
        Error::new(ErrorKind::Workload, message)
    })
}

/// The workload with these jobs in place of its own: a number of each model, named by the model.
///
/// # Errors
/// [`ErrorKind::Workload`] if a model is not of this workload, or there are too many jobs.
pub(super) fn naming_jobs(workload: &Workload, jobs: &[(&str, usize)]) -> Result<Workload> {
    let mut numbered = Vec::new();
    for (name, count) in jobs {
        let found = workload.models().iter().position(|model| model.name == *name);
        let model = found.ok_or_else(|| {
            let known: Vec<&str> = workload.models().iter().map(|m| m.name.as_str()).collect();
            let message = format!("no model is named {name:?}, only {known:?}");
            Error::new(ErrorKind::Workload, message).at("the jobs")
        })?;
        numbered.extend(std::iter::repeat_n(ModelId::at(model), *count));
    }
    Ok(workload.with_jobs(numbered))
}

/// The workload that a file describes.
///
/// # Errors
/// [`ErrorKind::Workload`], naming the place in the file and the rule.
pub fn parse_workload(json: &str, place: &str) -> Result<Workload> {
    cutpoint_plan::format::read_workload(json.as_bytes())
        .map_err(|error| Error::new(ErrorKind::Workload, error.to_string()).at(place))
}
