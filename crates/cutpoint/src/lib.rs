//! Cutpoint splits DNN inference jobs between a device and a server: it reads ONNX models, measures
//! them, plans with `cutpoint_plan`, and executes the plan.

pub mod cli;
pub mod device;
pub mod encoding;
pub mod engine;
pub mod error;
pub mod frames;
pub mod input;
pub mod link;
pub mod onnx;
pub mod profile;
pub mod report;
pub mod run;
pub mod server;
pub mod tensor;
pub mod trace;
pub mod wire;
pub mod zoo;
