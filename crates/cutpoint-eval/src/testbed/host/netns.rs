//! Network namespaces of our own: made, prepared, and removed with everything that runs in them.

use super::command::ip;
use super::enter::enter_netns;
use super::names::{Owner, leftovers_in};
use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::ErrorKind;
use std::thread;

/// Where `ip netns` keeps its names.
const NETNS_FOLDER: &str = "/run/netns";
const ALLOWED_CONTROLS: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
/// The congestion control of most devices.
pub(crate) const CONGESTION_CONTROL: &str = "cubic";

/// How TCP behaves inside a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpSettings {
    /// Whether a connection that was idle begins again with a small window.
    pub(crate) slow_start_after_idle: bool,
}

/// A namespace that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Netns {
    name: String,
}

impl Netns {
    /// Makes the namespace `what` of `owner`, its loopback up. Call it under [`super::lock`].
    pub(crate) fn new(owner: Owner, what: &str, tcp: TcpSettings) -> anyhow::Result<Netns> {
        let name = owner.name(what);
        ip(&format!("netns add {name}"))?;
        let netns = Netns { name };
        ip(&format!("-n {} link set lo up", netns.name))?;
        netns.set_tcp(tcp)?;
        Ok(netns)
    }

    /// Its name, as `ip netns` knows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Writes kernel settings inside the namespace.
    pub(crate) fn set_kernel(&self, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            enter_netns(&self.name)?;
            for (path, value) in settings {
                let path = format!("/proc/sys/net/{path}");
                fs::write(&path, value)
                    .with_context(|| format!("cannot write {value} to {path}"))?;
            }
            Ok(())
        };
        // A thread of its own enters, so that this one stays where it is.
        thread::scope(|scope| scope.spawn(write).join())
            .map_err(|_| anyhow!("the thread that writes kernel settings panicked"))?
            .with_context(|| format!("in namespace {}", self.name))
    }

    /// A namespace may choose only what the whole machine allows, and some machines allow only
    /// their default. What the machine allows is put back at once.
    fn set_tcp(&self, tcp: TcpSettings) -> anyhow::Result<()> {
        let idle = if tcp.slow_start_after_idle { "1" } else { "0" };
        let settings = [
            ("ipv4/tcp_congestion_control", CONGESTION_CONTROL),
            ("ipv4/tcp_slow_start_after_idle", idle),
        ];
        let allowed = fs::read_to_string(ALLOWED_CONTROLS)
            .with_context(|| format!("cannot read {ALLOWED_CONTROLS}"))?;
        if allowed.split_whitespace().any(|control| control == CONGESTION_CONTROL) {
            return self.set_kernel(&settings);
        }
        fs::write(ALLOWED_CONTROLS, format!("{} {CONGESTION_CONTROL}", allowed.trim()))
            .with_context(|| format!("cannot allow {CONGESTION_CONTROL} in {ALLOWED_CONTROLS}"))?;
        let set = self.set_kernel(&settings);
        fs::write(ALLOWED_CONTROLS, allowed.trim())
            .with_context(|| format!("cannot restore {ALLOWED_CONTROLS}"))?;
        set
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("warning: {error:#}");
        }
    }
}

/// Namespaces of owners that no longer run.
pub(crate) fn leftovers() -> anyhow::Result<Vec<String>> {
    leftovers_in(NETNS_FOLDER.as_ref())
}

/// Kills what runs in the namespace `name` and removes it.
pub(crate) fn remove(name: &str) -> anyhow::Result<()> {
    kill_inside(name);
    ip(&format!("netns delete {name}")).map(drop)
}

/// Kills every process of the namespace, which would keep it and its devices alive.
fn kill_inside(name: &str) {
    let pids = ip(&format!("netns pids {name}")).unwrap_or_default();
    for pid in pids.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        // It may be gone already.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Whether something in the namespace of process `pid` listens on TCP port `port`, or on any.
pub(crate) fn is_listening(pid: u32, port: Option<u16>) -> anyhow::Result<bool> {
    // Before it has entered its namespace it sees the sockets of this one.
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    if namespace(&pid.to_string()) == namespace("self") {
        return Ok(false);
    }
    for table in ["tcp", "tcp6"] {
        match fs::read_to_string(format!("/proc/{pid}/net/{table}")) {
            Ok(table) if has_listener(&table, port) => return Ok(true),
            Ok(_) => {}
            // The process is gone, or the kernel has no IPv6.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
            Err(error) => return Err(error).context("cannot read the sockets of the server"),
        }
    }
    Ok(false)
}

/// Whether a `/proc/net/tcp` has a listening socket on `port`, or on any.
fn has_listener(table: &str, port: Option<u16>) -> bool {
    const LISTENING: &str = "0A";
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let local = columns.next().and_then(|local| local.rsplit_once(':')).map(|(_, port)| port);
        let state = columns.nth(1);
        let found = local.and_then(|port| u16::from_str_radix(port, 16).ok());
        state == Some(LISTENING) && found.is_some_and(|found| port.is_none_or(|port| port == found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_by_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
                     0: 0100007F:1B9E 00000000:0000 0A 00000000:00000000 00:00000000\n   \
                     1: 0100007F:0050 0100007F:1B9E 01 00000000:00000000 00:00000000\n";
        assert!(has_listener(table, Some(7070)));
        assert!(has_listener(table, None));
        assert!(!has_listener(table, Some(80)));
        assert!(!has_listener("  sl  local_address\n", None));
        assert!(!has_listener("", None));
    }
}
