//! Programs started in the testbed: each in a process group of its own, none outlives its handle.

use super::interrupts::Interrupts;
use anyhow::Context;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long a program has to stop by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A program with the group of its descendants.
#[derive(Debug)]
pub(crate) struct ChildGroup {
    child: Child,
    pid: Pid,
    /// Readable once the program has ended.
    ended: OwnedFd,
}

impl ChildGroup {
    /// Starts `command` in a group of its own, so that a Ctrl-C meant for the testbed spares it
    /// until the testbed stops it in order.
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<ChildGroup> {
        let mut child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(ended) => Ok(ChildGroup { child, pid, ended }),
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(error).context("cannot watch a program")
            }
        }
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn status(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask for a program's end")
    }

    /// Asks it to stop, waits a while, kills what is left of the group, and says how it ended.
    pub(crate) fn stop(&mut self, interrupts: &Interrupts) -> anyhow::Result<ExitStatus> {
        if self.status()?.is_none() {
            self.signal(Signal::TERM);
            // A signal to the testbed cuts the patience short.
            let _ = interrupts.wait(&[self.ended.as_fd()], Instant::now() + GRACE);
        }
        self.kill()
    }

    /// Kills what is left of the group at once.
    fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.child.wait().context("cannot wait for a program's end")
    }

    fn signal(&self, signal: Signal) {
        // Nothing is left of the group: that is what was wanted.
        let _ = kill_process_group(self.pid, signal);
    }
}

impl AsFd for ChildGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("warning: {error:#}");
        }
    }
}

/// The exit code by which a shell would tell this end.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
