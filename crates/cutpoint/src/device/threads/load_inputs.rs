//! The inputs of jobs: loaded and decoded a little ahead of the device and the uplink, since plans
//! count no time for that; held by jobs that have begun until nobody needs them.

use crate::device::inputs::LoadedAhead;
use crate::device::monitor::Monitor;
use crate::device::state::state::Ahead;

/// What is done before the run's time begins.
pub(crate) fn load_first(monitor: &Monitor<'_>) -> LoadedAhead {
    let mut loaded = LoadedAhead::new();
    while let Some(ahead) = monitor.tell(|state| state.poll_ahead(&mut loaded)) {
        carry_out(monitor, ahead);
    }
    loaded
}

/// The thread that does so while the run goes on.
pub(crate) fn load_ahead(monitor: &Monitor<'_>, mut loaded: LoadedAhead) {
    while let Some(ahead) = monitor.next_ahead(&mut loaded) {
        carry_out(monitor, ahead);
    }
}

fn carry_out(monitor: &Monitor<'_>, ahead: Ahead) {
    match ahead {
        Ahead::Load(job) => {
            // What cannot be loaded fails its job when that begins.
            let _ = monitor.inputs(&job);
        }
        Ahead::PutBack(held) => held.put_back(),
    }
}
