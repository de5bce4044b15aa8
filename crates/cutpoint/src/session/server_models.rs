//! The models that a server has, and those that it is sent.

use super::options::SessionModel;
use crate::error::Result;
use crate::link::{Client, HeldModel};
use std::collections::BTreeMap;

/// How the server has a model, with the SHA-256 by which it is asked for suffixes; sends it where the
/// server lacks it.
pub(super) fn offer(
    client: &Client,
    held: &[HeldModel],
    model: &SessionModel,
) -> Result<HeldModel> {
    let find = |sha256: &str| held.iter().find(|held| held.sha256 == sha256).cloned();
    let onnx = model.model.model();
    if let Some(found) = find(onnx.sha256()) {
        return Ok(found);
    }
    // What is sent is another file: external data is inside, and shapes are fixed.
    let file = bytes::Bytes::from(onnx.to_onnx()?);
    let sha256 = crate::digest::sha256(&file);
    if let Some(found) = find(&sha256) {
        return Ok(found);
    }
    log::info!("the server does not have {:?}; sending it", model.name);
    client.push_model(&model.name, file)?;
    Ok(HeldModel { name: model.name.clone(), sha256 })
}

/// By which SHA-256 a Cutpoint server knows each model; models that it lacks are sent to it.
pub(super) struct Sources<'c> {
    client: &'c Client,
    held: Vec<HeldModel>,
    /// By the models' names.
    known: BTreeMap<String, String>,
}

impl<'c> Sources<'c> {
    /// Those of a server; `None` if it is not Cutpoint's own.
    pub(super) fn of(client: &'c Client) -> Result<Option<Sources<'c>>> {
        let hello = client.hello()?;
        Ok(hello.map(|hello| Sources { client, held: hello.models, known: BTreeMap::new() }))
    }

    pub(super) fn sha256(&mut self, model: &SessionModel) -> Result<String> {
        if let Some(known) = self.known.get(&model.name) {
            return Ok(known.clone());
        }
        let found = offer(self.client, &self.held, model)?.sha256;
        Ok(self.known.entry(model.name.clone()).or_insert(found).clone())
    }
}
