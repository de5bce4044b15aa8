//! Running before other programs: what stands for hardware must not wait for its turn.
//!
//! A real-time class wakes at once where a favoured ordinary program still waits for the running
//! one to use up its slice, which takes milliseconds on a busy machine.

use super::command::run;
use serde::Serialize;

/// The lowest real-time priorities are enough to go before all ordinary programs.
const REALTIME: i32 = 10;
/// The next best, where real time is not allowed.
const NICE: i32 = -15;

/// How the kernel lets something go before others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    /// Like any other program.
    Normal,
    /// Favoured among ordinary programs.
    Favoured,
    /// Before all ordinary programs.
    Realtime,
}

/// Lets this thread, and those that it starts, go before other programs; returns how far that is
/// allowed.
pub(crate) fn raise_this_thread() -> Priority {
    let thread = rustix::thread::gettid();
    if run(&format!("chrt --fifo --pid {REALTIME} {thread}")).is_ok() {
        return Priority::Realtime;
    }
    // On Linux this holds for the thread alone.
    match rustix::process::setpriority_process(None, NICE) {
        Ok(()) => Priority::Favoured,
        Err(_) => Priority::Normal,
    }
}
