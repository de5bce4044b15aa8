//! The inputs of a job: where they come from, or there, or failed.

use crate::error::{Error, Result};
use crate::input::Inputs;
use cutpoint_plan::workload::JobId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// The inputs of one job that has not ended.
#[derive(Debug)]
pub(crate) struct JobInputs {
    /// Their number in the supply; `None` if they came with the job.
    number: Option<usize>,
    stage: Mutex<Stage>,
}

#[derive(Debug)]
enum Stage {
    /// They are where they come from.
    Outside,
    There(Arc<Inputs>),
    Failed(Arc<Error>),
}

impl JobInputs {
    /// Inputs that came with the job.
    pub(crate) fn given(inputs: Inputs) -> JobInputs {
        JobInputs { number: None, stage: Mutex::new(Stage::There(Arc::new(inputs))) }
    }

    /// Inputs that are loaded from the supply when they are needed.
    pub(crate) fn supplied(number: usize) -> JobInputs {
        JobInputs { number: Some(number), stage: Mutex::new(Stage::Outside) }
    }

    /// The inputs; a thread that asks while another one loads them waits.
    pub(crate) fn get(&self, load: impl FnOnce(usize) -> Result<Inputs>) -> Result<Arc<Inputs>> {
        let mut stage = self.lock();
        if let (Stage::Outside, Some(number)) = (&*stage, self.number) {
            *stage = match load(number) {
                Ok(inputs) => Stage::There(Arc::new(inputs)),
                Err(error) => Stage::Failed(Arc::new(error)),
            };
        }
        match &*stage {
            Stage::There(inputs) => Ok(inputs.clone()),
            Stage::Failed(error) => Err(error.again()),
            Stage::Outside => unreachable!("they were loaded, or were not to be had"),
        }
    }

    /// Of a job whose layers on the device are done, only these are needed any more.
    pub(crate) fn keep(&self, is_kept: impl Fn(&str) -> bool) {
        let mut stage = self.lock();
        if let Stage::There(inputs) = &*stage {
            let kept = inputs.iter().filter(|(name, _)| is_kept(name));
            *stage = Stage::There(Arc::new(kept.map(|(n, i)| (n.clone(), i.clone())).collect()));
        }
    }

    /// They were loaded too early; they will be loaded again.
    pub(crate) fn put_back(&self) {
        let mut stage = self.lock();
        if let (Stage::There(_), Some(_)) = (&*stage, self.number) {
            *stage = Stage::Outside;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().expect("what loads inputs does not panic")
    }
}

/// The inputs that were loaded ahead, by job.
pub(crate) type LoadedAhead = BTreeMap<JobId, Arc<JobInputs>>;
