//! Inference engines behind one small trait: load a segment, run it, time its nodes.
//!
//! An engine only ever sees whole ONNX models; a segment of a split model is one. Everything is
//! keyed by tensor name.
//!
//! [`select::select`] finds the engine: rten is built in, ONNX Runtime is faster and used where its
//! library is found. Each is a feature of this crate.

#[cfg_attr(not(feature = "rten"), allow(dead_code, reason = "rten alone asks for operators"))]
pub mod declared;
#[cfg(feature = "onnxruntime")]
pub mod install;
mod interface;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
mod optimization;
#[cfg(feature = "rten")]
pub mod rten;
pub mod select;
#[cfg(test)]
#[cfg(all(feature = "rten", feature = "onnxruntime"))]
mod tests;
#[cfg_attr(
    not(any(feature = "rten", feature = "onnxruntime")),
    allow(dead_code, reason = "engines alone gather times")
)]
pub mod timing;
mod warm_up;

pub use interface::{
    BODY_PREFIX, Engine, EngineOptions, InferenceSession, NodeTimes, ProfileRuns, Profiled,
};
pub use optimization::Optimization;
pub(crate) use warm_up::warm_up;
