//! Signals that ask the program to stop become a state, so that everything can be cleaned up.

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// SIGINT, SIGTERM and SIGHUP, caught from the moment this is made until the program ends.
#[derive(Debug)]
pub(crate) struct Interrupts {
    signal: Arc<AtomicUsize>,
    wake: UnixStream,
}

impl Interrupts {
    /// Begins to catch.
    pub(crate) fn new() -> anyhow::Result<Interrupts> {
        let (wake, sender) = UnixStream::pair().context("cannot make a pair of sockets")?;
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
            signal_hook::low_level::pipe::register(number, sender.try_clone()?)?;
        }
        Ok(Interrupts { signal, wake })
    }

    /// The signal that came, if any.
    fn signal(&self) -> Option<u8> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(signal as u8),
        }
    }

    /// Refuses to go on once a signal came.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if let Some(signal) = self.signal() {
            bail!("stopped by signal {signal}");
        }
        Ok(())
    }

    /// Waits until one of `files` has something, or the process behind it has ended, and returns
    /// which; `None` once `deadline` has passed.
    ///
    /// # Errors
    ///
    /// If a signal comes.
    pub(crate) fn wait(
        &self,
        files: &[BorrowedFd<'_>],
        deadline: Instant,
    ) -> anyhow::Result<Option<usize>> {
        loop {
            self.check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            let mut polled: Vec<PollFd<'_>> = std::iter::once(self.wake.as_fd())
                .chain(files.iter().copied())
                .map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN))
                .collect();
            match poll(&mut polled, Some(&left.try_into()?)) {
                Ok(0) if left.is_zero() => return Ok(None),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for the commands"),
            }
            self.check()?;
            if let Some(index) = polled[1..].iter().position(|file| !file.revents().is_empty()) {
                return Ok(Some(index));
            }
        }
    }

    /// The exit code of what was done while signals were caught: 128 and the signal, if that
    /// stopped it.
    pub(crate) fn exit_code(&self, done: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
        match (done, self.signal()) {
            (Err(error), Some(signal)) => {
                eprintln!("error: {error:#}");
                Ok(ExitCode::from(128 + signal))
            }
            (done, _) => done,
        }
    }
}
