//! The inputs of jobs: loaded and decoded a little ahead of the device and the uplink, since plans
//! count no time for that; held by jobs that have begun until nobody needs them.
//!
//! What cannot be loaded fails its job when that begins.

use crate::device::inputs::LoadedAhead;
use crate::device::monitor::Monitor;

/// What is done before the run's time begins.
pub(crate) fn load_first(monitor: &Monitor<'_>) -> LoadedAhead {
    let mut loaded = LoadedAhead::new();
    while let Some(job) = monitor.tell(|state| state.poll_ahead(&mut loaded)) {
        let _ = monitor.inputs(&job);
    }
    loaded
}

/// The thread that does so while the run goes on.
pub(crate) fn load_ahead(monitor: &Monitor<'_>, mut loaded: LoadedAhead) {
    while let Some(job) = monitor.next_ahead(&mut loaded) {
        let _ = monitor.inputs(&job);
    }
}
