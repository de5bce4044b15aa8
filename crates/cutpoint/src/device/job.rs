//! A job, as it is planned.

use super::inputs::JobInputs;
use super::program::JobProgram;
use std::sync::Arc;

/// A job that has not ended, as it is planned.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) program: JobProgram,
    pub(crate) inputs: Arc<JobInputs>,
}
