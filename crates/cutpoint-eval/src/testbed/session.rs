//! One testbed from its set-up to its removal: namespaces, link, control group, cores.

use super::emulator::{self, EmulatorReport};
use super::host::cgroup::{Group, Hierarchy, Quota, Throttling};
use super::host::children::ChildGroup;
use super::host::command::ip;
use super::host::cores::Cores;
use super::host::interrupts::{Interrupts, Waited};
use super::host::names::Owner;
use super::host::netns::{Netns, TcpSettings};
use super::host::{enter, lock, require_root};
use super::link_shape::LinkArgs;
use crate::testbed::clean::remove_leftovers;
use anyhow::{Context, bail, ensure};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

mod addresses;
mod kernel_link;
mod ready;

pub(crate) use addresses::Addresses;
pub(crate) use kernel_link::has_netem;
pub(crate) use ready::{Ready, wait_ready};

/// How long the emulator may take to make its devices, or to tell what it did.
const EMULATOR_LIMIT: Duration = Duration::from_secs(20);

/// The implementation of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
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
    /// Whether TCP connections begin again with a small window after they were idle (Linux: on).
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub(crate) slow_start_after_idle: Switch,
}

impl Settings {
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

/// The two ends of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Device,
    Server,
}

/// Whether a program waits for its turn on a busy machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Like any other.
    Waits,
    /// Goes before others, where that is allowed.
    First,
}

/// A testbed that stands; dropping it removes everything.
///
/// Fields are dropped in the order of their declaration: the emulator before the namespaces.
#[derive(Debug)]
pub(crate) struct Testbed {
    emulator: Option<Emulator>,
    device: Netns,
    server: Netns,
    is_loopback: bool,
    _router: Option<Netns>,
    group: Option<Group>,
    device_cores: Cores,
    server_cores: Cores,
    addresses: Addresses,
}

