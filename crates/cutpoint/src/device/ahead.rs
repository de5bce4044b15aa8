//! The inputs of jobs: loaded and decoded a little ahead of the device and the uplink, since plans
//! count no time for that; held by jobs that have begun until nobody needs them.

use super::shared::{Job, Shared};
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::input::{Input, Inputs};
use cutpoint_plan::plan::{Partition, Upload};
use cutpoint_plan::workload::{JobId, Model};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// So many jobs that have not begun have their inputs there, ahead of the device; and as many, ahead
/// of the uplink.
pub(super) const JOBS_AHEAD: usize = 3;

/// The inputs of one job that has not ended.
#[derive(Debug)]
pub(super) struct Held {
    /// Whether they came with the job, and could not be loaded again.
    is_given: bool,
    stage: Mutex<Stage>,
}

#[derive(Debug)]
enum Stage {
    /// They are where they come from.
    Outside,
    There(Arc<Inputs>),
    Failed(Arc<Error>),
}

impl Held {
    /// Inputs that came with the job.
    pub(super) fn given(inputs: Inputs) -> Held {
        Held { is_given: true, stage: Mutex::new(Stage::There(Arc::new(inputs))) }
    }

    /// Inputs that are loaded when they are needed.
    pub(super) fn supplied() -> Held {
        Held { is_given: false, stage: Mutex::new(Stage::Outside) }
    }

    /// The inputs; whoever asks while another thread loads them waits for that.
    fn inputs(&self, load: impl FnOnce() -> Result<Inputs>) -> Result<Arc<Inputs>> {
        let mut stage = self.lock();
        if let Stage::Outside = *stage {
            *stage = match load() {
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
    pub(super) fn keep(&self, is_kept: impl Fn(&str) -> bool) {
        let mut stage = self.lock();
        if let Stage::There(inputs) = &*stage {
            let kept = inputs.iter().filter(|(name, _)| is_kept(name));
            *stage = Stage::There(Arc::new(kept.map(|(n, i)| (n.clone(), i.clone())).collect()));
        }
    }

    /// They were loaded too early; they will be loaded again.
    fn put_back(&self) {
        let mut stage = self.lock();
        if let (Stage::There(_), false) = (&*stage, self.is_given) {
            *stage = Stage::Outside;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().expect("what loads inputs does not panic")
    }
}

/// The inputs that were loaded ahead, by job.
pub(super) type LoadedAhead = BTreeMap<JobId, Arc<Held>>;

/// What is to be done ahead of the jobs.
pub(super) enum Ahead {
    Load(JobId, Arc<Job>),
    /// By a new plan the job does not come next.
    PutBack(Arc<Held>),
}

/// What is done before the run's time begins.
pub(super) fn load_first(shared: &Shared<'_>) -> LoadedAhead {
    let mut loaded = LoadedAhead::new();
    while let Some(ahead) = shared.tell(|state| state.poll_ahead(&mut loaded)) {
        carry_out(shared, ahead);
    }
    loaded
}

/// The thread that does so while the run goes on.
pub(super) fn load_ahead(shared: &Shared<'_>, mut loaded: LoadedAhead) {
    while let Some(ahead) = shared.next_ahead(&mut loaded) {
        carry_out(shared, ahead);
    }
}

fn carry_out(shared: &Shared<'_>, ahead: Ahead) {
    match ahead {
        Ahead::Load(id, job) => {
            // What cannot be loaded fails its job when that begins.
            let _ = shared.inputs(id, &job);
        }
        Ahead::PutBack(held) => held.put_back(),
    }
}

impl Shared<'_> {
    /// A job's inputs, loaded, and decoded as its plan needs them.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] if they do not fit its model; why one could not be read.
    pub(super) fn inputs(&self, id: JobId, job: &Job) -> Result<Arc<Inputs>> {
        let inputs = job.inputs.inputs(|| self.load(id, job.model))?;
        decode(self.model(job), &job.partition, &inputs);
        Ok(inputs)
    }
}

/// Decodes the pictures that a layer on the device reads, or that are not sent as they came. One
/// that is damaged fails its job when it is needed.
fn decode(model: &Model, partition: &Partition, inputs: &Inputs) {
    for &id in &model.inputs {
        let tensor = &model.tensors[id.index()];
        let Some(Input::Picture(picture)) = inputs.get(&tensor.name) else { continue };
        let is_read = |&layer| partition.device_layers.contains(layer);
        let mut is_decoded = tensor.readers.iter().any(is_read);
        for &Upload { encoding, .. } in partition.uploads.iter().filter(|u| u.tensor == id) {
            let name = encoding.and_then(|e| tensor.encodings.get(e)).map(|e| e.name.as_str());
            match name.and_then(Encoding::from_name) {
                Some(Encoding::FILE) => {}
                Some(Encoding::PIXELS | Encoding::PIXELS_ZSTD) => drop(picture.pixels()),
                _ => is_decoded = true,
            }
        }
        if is_decoded {
            drop(picture.tensor());
        }
    }
}
