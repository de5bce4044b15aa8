//! A testbed from its set-up to its removal: namespaces, link, control group, cores.

use super::clean::remove_leftovers;
use super::emulator::{self, Emulator, EmulatorReport};
use super::host::cgroup::{Group, Hierarchy, Quota, Throttling};
use super::host::children::ChildGroup;
use super::host::command::run;
use super::host::cores::Cores;
use super::host::interrupts::Interrupts;
use super::host::names::Owner;
use super::host::netns::Netns;
use super::host::{LOOK_AGAIN, lock, require_root};
use super::link_shape::{LinkArgs, LinkShape};
use anyhow::{Context, bail, ensure};
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::process::{Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

mod kernel_link;

pub(crate) use kernel_link::{Addresses, has_netem};

/// The implementation of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LinkKind {
    /// The kernel where it has `netem` and no jitter is asked for, otherwise the emulator.
    Auto,
    /// The emulator between two TUN devices.
    Emulator,
    /// The kernel's `tbf` and `netem`, with a router in between.
    Kernel,
    /// Both sides share one loopback at full speed.
    Loopback,
}

/// The settings of a testbed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// The implementation of the link.
    #[arg(long = "link", value_enum, default_value_t = LinkKind::Auto)]
    pub(crate) link_kind: LinkKind,
    /// How much of a core the device has; it is pinned to as few cores as hold that.
    #[arg(long, value_name = "CORES", default_value_t = 1.0)]
    pub(crate) device_cores: f64,
    /// The period in which a device slower than a core gets its share.
    #[arg(long, value_name = "MS", default_value_t = 10)]
    pub(crate) device_period_ms: u64,
    /// Whether TCP connections begin again with a small window after they were idle, as on Linux by
    /// default: on or off.
    #[arg(
        long,
        value_name = "on|off",
        default_value = "on",
        action = clap::ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new(),
        hide_possible_values = true
    )]
    pub(crate) slow_start_after_idle: bool,
}

impl Settings {
    /// A link that loses nothing, at these rates up and down and with this round trip and queue, in
    /// a testbed whose device has one whole core.
    pub(crate) fn lossless(
        [uplink_mbps, downlink_mbps]: [f64; 2],
        rtt_ms: f64,
        queue_kib: u64,
        link_kind: LinkKind,
    ) -> Settings {
        let (loss, jitter_ms, seed) = (0.0, 0.0, 1);
        let link =
            LinkArgs { uplink_mbps, downlink_mbps, rtt_ms, queue_kib, loss, jitter_ms, seed };
        let (device_cores, device_period_ms, slow_start_after_idle) = (1.0, 10, true);
        Settings { link, link_kind, device_cores, device_period_ms, slow_start_after_idle }
    }

    /// Refuses values that no machine could serve, or that this one cannot.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.link.shape()?;
        place(self.device_cores)?;
        self.quota().map(drop)
    }

    /// The device's share of its cores; `None` if it has them whole.
    fn quota(&self) -> anyhow::Result<Option<Quota>> {
        let whole = self.device_cores.fract() == 0.0;
        (!whole).then(|| Quota::new(self.device_cores, self.device_period_ms)).transpose()
    }
}

const LOOPBACK: Addresses = Addresses { device: "127.0.0.1", server: "127.0.0.1" };
const EMULATED: Addresses = Addresses { device: "10.78.0.1", server: "10.78.0.2" };

/// The two ends of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Device,
    Server,
}

/// A program to start on one side.
#[derive(Debug)]
pub(crate) struct Start {
    /// The program and its arguments.
    pub(crate) words: Vec<OsString>,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
}

/// When the device's command may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Once anything in the server's namespace listens on TCP.
    AnyPort,
    /// Once something there listens on this TCP port.
    Port(u16),
    /// At once.
    AtOnce,
}

impl FromStr for Ready {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Ready, &'static str> {
        match text {
            "any" => Ok(Ready::AnyPort),
            "none" => Ok(Ready::AtOnce),
            port => port.parse().map(Ready::Port).map_err(|_| "expected a port, `any` or `none`"),
        }
    }
}