#[derive(Debug)]
struct Emulator {
    child: ChildGroup,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Testbed {
    /// Sets everything up, after removing what crashed runs left.
    ///
    /// # Errors
    ///
    /// Without root, or where the kernel lacks what `settings` ask for; nothing is left behind.
    pub(crate) fn new(settings: &Settings, interrupts: &Interrupts) -> anyhow::Result<Testbed> {
        require_root()?;
        let shape = settings.link.shape()?;
        let (device_cores, server_cores) = place(settings.device_cores)?;
        let _lock = lock()?;
        remove_leftovers()?;

        let owner = Owner::this_process()?;
        let group = device_group(settings, owner)?;
        let tcp =
            TcpSettings { slow_start_after_idle: settings.slow_start_after_idle == Switch::On };
        let device = Netns::new(owner, "device", tcp)?;
        let server = Netns::new(owner, "server", tcp)?;
        interrupts.check()?;

        let kind = match settings.link_kind {
            LinkKind::Auto if settings.link.jitter_ms == 0.0 && has_netem(device.name()) => {
                LinkKind::Kernel
            }
            LinkKind::Auto => LinkKind::Emulator,
            kind => kind,
        };
        let mut session = Testbed {
            emulator: None,
            device,
            server,
            is_loopback: kind == LinkKind::Loopback,
            _router: None,
            group,
            device_cores,
            server_cores,
            addresses: Addresses { device: "10.78.0.1", server: "10.78.0.2" },
        };
        match kind {
            LinkKind::Loopback => {
                session.addresses = Addresses { device: "127.0.0.1", server: "127.0.0.1" };
            }
            LinkKind::Kernel => {
                let router = Netns::new(owner, "router", tcp)?;
                session.addresses =
                    kernel_link::join(&session.device, &session.server, &router, &shape)?;
                session._router = Some(router);
            }
            LinkKind::Auto | LinkKind::Emulator => {
                session.start_emulator(&settings.link, interrupts)?;
            }
        }
        Ok(session)
    }

    fn start_emulator(&mut self, link: &LinkArgs, interrupts: &Interrupts) -> anyhow::Result<()> {
        for netns in [&self.device, &self.server] {
            // Neighbour discovery would take some of the link's time.
            let _ = netns.set_kernel(&[("ipv6/conf/default/disable_ipv6", "1")]);
        }
        let program = this_program()?;
        let mut words: Vec<OsString> = vec![program.clone().into()];
        words.extend(["testbed", "emulate"].map(OsString::from));
        words.extend(["--device-netns", self.device.name()].map(OsString::from));
        words.extend(["--server-netns", self.server.name()].map(OsString::from));
        words.extend(link.to_flags().into_iter().map(OsString::from));
        let enter = enter::Args { first: true, command: words, ..enter::Args::default() };
        let mut command = Command::new(program);
        command.args(enter.to_words()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ChildGroup::spawn(&mut command)?;
        let (Some(stdin), Some(stdout)) = child.take_pipes() else {
            bail!("the link emulator has no pipes");
        };
        let mut emulator = Emulator { child, stdin, stdout: BufReader::new(stdout) };
        emulator.wait_ready(interrupts)?;
        self.emulator = Some(emulator);
        let ends = [(&self.device, self.addresses.device), (&self.server, self.addresses.server)];
        for (netns, address) in ends {
            let (name, link) = (netns.name(), emulator::DEVICE);
            ip(&format!("-n {name} addr add {address}/30 dev {link}"))?;
            ip(&format!("-n {name} link set {link} up"))?;
        }
        Ok(())
    }

    /// The addresses of both ends.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Whether both sides share one loopback.
    pub(crate) fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Whether our emulator makes the link.
    pub(crate) fn is_emulated(&self) -> bool {
        self.emulator.is_some()
    }

    /// Starts `words` on one side. Standard input is empty, standard error is ours.
    pub(crate) fn spawn(
        &self,
        side: Side,
        turn: Turn,
        words: Vec<OsString>,
        stdout: Stdio,
    ) -> anyhow::Result<ChildGroup> {
        let (netns, cores, group) = match side {
            Side::Device if self.is_loopback => {
                (&self.server, &self.device_cores, self.group.as_ref())
            }
            Side::Device => (&self.device, &self.device_cores, self.group.as_ref()),
            Side::Server => (&self.server, &self.server_cores, None),
        };
        let enter = enter::Args {
            netns: Some(netns.name().to_owned()),
            cgroup: group.map(|group| group.folder().to_owned()),
            cores: Some(cores.clone()),
            first: turn == Turn::First,
            command: words,
        };
        let mut command = Command::new(this_program()?);
        command.args(enter.to_words()).stdin(Stdio::null()).stdout(stdout);
        ChildGroup::spawn(&mut command)
    }

    /// How often the device was held back by its quota; `None` if it has none.
    pub(crate) fn throttling(&self) -> anyhow::Result<Option<Throttling>> {
        self.group.as_ref().map(Group::throttling).transpose()
    }

    /// Ends the link and says what it carried; `None` for a link made by the kernel.
    pub(crate) fn close_link(
        &mut self,
        interrupts: &Interrupts,
    ) -> anyhow::Result<Option<EmulatorReport>> {
        self.emulator.take().map(|emulator| emulator.close(interrupts)).transpose()
    }

    /// Something that becomes readable if the emulator ends before its time.
    pub(crate) fn emulator(&self) -> Option<&ChildGroup> {
        self.emulator.as_ref().map(|emulator| &emulator.child)
    }
}

impl Emulator {
    fn wait_ready(&mut self, interrupts: &Interrupts) -> anyhow::Result<()> {
        self.wait_readable(interrupts)?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("cannot read from the link emulator")?;
        ensure!(line.trim() == emulator::READY, "the link emulator did not start");
        Ok(())
    }

    fn wait_readable(&self, interrupts: &Interrupts) -> anyhow::Result<()> {
        use std::os::fd::AsFd as _;
        let deadline = Instant::now() + EMULATOR_LIMIT;
        match interrupts.wait(&[self.stdout.get_ref().as_fd()], deadline)? {
            Waited::Ready(_) => Ok(()),
            Waited::TimeOver => bail!("the link emulator says nothing"),
            Waited::Interrupted => interrupts.check(),
        }
    }

    fn close(mut self, interrupts: &Interrupts) -> anyhow::Result<EmulatorReport> {
        drop(self.stdin);
        let mut report = String::new();
        // It prints one short line and ends, or has ended already.
        self.stdout.read_to_string(&mut report).context("cannot read from the link emulator")?;
        let status = self.child.stop(interrupts)?;
        ensure!(status.success(), "the link emulator ended with {status}");
        serde_json::from_str(&report).context("the link emulator's report is not readable")
    }
}

/// This program, to be called again with other flags.
fn this_program() -> anyhow::Result<std::path::PathBuf> {
    std::env::current_exe().context("cannot find this program's file")
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
