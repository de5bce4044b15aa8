//! Cutpoint splits DNN inference jobs between a device and a server: it reads ONNX models, measures
//! them, plans with `cutpoint_plan`, and executes the plan.

pub mod cli;
pub mod engine;
pub mod error;
pub mod link;
pub mod onnx;
pub mod profile;
pub mod server;
pub mod tensor;
pub mod wire;
pub mod zoo;
