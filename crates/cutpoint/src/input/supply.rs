//! Where the inputs of jobs come from, each job's when it is about to begin.

use super::job_inputs::{Input, Inputs};

/// Gives each job of a run its inputs. A run asks for a job's shortly before the job begins, from
/// any thread, and drops them when nobody needs them any more; should plans change, it may ask
/// again.
pub trait Supply: Sync {
    /// How many jobs there are inputs for.
    fn count(&self) -> usize;

    /// The inputs of a job, by its number, from 0 and below [`Supply::count`]. What cannot be read
    /// is [`Input::Unusable`]: its job fails, and no other does.
    fn inputs(&self, job: usize) -> Inputs;
}

/// Inputs that are in memory. What a run decodes of a picture goes when its job has ended.
impl Supply for [Inputs] {
    fn count(&self) -> usize {
        self.len()
    }

    fn inputs(&self, job: usize) -> Inputs {
        let afresh = |(name, input): (&String, &Input)| (name.clone(), input.afresh());
        self[job].iter().map(afresh).collect()
    }
}

impl Supply for Vec<Inputs> {
    fn count(&self) -> usize {
        self.len()
    }

    fn inputs(&self, job: usize) -> Inputs {
        self.as_slice().inputs(job)
    }
}

impl<S: Supply + ?Sized> Supply for &S {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn inputs(&self, job: usize) -> Inputs {
        (**self).inputs(job)
    }
}

/// Inputs that a function loads.
#[derive(Clone, Debug)]
pub struct OnDemand<F> {
    count: usize,
    load: F,
}

impl<F: Fn(usize) -> Inputs + Sync> OnDemand<F> {
    /// Inputs of `count` jobs; `load` gives those of each.
    ///
    /// ```
    /// use cutpoint::input::{OnDemand, Supply};
    /// # use cutpoint::{Inputs, Tensor};
    ///
    /// // A hundred thousand arrays, of which few are there at a time.
    /// let frames = OnDemand::new(100_000, |job| -> Inputs {
    ///     let values = vec![job as f32; 3 * 224 * 224];
    ///     let tensor = Tensor::from_f32(vec![1, 3, 224, 224], &values).expect("it fits");
    ///     [("data".to_owned(), tensor.into())].into()
    /// });
    /// assert_eq!(frames.count(), 100_000);
    /// ```
    pub fn new(count: usize, load: F) -> OnDemand<F> {
        OnDemand { count, load }
    }
}

impl<F: Fn(usize) -> Inputs + Sync> Supply for OnDemand<F> {
    fn count(&self) -> usize {
        self.count
    }

    fn inputs(&self, job: usize) -> Inputs {
        (self.load)(job)
    }
}
