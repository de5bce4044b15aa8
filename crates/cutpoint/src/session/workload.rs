//! A workload from measurements: what the planner is told about models, link and server.

use crate::error::{Error, ErrorKind, Result};
use crate::onnx::LayeredModel;
use crate::profile::{EncodingCost, ModelProfile};
use cutpoint_plan::workload::{ModelId, Workload};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

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

/// The link as the planner is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkModel {
    /// From device to server, in millions of bits of payload per second.
    pub uplink_mbps: f64,
    /// From server to device.
    pub downlink_mbps: Option<f64>,
    /// There and back.
    pub rtt_ms: f64,
    /// What each tensor costs besides its bytes.
    pub message_overhead_ms: f64,
}

/// `workload.json` of these models; jobs in the order of the models.
///
/// # Errors
/// [`ErrorKind::Protocol`] if a profile or the device's times do not have the model's layers.
pub fn workload_json(
    models: &[MeasuredModel<'_>],
    link: LinkModel,
    executors: u32,
) -> Result<Value> {
    let mut described = Map::new();
    for model in models {
        described.insert(model.name.to_owned(), model_json(model)?);
    }
    let mut link_json = json!({
        "uplink_mbps": link.uplink_mbps,
        "rtt_ms": link.rtt_ms,
        "message_overhead_ms": link.message_overhead_ms,
    });
    if let Some(downlink) = link.downlink_mbps {
        link_json["downlink_mbps"] = json!(downlink);
    }
    let jobs: Vec<Value> =
        models.iter().map(|m| json!({ "model": m.name, "count": m.jobs })).collect();
    Ok(json!({
        "schema": "cutpoint.workload/1",
        "link": link_json,
        "server": { "executors": executors },
        "models": described,
        "jobs": jobs,
    }))
}

fn model_json(measured: &MeasuredModel<'_>) -> Result<Value> {
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
    let size = |name: &String| {
        let bytes = graph.tensors[name].bytes();
        match measured.encodings.get(name) {
            Some(costs) => json!({ "bytes": bytes, "encodings": encodings_json(costs) }),
            None => json!(bytes),
        }
    };
    let layers: Vec<Value> = graph
        .layers
        .iter()
        .zip(measured.device_ms.iter().zip(&server))
        .map(|(layer, (device_ms, server_ms))| {
            let writes: Map<String, Value> =
                layer.writes.iter().map(|name| (name.clone(), size(name))).collect();
            json!({
                "name": layer.name,
                "reads": layer.reads,
                "writes": writes,
                "device_ms": rounded(*device_ms),
                "server_ms": rounded(*server_ms),
            })
        })
        .collect();
    let inputs: Map<String, Value> =
        graph.inputs.iter().map(|name| (name.clone(), size(name))).collect();
    Ok(json!({ "inputs": inputs, "outputs": graph.outputs, "layers": layers }))
}

fn encodings_json(costs: &[EncodingCost]) -> Map<String, Value> {
    let one = |cost: &EncodingCost| {
        let (encode_ms, decode_ms) = (rounded(cost.encode_ms), rounded(cost.decode_ms));
        let form = json!({ "bytes": cost.bytes, "encode_ms": encode_ms, "decode_ms": decode_ms });
        (cost.encoding.name().to_owned(), form)
    };
    costs.iter().map(one).collect()
}

/// Milliseconds to a whole nanosecond, so that files stay short.
fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 1e6).round() / 1e6
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
