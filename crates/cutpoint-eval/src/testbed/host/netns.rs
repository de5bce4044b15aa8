//! Network namespaces of our own: made, prepared, and removed with everything that runs in them.

use super::command::run;
use super::names::{Owner, leftovers_in};
use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fmt;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::thread;

/// Where `ip netns` keeps its names.
const NETNS_FOLDER: &str = "/run/netns";
const ALLOWED_CONTROLS: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
/// The congestion control of most devices.
pub(crate) const CONGESTION_CONTROL: &str = "cubic";

/// A namespace that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Netns {
    name: String,
}

impl Netns {
    /// Makes the namespace `what` of `owner`, its loopback up. Call it under [`super::lock`].
    pub(crate) fn new(
        owner: Owner,
        what: &str,
        slow_start_after_idle: bool,
    ) -> anyhow::Result<Netns> {
        let netns = Netns { name: owner.name(what) };
        run(&format!("ip netns add {netns}"))?;
        run(&format!("ip -n {netns} link set lo up"))?;
        netns.set_tcp(slow_start_after_idle)?;
        Ok(netns)
    }

    /// The file that stands for the namespace.
    pub(crate) fn path(&self) -> String {
        format!("{NETNS_FOLDER}/{self}")
    }

    /// Does something inside the namespace, on a thread of its own, so that the caller stays where
    /// it is.
    pub(crate) fn inside<T: Send>(
        &self,
        act: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let enter_and_act = || {
            let file = File::open(self.path())?;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            act()
        };
        thread::scope(|scope| scope.spawn(enter_and_act).join())
            .map_err(|_| anyhow!("the thread inside panicked"))
            .flatten()
            .with_context(|| format!("in namespace {self}"))
    }

    /// Writes kernel settings inside the namespace.
    pub(crate) fn set_kernel(&self, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        self.inside(|| {
            settings.iter().try_for_each(|(path, value)| {
                let path = format!("/proc/sys/net/{path}");
                fs::write(&path, value).with_context(|| format!("cannot write {value} to {path}"))
            })
        })
    }

    /// Whether something inside listens on this TCP port, or on any.
    pub(crate) fn is_listening(&self, port: Option<u16>) -> anyhow::Result<bool> {
        let filter = port.map(|port| format!("sport = :{port}")).unwrap_or_default();
        Ok(!run(&format!("ss --net {self} -Hltn {filter}"))?.trim().is_empty())
    }

    /// A namespace may choose only what the whole machine allows, and some machines allow only
    /// their default. What the machine allows is put back at once.
    fn set_tcp(&self, slow_start_after_idle: bool) -> anyhow::Result<()> {
        let idle = if slow_start_after_idle { "1" } else { "0" };
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

/// Its name, as `ip netns` knows it.
impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
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
    run(&format!("ip netns delete {name}")).map(drop)
}

/// Kills every process of the namespace, which would keep it and its devices alive.
fn kill_inside(name: &str) {
    let pids = run(&format!("ip netns pids {name}")).unwrap_or_default();
    for pid in pids.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        // It may be gone already.
        let _ = kill_process(pid, Signal::KILL);
    }
}
