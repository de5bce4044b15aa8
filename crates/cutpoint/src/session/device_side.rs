//! A device, its models, and the server it is connected to.

use super::options::SessionModel;
use crate::device::SpeedFraction;
use crate::engine::{Engine, EngineOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::link::Client;
use cutpoint_plan::workload::Workload;
use std::sync::Arc;

/// A device, its models, and the server it is connected to, if any.
pub(super) struct DeviceSide {
    /// The engine on the device.
    pub(super) engine: Arc<dyn Engine>,
    /// How it loads.
    pub(super) options: EngineOptions,
    /// How fast the device is, relative to this machine.
    pub(super) speed: SpeedFraction,
    /// The models.
    pub(super) models: Vec<SessionModel>,
    /// The server.
    pub(super) client: Option<Client>,
    /// Whether jobs that have not begun are re-planned when the link changes, and when the server is
    /// lost and back; what that may need is loaded too.
    pub(super) replans: bool,
}

impl DeviceSide {
    /// Whether a workload speaks of the models at hand.
    ///
    /// # Errors
    /// [`ErrorKind::Workload`], naming the first model or layer that is not the same.
    pub(super) fn check_fits(&self, workload: &Workload) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Workload, message));
        if workload.models().len() != self.models.len() {
            let (found, expected) = (workload.models().len(), self.models.len());
            return refuse(format!("has {found} models, expected {expected}"));
        }
        for (described, model) in workload.models().iter().zip(self.models_of(workload)?) {
            let SessionModel { name, model } = model;
            let layers = &model.layers().layers;
            let differs = |(d, l): (&cutpoint_plan::workload::Layer, &crate::onnx::OnnxLayer)| {
                d.name != l.name || d.writes.len() != l.writes.len()
            };
            if described.layers.len() != layers.len()
                || described.layers.iter().zip(layers).any(differs)
            {
                return refuse(format!("the layers of {name:?} are not those of the ONNX file"));
            }
        }
        Ok(())
    }

    /// The models at hand in the order of a workload's, which need not be ours.
    pub(super) fn models_of(&self, workload: &Workload) -> Result<Vec<&SessionModel>> {
        let find = |described: &cutpoint_plan::workload::ModelGraph| {
            self.models.iter().find(|model| model.name == described.name).ok_or_else(|| {
                let names: Vec<&str> = self.models.iter().map(|m| m.name.as_str()).collect();
                let message = format!("has a model {:?}, expected {names:?}", described.name);
                Error::new(ErrorKind::Workload, message)
            })
        };
        workload.models().iter().map(find).collect()
    }
}
