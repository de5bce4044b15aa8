//! Cutpoint splits DNN inference jobs between a device and a server: it reads ONNX models, measures
//! them, plans with [`cutpoint_plan`], and executes the plan.
//!
//! ```
//! use cutpoint::engine::rten::Rten;
//! use cutpoint::server::{Server, ServerOptions};
//! use cutpoint::zoo::Network;
//! use cutpoint::{Model, Policy, ProfileOptions, ProfileRequest, Session, SessionOptions};
//!
//! // `cutpoint serve` on another machine, as a rule; here the server is in the same program.
//! let server = Server::start(ServerOptions::local(std::sync::Arc::new(Rten::new())), vec![])?;
//! // Model::load("squeezenet.onnx")? reads a file.
//! let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
//! let frames: Vec<_> = (0..4).map(|seed| model.synthetic_inputs(seed)).collect();
//! let address = Some(server.address().to_string());
//! let session = Session::open(vec![model], SessionOptions { server: address, ..Default::default() })?;
//! let quick = ProfileOptions { warm_up: 1, repeats: 3, ..ProfileOptions::default() };
//! let profile = session.profile_with(&ProfileRequest::of_layers(quick))?;
//! let planned = profile.plan(&[("squeezenet", frames.len())], Policy::Joint)?;
//! println!("{} of {} jobs use the server", planned.offloaded(), planned.jobs());
//! for outputs in session.run(&planned, &frames)?.into_outputs()? {
//!     println!("{} {:?}", outputs[0].0, outputs[0].1.shape());
//! }
//! # Ok::<(), cutpoint::Error>(())
//! ```
//!
//! [`session`] explains the steps; `examples/batch.rs` is a whole program.
//!
//! | feature | on by default | brings |
//! |---|---|---|
//! | `rten` | yes | the embedded engine |
//! | `onnxruntime` | yes | ONNX Runtime, loaded from a shared library, and its installation |
//! | `server` | yes | the module `server`; a device alone does without |
//! | `images` | yes | JPEG and PNG files as inputs |

mod bandwidth;
pub mod config;
pub mod device;
mod digest;
pub mod encoding;
pub mod engine;
pub mod error;
pub mod frames;
pub mod input;
#[cfg_attr(not(feature = "server"), allow(dead_code, reason = "many are those of a server"))]
mod limits;
pub mod link;
pub mod onnx;
pub mod profile;
pub mod report;
#[cfg(feature = "server")]
pub mod server;
pub mod session;
pub mod tensor;
pub mod trace;
#[cfg_attr(not(feature = "server"), allow(dead_code, reason = "half of it is a server's"))]
mod wire;
pub mod zoo;

#[doc(no_inline)]
pub use cutpoint_plan::options::Policy;
#[doc(no_inline)]
pub use cutpoint_plan::workload::JobId;
#[doc(no_inline)]
pub use device::{Arrival, Arrivals, Cancel, SpeedFraction};
pub use error::{Error, ErrorKind, Result};
pub use input::{Input, Inputs};
pub use profile::ProfileOptions;
pub use session::{
    JobOutcome, Model, Outcome, Outputs, PlannedRun, Profile, ProfileRequest, Running, Session,
    SessionOptions,
};
pub use tensor::Tensor;
