//! Servers of the Open Inference Protocol that are not Cutpoint's own: they cut nothing, decode
//! nothing and tell no layer times. The device cuts suffixes for them, with the steps that restore
//! encoded tensors inside, and sends all tensors of a job in one message.

use super::options::SessionModel;
use crate::device::{LoadedSuffix, SuffixContent};
use crate::encoding::{Encoding, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::link::{Client, LinkMeasurement};
use crate::profile::{EncodingProfile, ModelProfile, median};
use cutpoint_plan::plan::Partition;
use cutpoint_plan::workload::{ModelGraph, ModelId};
use std::collections::BTreeMap;
use std::time::Instant;

/// How often a plain server computes a model to be timed; the first time does not count.
const INFER_REPEATS: usize = 5;

/// The most characters of a suffix's name.
const NAME_MAX: usize = 160;

/// Has the server load the suffix for a cut.
///
/// # Errors
/// [`ErrorKind::Usage`] if a tensor crosses in an encoding that such a suffix cannot restore; those
/// of cutting and of the connection.
pub(super) fn load_suffix(
    client: &Client,
    model: &SessionModel,
    described: &ModelGraph,
    id: ModelId,
    cut: &Partition,
) -> Result<LoadedSuffix> {
    let mut tensors = BTreeMap::new();
    for upload in &cut.uploads {
        let tensor = &described.tensors[upload.tensor.index()];
        let name = upload.encoding.and_then(|e| tensor.encodings.get(e)).map(|e| e.name.as_str());
        let encoding = name.and_then(Encoding::from_name);
        let is_input = tensor.producer.is_none();
        if name.is_some() && (is_input || !encoding.is_some_and(Encoding::is_plain)) {
            let message = format!(
                "the plan sends it as {}, and the server is not Cutpoint's own",
                name.unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::Usage, message)
                .at(format!("tensor {:?}", tensor.name))
                .hint("plan from a workload that was measured with this server"));
        }
        tensors.insert(tensor.name.clone(), encoding);
    }
    if cut.device_layers.count() == 0 {
        tensors.clear();
    }
    let name = offer(client, model, &tensors)?;
    Ok(LoadedSuffix { name: name.into(), model: id, content: SuffixContent::Sent(tensors) })
}

/// The name under which the server has what is behind the cut that these tensors cross, some of them
/// in encodings; without tensors, the whole model. It is sent where the server lacks it.
fn offer(
    client: &Client,
    model: &SessionModel,
    tensors: &BTreeMap<String, Option<Encoding>>,
) -> Result<String> {
    let given = model_name(&model.name, tensors);
    // What was sent before is known by the model's content: its file may have changed since.
    let sent = format!("{given}_{}", &model.model.model().sha256()[..8]);
    for name in [&sent, &given] {
        if client.model_ready(name)? {
            return Ok(name.clone());
        }
    }
    send(client, model, &sent, tensors).map_err(|error| {
        error.hint(format!(
            "if the server does not accept models, load it there beforehand as {given:?}"
        ))
    })?;
    Ok(sent)
}

/// Has the server load again what it had under this name, should it have lost it.
pub(super) fn offer_again(
    client: &Client,
    model: &SessionModel,
    name: &str,
    tensors: &BTreeMap<String, Option<Encoding>>,
) -> Result<()> {
    match client.model_ready(name)? {
        true => Ok(()),
        false => send(client, model, name, tensors),
    }
}

fn send(
    client: &Client,
    model: &SessionModel,
    name: &str,
    tensors: &BTreeMap<String, Option<Encoding>>,
) -> Result<()> {
    let onnx = if tensors.is_empty() {
        model.model.model().to_onnx()?
    } else {
        let names: Vec<&String> = tensors.keys().collect();
        let cut = model.model.cut_at(&names)?;
        let encodings = tensors.iter().filter_map(|(n, e)| Some((n.clone(), (*e)?))).collect();
        model.model.encoded_suffix(&cut, &encodings)?.onnx
    };
    log::info!("the server does not have {name:?}; sending it");
    client.push_model(name, onnx.into())
}

