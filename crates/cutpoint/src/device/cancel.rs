//! Stopping a run from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops a run: what is in progress is finished or broken off, nothing else begins, and the run
/// says which jobs are done. Clones share one state, which never goes back.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    is_cancelled: Arc<AtomicBool>,
}

impl Cancel {
    /// One that has not been called yet.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Stops every run that was given this, now or later.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
    }

    /// Whether it was called.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }
}
