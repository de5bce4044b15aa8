//! Work on a thread of its own, as a future.

use crate::device::Cancel;
use crate::error::{Error, ErrorKind, Result};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Work that is going on, on a thread of its own. Awaited, in any runtime, it gives the result.
///
/// Dropping one that runs jobs cancels the run, and waits until the operation in progress has ended
/// and the run's threads and stream are closed; to wait without blocking, call
/// [`Running::cancel`] and await it, which also tells the jobs that are done. Dropping one that
/// opens a session or measures lets that go on to its end in the background, and drops the result.
#[derive(Debug)]
#[must_use = "dropping it cancels the run"]
pub struct Running<T> {
    answer: oneshot::Receiver<Result<T>>,
    thread: Option<JoinHandle<()>>,
    cancel: Option<Cancel>,
}

impl<T: Send + 'static> Running<T> {
    /// Starts work; with a `cancel` it can be stopped.
    pub(super) fn start(
        cancel: Option<Cancel>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Running<T> {
        let (sender, answer) = oneshot::channel();
        let named = std::thread::Builder::new().name("cutpoint-run".to_owned());
        let (failed, failure) = oneshot::channel();
        let thread = named.spawn(move || {
            // Nobody waits any more if this fails.
            let _ = sender.send(work());
        });
        match thread {
            Ok(thread) => Running { answer, thread: Some(thread), cancel },
            Err(error) => {
                let message = "a thread cannot be started";
                let _ = failed.send(Err(Error::new(ErrorKind::Engine, message).because(error)));
                Running { answer: failure, thread: None, cancel }
            }
        }
    }
}

impl<T> Running<T> {
    /// Stops a run after the operation in progress; without effect on other work. The result says
    /// which jobs are done.
    pub fn cancel(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }

    /// Waits for the result, blocking this thread.
    ///
    /// # Errors
    /// Those of the work.
    pub fn wait(mut self) -> Result<T> {
        self.join();
        self.answer.try_recv().expect("the thread has ended, and answers before it does")
    }

    /// Waits until the thread has ended; passes its panic on.
    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl<T> Future for Running<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let polled = Pin::new(&mut self.answer).poll(context);
        polled.map(|answer| {
            // The thread has answered or panicked; it has nothing left to do.
            self.join();
            answer.expect("the thread answers unless it panics")
        })
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if let (Some(cancel), Some(thread)) = (&self.cancel, self.thread.take()) {
            cancel.cancel();
            // A panic of the run has been printed; there is nobody to pass it on to.
            let _ = thread.join();
        }
    }
}
