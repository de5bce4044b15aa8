//! Options of a session.

use crate::device::{RunOptions, SpeedFraction};
use crate::engine::select::{EngineChoice, SelectOptions};
use crate::link::ConnectOptions;
use crate::onnx::{LayeredModel, OnnxModel};
use crate::tensor::TensorSpec;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// A model of a session, with its layers.
#[derive(Clone)]
pub struct SessionModel {
    /// Its name in workloads, in plans and on the server.
    pub name: String,
    /// Its layers.
    pub model: Arc<LayeredModel>,
}

impl SessionModel {
    /// Its name in workloads, in plans and on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model that was loaded.
    pub fn onnx(&self) -> &OnnxModel {
        self.model.model()
    }

    /// The element type and shape of each input, in the model's order.
    pub fn inputs(&self) -> &[(String, TensorSpec)] {
        self.onnx().inputs()
    }

    /// How many layers it has.
    pub fn layer_count(&self) -> usize {
        self.model.layers().layers.len()
    }
}

/// How a session is set up.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The engine on this device.
    pub engine: EngineChoice,
    /// How far the engine may rewrite models, and what profiles for it.
    pub select: SelectOptions,
    /// How many threads one inference may use; `None` for one for each core.
    pub threads: Option<NonZeroUsize>,
    /// How fast the device is, relative to this machine.
    pub speed: SpeedFraction,
    /// The server, as HOST:PORT; `None` for none.
    pub server: Option<String>,
    /// How to connect to it.
    pub connect: ConnectOptions,
    /// A server that owes a reply and is silent for this long is given up.
    pub patience: Duration,
    /// Whether jobs that have not begun are re-planned in mid-run when the uplink's
    /// bandwidth has changed, and when the server is lost or back. The cuts that other bandwidths
    /// call for are loaded with the plan's, each weight once.
    pub replans: bool,
}

impl SessionOptions {
    /// The same, but a run keeps to its plan whatever becomes of the link; a server that is lost is
    /// not called again.
    ///
    /// ```
    /// # use cutpoint::{Model, Policy, ProfileOptions, ProfileRequest, Session, SessionOptions};
    /// # use cutpoint::zoo::Network;
    /// # let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
    /// # let inputs = vec![model.synthetic_inputs(1), model.synthetic_inputs(2)];
    /// # let options = SessionOptions { engine: "rten".parse()?, ..SessionOptions::default() };
    /// let session = Session::open(vec![model], options.without_replanning())?;
    /// # let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
    /// # let planned = session.profile_with(&ProfileRequest::of_layers(quick))?.plan(&[("squeezenet", 2)], Policy::Joint)?;
    /// let outcome = session.run(&planned, &inputs)?;
    /// assert!(outcome.execution.changes.is_empty());
    /// # Ok::<(), cutpoint::Error>(())
    /// ```
    #[must_use]
    pub fn without_replanning(self) -> SessionOptions {
        SessionOptions { replans: false, ..self }
    }
}

impl Default for SessionOptions {
    /// ONNX Runtime where its library is found, else the embedded engine; all cores, at full speed;
    /// no server. Jobs are re-planned when the link changes.
    fn default() -> SessionOptions {
        SessionOptions {
            engine: EngineChoice::Auto,
            select: SelectOptions::default(),
            threads: None,
            speed: SpeedFraction::FULL,
            server: None,
            connect: ConnectOptions::default(),
            patience: RunOptions::default().patience,
            replans: true,
        }
    }
}
