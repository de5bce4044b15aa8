//! The models that a server has, and those that it is sent.

use super::options::SessionModel;
use crate::error::Result;
use crate::link::{Client, HeldModel};

/// A model as the server has it.
#[derive(Clone, Debug)]
pub(super) struct OnServer {
    pub(super) name: String,
    /// Of the file that the server read, by which it is asked for suffixes.
    pub(super) sha256: String,
}

/// How the server has a model; sends it where it does not.
pub(super) fn offer(client: &Client, held: &[HeldModel], model: &SessionModel) -> Result<OnServer> {
    let find = |sha256: &str| {
        let found = held.iter().find(|held| held.sha256 == sha256);
        found.map(|h| OnServer { name: h.name.clone(), sha256: h.sha256.clone() })
    };
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
    Ok(OnServer { name: model.name.clone(), sha256 })
}
