//! The crate from the outside.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod encodings;
mod engines;
mod jobs;
mod pictures;
mod planning;
mod profile;
mod replan;
mod report;
mod run;
mod server;
mod streams;
