//! The compute threads: a fixed number of threads that take jobs in the order in which their last
//! tensors arrived, one job at a time each. The network's threads neither compute nor decode.

use super::repository::LoadedModel;
use crate::encoding::{Decoder, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{QUEUE_BYTES_MAX, QUEUE_JOBS_MAX};
use crate::tensor::Tensor;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The unit in which waiting bytes are counted.
const SLOT_BYTES: usize = 1024;

/// A job whose tensors are all here.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) model: Arc<LoadedModel>,
    pub(super) inputs: Vec<(String, Form)>,
    /// When the last tensor arrived.
    pub(super) arrived: Instant,
}

/// The outcome of a job.
#[derive(Debug)]
pub(super) struct Computed {
    pub(super) outputs: Vec<(String, Tensor)>,
    pub(super) queue: Duration,
    pub(super) compute: Duration,
}

/// Room in the queue for one job.
pub(super) struct Room {
    _jobs: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// Work for the executor that it is given the index and the decoder of.
type Work = Box<dyn FnOnce(usize, &mut Decoder) + Send>;

/// The end of the queue from which work is taken. An idle executor holds it while it waits, so it is
/// held for long only while nothing waits.
type Waiting = Arc<Mutex<Receiver<Work>>>;

/// The threads that compute, and the queue before them.
pub(super) struct Executors {
    /// `None` once the server is stopping.
    queue: Mutex<Option<Sender<Work>>>,
    waiting: Waiting,
    job_slots: Arc<Semaphore>,
    byte_slots: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Executors {
    /// Starts `count` threads.
    pub(super) fn start(count: NonZeroUsize) -> Result<Executors> {
        let (queue, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let spawn = |index: usize| {
            let waiting = waiting.clone();
            let thread = std::thread::Builder::new().name(format!("cutpoint-exec-{index}"));
            thread.spawn(move || execute(index, &waiting)).map_err(|error| {
                let message = format!("executor {index} cannot be started");
                Error::new(ErrorKind::Engine, message).because(error)
            })
        };
        let threads = (0..count.get()).map(spawn).collect::<Result<_>>()?;
        Ok(Executors {
            queue: Mutex::new(Some(queue)),
            waiting,
            job_slots: Arc::new(Semaphore::new(QUEUE_JOBS_MAX)),
            byte_slots: Arc::new(Semaphore::new(QUEUE_BYTES_MAX / SLOT_BYTES)),
            threads: Mutex::new(threads),
        })
    }

    /// Waits for room in the queue; `None` if the server is stopping.
    pub(super) async fn room(&self, job: &Job) -> Option<Room> {
        let jobs = self.job_slots.clone().acquire_owned().await.ok()?;
        let bytes = self.byte_slots.clone().acquire_many_owned(slots(job)).await.ok()?;
        Some(Room { _jobs: jobs, _bytes: bytes })
    }

    /// Room in the queue, if there is any now.
    pub(super) fn room_now(&self, job: &Job) -> Option<Room> {
        let jobs = self.job_slots.clone().try_acquire_owned().ok()?;
        let bytes = self.byte_slots.clone().try_acquire_many_owned(slots(job)).ok()?;
        Some(Room { _jobs: jobs, _bytes: bytes })
    }

    /// Puts a job at the end of the queue. The answer is dropped if the server stops before.
    pub(super) fn submit(&self, job: Job, room: Room) -> oneshot::Receiver<Result<Computed>> {
        self.call(move |index, decoder| {
            drop(room);
            compute(index, job, decoder)
        })
    }

    /// Has one executor, told by its index, call a function when its turn comes, unless nobody waits
    /// for the result any more. The answer is dropped if the server stops before.
    pub(super) fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce(usize, &mut Decoder) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (answer, receiver) = oneshot::channel();
        let work = move |index, decoder: &mut Decoder| {
            if !answer.is_closed() {
                // Nothing is lost if the caller has gone meanwhile.
                let _ = answer.send(function(index, decoder));
            }
        };
        if let Some(queue) = &*lock(&self.queue) {
            // Fails only if all executors have ended.
            let _ = queue.send(Box::new(work));
        }
        receiver
    }

    /// Lets no more jobs in, drops those that wait, and waits for those that run.
    pub(super) fn stop(&self) {
        self.job_slots.close();
        self.byte_slots.close();
        // An idle executor ends with the queue.
        drop(lock(&self.queue).take());
        lock(&self.waiting).try_iter().for_each(drop);
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                log::error!("an executor has panicked");
            }
        }
    }
}

fn slots(job: &Job) -> u32 {
    let bytes: usize = job.inputs.iter().map(|(_, form)| form.bytes().len()).sum();
    let slots = bytes.min(QUEUE_BYTES_MAX).div_ceil(SLOT_BYTES);
    u32::try_from(slots).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn execute(index: usize, waiting: &Waiting) {
    let mut decoder = Decoder::default();
    let next = || lock(waiting).recv().ok();
    while let Some(work) = next() {
        if catch_unwind(AssertUnwindSafe(|| work(index, &mut decoder))).is_err() {
            log::error!("executor {index} has panicked and goes on");
        }
    }
}

fn compute(index: usize, job: Job, decoder: &mut Decoder) -> Result<Computed> {
    let start = Instant::now();
    let queue = start.saturating_duration_since(job.arrived);
    let outputs = decoded(job.inputs, decoder).and_then(|inputs| {
        let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
        job.model.with_session(index, |session| session.run(&inputs))
    });
    let compute = start.elapsed();
    job.model.statistics().record(queue, compute, outputs.is_ok());
    log::debug!("{}: queued {queue:?}, computed {compute:?}", job.model.name);
    Ok(Computed { outputs: outputs?, queue, compute })
}

/// The tensors themselves, whatever form they came in.
fn decoded(inputs: Vec<(String, Form)>, decoder: &mut Decoder) -> Result<Vec<(String, Tensor)>> {
    let decode = |(name, form): (String, Form)| {
        let tensor = match form {
            Form::Raw(tensor) => tensor,
            Form::Encoded(encoded) => {
                decoder.decode(&encoded).map_err(|e| e.at(format!("tensor `{name}`")))?
            }
        };
        Ok((name, tensor))
    };
    inputs.into_iter().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn one_executor_takes_work_in_order_and_survives_a_panic() {
        let executors = Executors::start(NonZeroUsize::MIN).unwrap();
        let (sender, receiver) = mpsc::channel();
        let panicked = executors.call(|_, _| panic!("on purpose"));
        let waiting: Vec<_> = (0..100)
            .map(|index| {
                let sender = sender.clone();
                executors.call(move |executor, _| sender.send((executor, index)).unwrap())
            })
            .collect();
        let order: Vec<(usize, usize)> = receiver.iter().take(100).collect();
        assert_eq!(order, (0..100).map(|index| (0, index)).collect::<Vec<_>>());
        drop((panicked, waiting));
        executors.stop();
    }

    #[test]
    fn waiting_requests_are_dropped_when_the_server_stops() {
        let executors = Executors::start(NonZeroUsize::MIN).unwrap();
        let (started, is_started) = mpsc::channel();
        let (release, is_released) = mpsc::channel::<()>();
        let _running = executors.call(move |_, _| {
            started.send(()).unwrap();
            // Ends when the other end is dropped.
            let _ = is_released.recv();
        });
        let (answer, waiting) = mpsc::channel::<()>();
        let _waiting = executors.call(move |_, _| answer.send(()).unwrap());
        is_started.recv().unwrap();
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| executors.stop());
            assert!(waiting.recv().is_err(), "it was dropped, not called");
            drop(release);
            stopping.join().unwrap();
        });
    }
}
