//! The testbed's use of the operating system: namespaces, control groups, cores, processes.

pub(crate) mod cgroup;
pub(crate) mod children;
pub(crate) mod command;
pub(crate) mod cores;
pub(crate) mod interrupts;
pub(crate) mod names;
pub(crate) mod netns;
pub(crate) mod priority;

use anyhow::{Context, ensure};
use std::fs::File;
use std::time::{Duration, Instant};

/// Held while names are made or removed, so that two runs do not disturb each other.
const LOCK_FILE: &str = "/run/cutpoint-testbed.lock";
/// How long another run may take to set up before this one gives up.
const LOCK_LIMIT: Duration = Duration::from_secs(30);
/// How often a lock, a port or a group that is not ready is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Whether this process may make namespaces and devices.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Refuses to go on without root.
///
/// # Errors
///
/// For any other user; the message says what can be done instead.
pub(crate) fn require_root() -> anyhow::Result<()> {
    ensure!(
        is_root(),
        "the testbed needs root: it makes network namespaces and devices\n\n\
         hint: without root, `cutpoint demo` holds the uplink to a rate inside the process"
    );
    Ok(())
}

/// Takes the lock of all testbeds on this machine; it is free again when the file is dropped.
pub(crate) fn lock() -> anyhow::Result<File> {
    let file = File::create(LOCK_FILE).with_context(|| format!("cannot open {LOCK_FILE}"))?;
    let deadline = Instant::now() + LOCK_LIMIT;
    while let Err(error) = file.try_lock() {
        ensure!(
            matches!(error, std::fs::TryLockError::WouldBlock),
            "cannot lock {LOCK_FILE}: {error}"
        );
        ensure!(Instant::now() < deadline, "another testbed has held {LOCK_FILE} for 30 s");
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(file)
}