/// What a suffix is called that a plain server is given by its user: `MODEL__at_TENSOR.ENCODING_TENSOR`,
/// the tensors that cross the cut in the order of their names, each with its encoding if it has one;
/// the whole model by its own name.
fn model_name(model: &str, tensors: &BTreeMap<String, Option<Encoding>>) -> String {
    if tensors.is_empty() {
        return model.to_owned();
    }
    let tensor = |(name, encoding): (&String, &Option<Encoding>)| match encoding {
        Some(encoding) => format!("{}.{}", safe(name), encoding.name()),
        None => safe(name),
    };
    let tensors = tensors.iter().map(tensor).collect::<Vec<_>>().join("_");
    let name = format!("{}__at_{tensors}", safe(model));
    if name.len() <= NAME_MAX {
        return name;
    }
    format!("{}__at_{}", safe(model), &crate::digest::sha256(tensors.as_bytes())[..16])
}

/// A name without the characters that file systems and servers treat in ways of their own.
pub(super) fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// How long a plain server takes for the layers of a model: as long as the device in proportion, and
/// for all of them what it takes to answer, less the time on the link.
pub(super) fn profile(
    client: &Client,
    model: &SessionModel,
    device: &ModelProfile,
    link: &LinkMeasurement,
) -> ModelProfile {
    let mut profile = device.clone();
    match whole_ms(client, model, link) {
        Ok(whole_ms) => profile.whole.median_ms = whole_ms,
        Err(error) => {
            log::warn!("{:?}: server time unknown, assuming the device's: {error:?}", model.name)
        }
    }
    profile
}

fn whole_ms(client: &Client, model: &SessionModel, link: &LinkMeasurement) -> Result<f64> {
    let name = offer(client, model, &BTreeMap::new())?;
    let inputs = model.model.model().synthetic_inputs(0);
    let tensors: Vec<(String, Form)> =
        inputs.iter().map(|(name, tensor)| (name.clone(), tensor.clone().into())).collect();
    let bytes: usize = tensors.iter().map(|(_, form)| form.bytes().len()).sum();
    let mut times_ms = Vec::with_capacity(INFER_REPEATS);
    for _ in 0..=INFER_REPEATS {
        let start = Instant::now();
        let reply = client.infer(&name, &tensors)?;
        times_ms.push((reply.received - start).as_secs_f64() * 1e3);
    }
    let upload_ms = bytes as f64 * 8e-3 / link.uplink.mbit_per_s().max(1e-9);
    let link_ms = (link.round_trip + link.message_overhead).as_secs_f64() * 1e3 + upload_ms;
    Ok((median(&times_ms[1..]) - link_ms).max(0.0))
}

/// Keeps only the encodings that a suffix can restore by itself.
pub(super) fn admit(profile: &mut EncodingProfile, model: &crate::onnx::LayeredModel) {
    let inputs = &model.layers().inputs;
    profile.admitted.retain(|name, costs| {
        costs.retain(|cost| cost.encoding.is_plain());
        !inputs.contains(name) && !costs.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_suffix_says_what_crosses_its_cut() {
        let tensors = |pairs: &[(&str, Option<Encoding>)]| {
            pairs.iter().map(|(name, encoding)| ((*name).to_owned(), *encoding)).collect()
        };
        let two = tensors(&[("b/c:0", Some(Encoding::U8_CHANNEL)), ("a.1", None)]);
        assert_eq!(model_name("my net", &two), "my-net__at_a-1_b-c-0.u8-channel");
        let long = tensors(&[(&"x".repeat(200), Some(Encoding::F16))]);
        assert_eq!(model_name("net", &BTreeMap::new()), "net");
        assert_eq!(model_name("net", &long).len(), "net__at_".len() + 16);
    }
}
