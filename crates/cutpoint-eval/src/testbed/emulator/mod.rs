//! The link emulator: two threads carry packets between a TUN device in each namespace.
//!
//! Each direction's thread reads packets, asks [`pipe::Pipe`] when they arrive, and writes them out
//! then.

mod forward;
mod pipe;

pub(crate) use forward::DirectionReport;

use super::host::netns::Netns;
use super::host::priority::{Priority, raise_this_thread};
use super::link_shape::LinkShape;
use anyhow::{Context, anyhow};
use forward::Forward;
use pipe::Pipe;
use serde::Serialize;
use std::fs::File;
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

/// The name of the TUN device in each namespace.
pub(crate) const DEVICE: &str = "link0";
/// How late the kernel may fire a timer to save power, in nanoseconds.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// The emulator's traffic and effort.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EmulatorReport {
    /// From device to server.
    pub(crate) uplink: DirectionReport,
    /// From server to device.
    pub(crate) downlink: DirectionReport,
    /// Processor time that the emulator took.
    pub(crate) cpu_ms: f64,
    /// Whether it ran before other programs; late wake-ups are its only error.
    pub(crate) priority: Priority,
}

/// An emulated link; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Emulator {
    uplink: Direction,
    downlink: Direction,
}

/// The thread that carries packets one way.
#[derive(Debug)]
struct Direction {
    /// Closing it ends the thread, and the thread's end makes it readable.
    control: UnixStream,
    thread: JoinHandle<anyhow::Result<Carried>>,
}

/// The outcome of a direction.
struct Carried {
    report: DirectionReport,
    cpu_ms: f64,
    priority: Priority,
}

impl Emulator {
    /// Makes a TUN device in each namespace and joins them.
    pub(crate) fn start(
        device: &Netns,
        server: &Netns,
        shape: &LinkShape,
    ) -> anyhow::Result<Emulator> {
        let (device, server) = (open_tun(device)?, open_tun(server)?);
        let uplink = Pipe::new(shape.uplink, shape.seed);
        let downlink = Pipe::new(shape.downlink, shape.seed.wrapping_add(1));
        Ok(Emulator {
            uplink: Direction::start(device.try_clone()?, server.try_clone()?, uplink)?,
            downlink: Direction::start(server, device, downlink)?,
        })
    }

    /// Files that become readable if the emulator fails.
    pub(crate) fn watched(&self) -> [BorrowedFd<'_>; 2] {
        [&self.uplink, &self.downlink].map(|direction| direction.control.as_fd())
    }

    /// Ends the link and returns what it carried.
    pub(crate) fn close(self) -> anyhow::Result<EmulatorReport> {
        let (uplink, downlink) = (self.uplink.close()?, self.downlink.close()?);
        Ok(EmulatorReport {
            cpu_ms: uplink.cpu_ms + downlink.cpu_ms,
            priority: uplink.priority,
            uplink: uplink.report,
            downlink: downlink.report,
        })
    }
}

impl Direction {
    fn start(from: File, to: File, pipe: Pipe) -> anyhow::Result<Direction> {
        let (control, stop) = UnixStream::pair().context("cannot make a pair of sockets")?;
        let thread = thread::spawn(move || {
            let priority = raise_this_thread();
            rustix::thread::set_current_timer_slack(Some(TIMER_SLACK_NS))?;
            let report = Forward::new(from, to, pipe).run(&stop)?;
            let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            let cpu_ms = cpu.tv_sec as f64 * 1e3 + cpu.tv_nsec as f64 / 1e6;
            Ok(Carried { report, cpu_ms, priority })
        });
        Ok(Direction { control, thread })
    }

    fn close(self) -> anyhow::Result<Carried> {
        drop(self.control);
        let ended = self.thread.join().map_err(|_| anyhow!("it panicked"));
        ended.flatten().context("the link emulator failed")
    }
}

/// Makes the TUN device in a namespace; reads and writes do not block.
///
/// The device lives as long as the file, and belongs to the namespace whoever reads it.
fn open_tun(netns: &Netns) -> anyhow::Result<File> {
    let open = || -> anyhow::Result<File> {
        let device = tappers::linux::Tun::create_named(tappers::Interface::new(DEVICE)?)?;
        device.set_nonblocking(true)?;
        // A duplicate, because the library lends its descriptor but does not give it away.
        Ok(File::from(device.as_fd().try_clone_to_owned()?))
    };
    netns.inside(open).context("cannot make a TUN device")
}