/// A running testbed; dropping it removes everything.
///
/// Fields are dropped in the order of their declaration: the emulator before the namespaces.
#[derive(Debug)]
pub(crate) struct Testbed<'i> {
    emulator: Option<Emulator>,
    device: Netns,
    server: Netns,
    _router: Option<Netns>,
    group: Option<Group>,
    device_cores: Cores,
    server_cores: Cores,
    interrupts: &'i Interrupts,
    /// How the link is made; not [`LinkKind::Auto`].
    pub(crate) kind: LinkKind,
    pub(crate) addresses: Addresses,
}

impl Testbed<'_> {
    /// Sets everything up, after removing what crashed runs left.
    ///
    /// # Errors
    ///
    /// Without root, or where the kernel lacks what `settings` ask for; nothing is left behind.
    pub(crate) fn new<'i>(
        settings: &Settings,
        interrupts: &'i Interrupts,
    ) -> anyhow::Result<Testbed<'i>> {
        require_root()?;
        let shape = settings.link.shape()?;
        let (device_cores, server_cores) = place(settings.device_cores)?;
        let _lock = lock()?;
        remove_leftovers()?;

        let owner = Owner::this_process()?;
        let group = device_group(settings, owner)?;
        let netns = |what| Netns::new(owner, what, settings.slow_start_after_idle);
        let (device, server) = (netns("device")?, netns("server")?);
        interrupts.check()?;

        let kind = match settings.link_kind {
            LinkKind::Auto if settings.link.jitter_ms == 0.0 && has_netem(&device) => {
                LinkKind::Kernel
            }
            LinkKind::Auto => LinkKind::Emulator,
            kind => kind,
        };
        let (mut emulator, mut router) = (None, None);
        let addresses = match kind {
            LinkKind::Loopback => LOOPBACK,
            LinkKind::Kernel => {
                let router = router.insert(netns("router")?);
                kernel_link::join(&device, &server, router, &shape)?
            }
            LinkKind::Auto | LinkKind::Emulator => {
                emulator = Some(emulate(&device, &server, &shape)?);
                EMULATED
            }
        };
        Ok(Testbed {
            emulator,
            device,
            server,
            _router: router,
            group,
            device_cores,
            server_cores,
            interrupts,
            kind,
            addresses,
        })
    }

    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If it ends, takes longer than `limit`, or the testbed is told to stop.
    pub(crate) fn serve(
        &self,
        start: Start,
        ready: Ready,
        limit: Duration,
    ) -> anyhow::Result<ChildGroup> {
        let mut server = self.spawn(Side::Server, start)?;
        let port = match ready {
            Ready::AtOnce => return Ok(server),
            Ready::AnyPort => None,
            Ready::Port(port) => Some(port),
        };
        let deadline = Instant::now() + limit;
        while !self.server.is_listening(port)? {
            ensure!(
                Instant::now() < deadline,
                "the server does not listen after {} s\n\nhint: --ready-port and --ready-limit-s \
                 say what is waited for",
                limit.as_secs()
            );
            self.interrupts.wait(&[server.as_fd()], Instant::now() + LOOK_AGAIN)?;
            if let Some(status) = server.status()? {
                bail!("the server command ended before it listened, with {status}");
            }
        }
        Ok(server)
    }

    /// Runs a command on the device to its end, and returns how it ended.
    ///
    /// # Errors
    ///
    /// If it takes longer than `limit`, the link fails, or the testbed is told to stop.
    pub(crate) fn run(&self, start: Start, limit: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        let mut device = self.spawn(Side::Device, start)?;
        let mut files = vec![device.as_fd()];
        files.extend(self.emulator.iter().flat_map(Emulator::watched));
        match self.interrupts.wait(&files, deadline)? {
            Some(0) => device.status()?.context("the device's command ended without a status"),
            Some(_) => bail!("the link emulator ended before the device's command"),
            None => bail!("the device's command did not end within {} s", limit.as_secs()),
        }
    }

    /// Stops a server that [`Testbed::serve`] started, and returns how it ended.
    pub(crate) fn stop(&self, mut server: ChildGroup) -> anyhow::Result<ExitStatus> {
        server.stop(self.interrupts)
    }

    /// Starts a program on one side, inside from its first instruction on. If the testbed is killed,
    /// the program is, too.
    fn spawn(&self, side: Side, start: Start) -> anyhow::Result<ChildGroup> {
        let (netns, cores, group) = match side {
            Side::Device if self.kind != LinkKind::Loopback => {
                (&self.device, &self.device_cores, self.group.as_ref())
            }
            Side::Device => (&self.server, &self.device_cores, self.group.as_ref()),
            Side::Server => (&self.server, &self.server_cores, None),
        };
        let enter = format!(
            "setpriv --pdeathsig KILL nsenter --net={} taskset --cpu-list {cores}",
            netns.path()
        );
        let mut words: Vec<OsString> = enter.split_whitespace().map(OsString::from).collect();
        if let Some(group) = group {
            // Zero is the process that writes.
            let join = "echo 0 >\"$0\" && exec \"$@\"";
            words.extend(["sh".into(), "-c".into(), join.into(), group.processes().into()]);
        }
        words.extend(start.words);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(start.stdout).stderr(start.stderr);
        ChildGroup::spawn(&mut command)
    }

    /// How often the device was held back by its quota; `None` if it has none.
    pub(crate) fn throttling(&self) -> anyhow::Result<Option<Throttling>> {
        self.group.as_ref().map(Group::throttling).transpose()
    }

    /// Ends the link and returns what it carried; `None` for a link made by the kernel.
    pub(crate) fn close_link(&mut self) -> anyhow::Result<Option<EmulatorReport>> {
        self.emulator.take().map(Emulator::close).transpose()
    }
}

