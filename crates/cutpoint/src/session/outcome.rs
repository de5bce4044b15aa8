//! Outcomes of the jobs of a run.

use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use crate::trace::Execution;
use cutpoint_plan::workload::JobId;

/// The outputs of one job, by name.
pub type Outputs = Vec<(String, Tensor)>;

/// The outcome of one job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobOutcome {
    /// It is done.
    Done(Outputs),
    /// It could not be computed, and why.
    Failed(String),
    /// The run was cancelled before it was done.
    Cancelled,
}

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The outcome of each job, by its number.
    pub jobs: Vec<JobOutcome>,
    /// What each machine did when, which jobs the device finished in place of the server, and why.
    pub execution: Execution,
}

impl Outcome {
    pub(super) fn new(outputs: Vec<Option<Outputs>>, execution: Execution) -> Outcome {
        let outcome = |(j, outputs): (usize, Option<Outputs>)| {
            let failure = execution.failures.iter().find(|(job, _)| job.index() == j);
            match (outputs, failure) {
                (Some(outputs), _) => JobOutcome::Done(outputs),
                (None, Some((_, cause))) => JobOutcome::Failed(cause.clone()),
                (None, None) => JobOutcome::Cancelled,
            }
        };
        Outcome { jobs: outputs.into_iter().enumerate().map(outcome).collect(), execution }
    }

    /// The jobs that are done.
    pub fn done(&self) -> impl Iterator<Item = JobId> {
        let jobs = self.jobs.iter().enumerate();
        jobs.filter(|(_, job)| matches!(job, JobOutcome::Done(_))).map(|(j, _)| JobId::at(j))
    }

    /// The outputs of every job, by its number.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`] if a job failed, [`ErrorKind::Usage`] if the run was cancelled before
    /// all were done, naming the first such job.
    pub fn into_outputs(self) -> Result<Vec<Outputs>> {
        let outputs = |(j, job)| match job {
            JobOutcome::Done(outputs) => Ok(outputs),
            JobOutcome::Failed(cause) => {
                Err(Error::new(ErrorKind::Engine, cause).at(format!("job {j}")))
            }
            JobOutcome::Cancelled => {
                let message = "the run was cancelled before it was done";
                Err(Error::new(ErrorKind::Usage, message).at(format!("job {j}")))
            }
        };
        self.jobs.into_iter().enumerate().map(outputs).collect()
    }
}
