//! The state of a run, without threads, clock or I/O: time is an argument.

pub(crate) mod agenda;
pub(crate) mod backlog;
pub(crate) mod jobs;
pub(crate) mod retained;
#[expect(clippy::module_inception, reason = "the whole of what the other files are parts of")]
pub(crate) mod state;
