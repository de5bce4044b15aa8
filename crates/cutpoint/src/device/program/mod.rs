//! What the device has to do for a plan: which segments of which model to load, which of them to
//! run and which tensors to encode in which order, and which tensors to send in which order.
//!
//! The layers of a model are grouped into segments so that every weight is held once, however many
//! cuts are in use. For each distinct way in which a job's device layers are grouped into
//! uninterrupted runs, every layer gets a label: the number of its run, or [`NEVER`] if it stays
//! off the device. A run ends where another job takes over or where a tensor leaves. Layers with
//! the same labels in all the ways form one segment. Along every edge of the graph no label
//! decreases, so segments sorted by their labels only read from earlier ones.
//!
//! Segments may be made for more plans than one. Then a program for any of them, and for any other
//! plan whose runs are made up of whole segments, needs nothing that is not loaded.

mod compile;
mod order;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use compile::segments_for;
pub use steps::{JobProgram, Program, SegmentLayers, Segments, Send, Step, StepWork};
