//! Inference engines behind one small trait: load a segment, run it, time its nodes.
//!
//! An engine only ever sees whole ONNX models; a segment of a split model is one. Everything is
//! keyed by tensor name.
//!
//! [`select::select`] finds the engine; [`rten`] is always there, [`onnxruntime`] is faster and
//! used where its library is found.

pub mod declared;
pub mod install;
mod interface;
pub mod onnxruntime;
pub mod rten;
pub mod select;
#[cfg(test)]
mod tests;
pub mod timing;
mod warm_up;

pub use interface::{
    BODY_PREFIX, Engine, EngineOptions, NodeTimes, ProfileRuns, Profiled, Session,
};
pub(crate) use warm_up::warm_up;
