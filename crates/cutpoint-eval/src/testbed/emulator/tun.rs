//! Opening a TUN device inside a namespace.

use crate::testbed::host::enter::enter_netns;
use anyhow::{Context, anyhow};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::thread;

/// Makes the TUN device `name` in the namespace `netns`; reads and writes do not block.
///
/// The device lives as long as the file, and belongs to the namespace whoever reads it. A thread
/// of its own enters the namespace, so that the caller stays where it is.
pub(super) fn open(netns: &str, name: &str) -> anyhow::Result<File> {
    let opened = thread::scope(|scope| scope.spawn(|| open_here(netns, name)).join());
    opened
        .map_err(|_| anyhow!("the thread that opens a TUN device panicked"))?
        .with_context(|| format!("cannot make the TUN device {name} in namespace {netns}"))
}

fn open_here(netns: &str, name: &str) -> anyhow::Result<File> {
    enter_netns(netns)?;
    let device = tappers::linux::Tun::create_named(tappers::Interface::new(name)?)?;
    device.set_nonblocking(true)?;
    // A duplicate, because the library lends its descriptor but does not give it away.
    Ok(File::from(device.as_fd().try_clone_to_owned()?))
}