/// Joins two namespaces by an emulator and gives its ends their addresses.
fn emulate(device: &Netns, server: &Netns, shape: &LinkShape) -> anyhow::Result<Emulator> {
    let ends = [(device, EMULATED.device), (server, EMULATED.server)];
    for (netns, _) in ends {
        // Neighbour discovery would take some of the link's time.
        let _ = netns.set_kernel(&[("ipv6/conf/default/disable_ipv6", "1")]);
    }
    let emulator = Emulator::start(device, server, shape)?;
    for (netns, address) in ends {
        run(&format!("ip -n {netns} addr add {address}/30 dev {}", emulator::DEVICE))?;
        run(&format!("ip -n {netns} link set {} up", emulator::DEVICE))?;
    }
    Ok(emulator)
}

/// The cores of the device and of the server.
fn place(device_cores: f64) -> anyhow::Result<(Cores, Cores)> {
    let allowed = Cores::allowed()?;
    ensure!(
        device_cores > 0.0 && device_cores <= allowed.count() as f64,
        "--device-cores is {device_cores}, expected more than 0 and at most {}",
        allowed.count()
    );
    allowed.split(device_cores.ceil() as usize)
}

/// The device's control group, unless it has whole cores.
fn device_group(settings: &Settings, owner: Owner) -> anyhow::Result<Option<Group>> {
    let Some(quota) = settings.quota()? else { return Ok(None) };
    let hierarchy = Hierarchy::find()?.with_context(|| {
        let cores = settings.device_cores;
        format!("--device-cores {cores} needs a control group with the cpu controller")
    })?;
    Group::new(&hierarchy, owner, "device", quota).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_a_port_or_a_word() {
        assert_eq!("any".parse(), Ok(Ready::AnyPort));
        assert_eq!("7070".parse(), Ok(Ready::Port(7070)));
        assert_eq!("none".parse(), Ok(Ready::AtOnce));
        assert!("70700".parse::<Ready>().is_err());
    }
}
