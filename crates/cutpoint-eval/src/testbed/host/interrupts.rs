//! Signals that ask the program to stop become a state, so that everything can be cleaned up.

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// SIGINT, SIGTERM and SIGHUP, caught from the moment this is made until the program ends.
#[derive(Debug)]
pub(crate) struct Interrupts {
    signal: Arc<AtomicUsize>,
    wake: UnixStream,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The file at this index has something, or the process behind it has ended.
    Ready(usize),
    /// The time is over.
    TimeOver,
    /// A signal came.
    Interrupted,
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
    pub(crate) fn signal(&self) -> Option<u8> {
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

    /// Waits until one of `files` is ready, a signal comes, or `deadline` passes.
    pub(crate) fn wait(
        &self,
        files: &[BorrowedFd<'_>],
        deadline: Instant,
    ) -> anyhow::Result<Waited> {
        loop {
            if self.signal().is_some() {
                return Ok(Waited::Interrupted);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let mut polled: Vec<PollFd<'_>> = std::iter::once(self.wake.as_fd())
                .chain(files.iter().copied())
                .map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN))
                .collect();
            match poll(&mut polled, Some(&timespec(left))) {
                Ok(0) if left.is_zero() => return Ok(Waited::TimeOver),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for the commands"),
            }
            let ready = polled[1..].iter().position(|file| !file.revents().is_empty());
            if let (Some(index), None) = (ready, self.signal()) {
                return Ok(Waited::Ready(index));
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
