//! `testbed check`: what this kernel and this user offer to the testbed.

use super::host::cgroup::{Hierarchy, Version};
use super::host::command::run as run_line;
use super::host::cores::Cores;
use super::host::names::Owner;
use super::host::netns::Netns;
use super::host::{is_root, lock};
use super::session::has_netem;
use serde::Serialize;
use std::fs;
use std::process::ExitCode;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Flags of `testbed check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The programs that the testbed runs.
const PROGRAMS: [&str; 6] = ["ip", "tc", "ss", "nsenter", "setpriv", "taskset"];

/// The testbed's requirements, as far as this machine meets them.
#[derive(Debug, Serialize)]
struct Offer {
    root: bool,
    /// Whether the programs of iproute2 and util-linux are here, and if not, which is missing.
    programs: Result<(), String>,
    /// Whether a namespace could be made, and if not, why.
    namespaces: Result<(), String>,
    tun: bool,
    netem: bool,
    /// Which control groups hold a device to a fraction of a core.
    cpu_quota: Option<Version>,
    cores: usize,
    congestion_control: String,
}

/// Prints what there is; the exit code is 1 if `testbed run` cannot work here.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let offer = Offer::find()?;
    match args.format {
        Format::Text => print!("{}", offer.to_text()),
        Format::Json => println!("{}", serde_json::to_string_pretty(&offer)?),
    }
    Ok(ExitCode::from(u8::from(!offer.suffices())))
}

impl Offer {
    fn find() -> anyhow::Result<Offer> {
        let root = is_root();
        let netns = if root { try_netns() } else { Err("needs root".to_owned()) };
        let control = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
        Ok(Offer {
            root,
            programs: PROGRAMS
                .iter()
                .try_for_each(|program| run_line(&format!("{program} -V")).map(drop))
                .map_err(|error| format!("{error:#}")),
            netem: netns.as_ref().is_ok_and(has_netem),
            namespaces: netns.map(drop),
            tun: fs::File::options().read(true).write(true).open("/dev/net/tun").is_ok(),
            cpu_quota: Hierarchy::find()?.map(|hierarchy| hierarchy.version),
            cores: Cores::allowed()?.count(),
            congestion_control: control.unwrap_or_default().trim().to_owned(),
        })
    }

    fn suffices(&self) -> bool {
        self.root && self.programs.is_ok() && self.namespaces.is_ok() && (self.tun || self.netem)
    }

    fn to_text(&self) -> String {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let unless = |is: &Result<(), String>| match is {
            Ok(()) => yes(true),
            Err(why) => format!("no: {why}"),
        };
        let quota = match self.cpu_quota {
            Some(Version::V1) => "yes, version 1",
            Some(Version::V2) => "yes, version 2",
            None => "no: the device has whole cores only",
        };
        let link = match (self.netem, self.tun) {
            (true, _) => "the kernel (netem); --link emulator for jitter",
            (false, true) => "the emulator",
            (false, false) => "none",
        };
        let rows = [
            ("root", yes(self.root)),
            ("programs", unless(&self.programs)),
            ("network namespaces", unless(&self.namespaces)),
            ("TUN devices", yes(self.tun)),
            ("netem", yes(self.netem)),
            ("processor quota", quota.to_owned()),
            ("cores", self.cores.to_string()),
            ("congestion control here", self.congestion_control.clone()),
            ("link made by", link.to_owned()),
            ("testbed run works", yes(self.suffices())),
        ];
        rows.iter().map(|(what, is)| format!("{what:<24}{is}\n")).collect()
    }
}

fn try_netns() -> Result<Netns, String> {
    let make = || -> anyhow::Result<Netns> {
        let _lock = lock()?;
        Netns::new(Owner::this_process()?, "check", true)
    };
    make().map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_root_is_told_what_is_missing() {
        let offer = Offer {
            root: false,
            programs: Ok(()),
            namespaces: Err("needs root".to_owned()),
            tun: true,
            netem: false,
            cpu_quota: None,
            cores: 2,
            congestion_control: "bbr".to_owned(),
        };
        assert!(!offer.suffices());
        let text = offer.to_text();
        assert!(text.contains("network namespaces      no: needs root\n"), "{text}");
        assert!(text.ends_with("testbed run works       no\n"), "{text}");
    }
}
