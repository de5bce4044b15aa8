//! `testbed accuracy`: is the link what was asked for?

mod report;

use super::host::children::ChildGroup;
use super::host::interrupts::{Interrupts, Waited};
use super::link_shape::{LinkArgs, LinkShape};
use super::probe::Measured;
use super::session::{LinkKind, Ready, Settings, Side, Switch, Testbed, Turn, wait_ready};
use crate::program::misuse;
use anyhow::{Context, anyhow, bail, ensure};
use report::{Accuracy, Row};
use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Rates in Mbit/s and round trips in ms: 3G, 4G and Wi-Fi.
const LINKS: [(f64, f64); 3] = [(1.1, 100.0), (5.85, 50.0), (18.88, 5.0)];
const PORT: u16 = 7_071;
const PINGS: u64 = 50;
/// How much of each bulk transfer is not measured.
const WARM_UP_MS: u64 = 1_000;
/// How long the probe may take longer than its transfers.
const SPARE: Duration = Duration::from_secs(30);
/// Long enough that nothing is dropped: a retransmission takes the link's time, not its rate.
const QUEUE_KIB: u64 = 1_024;
/// Bytes in flight beyond those that fit on the link.
const SPARE_BYTES: u64 = 32 * 1_024;
const READY_LIMIT: Duration = Duration::from_secs(20);
/// The longest answer of a probe that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Flags of `testbed accuracy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each of the six bulk transfers takes, between 2 and 60.
    #[arg(long, value_name = "S", default_value_t = 7)]
    bulk_s: u64,
    /// The implementation of the link.
    #[arg(long = "link", value_enum, default_value_t = LinkKind::Auto)]
    link_kind: LinkKind,
}

/// Measures each link and prints JSON; the exit code does not depend on the result.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !(2..=60).contains(&args.bulk_s) {
        return Ok(misuse(&anyhow!("--bulk-s is {}, expected 2 to 60", args.bulk_s)));
    }
    let interrupts = Interrupts::new()?;
    let mut rows = Vec::new();
    for (mbps, rtt_ms) in LINKS {
        eprintln!("measuring {mbps} Mbit/s, {rtt_ms} ms");
        rows.push(measure(mbps, rtt_ms, args, &interrupts)?);
    }
    let accuracy = Accuracy::new(rows);
    println!("{}", serde_json::to_string(&accuracy)?);
    Ok(ExitCode::SUCCESS)
}

/// Makes one link, alike in both directions, and measures it.
fn measure(mbps: f64, rtt_ms: f64, args: &Args, interrupts: &Interrupts) -> anyhow::Result<Row> {
    let link = LinkArgs {
        uplink_mbps: mbps,
        downlink_mbps: mbps,
        rtt_ms,
        queue_kib: QUEUE_KIB,
        loss: 0.0,
        jitter_ms: 0.0,
        seed: 1,
    };
    let settings = Settings {
        link,
        link_kind: args.link_kind,
        device_cores: 1.0,
        device_period_ms: 10,
        slow_start_after_idle: Switch::On,
    };
    let shape = settings.link.shape()?;
    let mut session = Testbed::new(&settings, interrupts)?;
    let address = format!("{}:{PORT}", session.addresses().server);

    let serve = program(&["probe-serve", "--listen", &address])?;
    // On a busy machine a probe that waits for its turn would measure that wait.
    let first = Turn::First;
    let mut server = session.spawn(Side::Server, first, serve, Stdio::null())?;
    wait_ready(&mut server, Ready::Port(PORT), READY_LIMIT, interrupts)?;
    let measure = program(&[
        "probe-measure",
        &format!("--server={address}"),
        &format!("--bulk-ms={}", args.bulk_s * 1_000),
        &format!("--warm-up-ms={WARM_UP_MS}"),
        &format!("--send-buffer-bytes={}", send_buffer_bytes(&shape)),
        &format!("--pings={PINGS}"),
    ])?;
    let started = Instant::now();
    let mut device = session.spawn(Side::Device, first, measure, Stdio::piped())?;
    let deadline = started + 2 * Duration::from_secs(args.bulk_s) + SPARE;
    let measured = answer(&mut device, interrupts, deadline)?;
    let wall = started.elapsed();
    server.stop(interrupts)?;
    Row::new(&shape, &measured, session.close_link(interrupts)?.as_ref(), wall)
}

/// Enough to keep the link busy; the kernel doubles it and lets two bursts of 64 KiB through, which
/// is still far from filling the queue.
fn send_buffer_bytes(shape: &LinkShape) -> u64 {
    let round_trip = shape.uplink.one_way + shape.downlink.one_way;
    let in_flight = shape.uplink.bit_per_s as f64 / 8e3 * round_trip.milliseconds();
    in_flight as u64 + SPARE_BYTES
}

fn program(words: &[&str]) -> anyhow::Result<Vec<OsString>> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let mut command: Vec<OsString> = vec![program.into(), "testbed".into()];
    command.extend(words.iter().map(OsString::from));
    Ok(command)
}

fn answer(
    device: &mut ChildGroup,
    interrupts: &Interrupts,
    deadline: Instant,
) -> anyhow::Result<Measured> {
    let (_, stdout) = device.take_pipes();
    match interrupts.wait(&[device.as_fd()], deadline)? {
        Waited::Ready(_) => {}
        Waited::TimeOver => bail!("the measurement takes too long"),
        Waited::Interrupted => interrupts.check()?,
    }
    let mut text = String::new();
    let stdout = stdout.context("the measurement has no output")?;
    stdout.take(ANSWER_BYTES_MAX).read_to_string(&mut text).context("cannot read a measurement")?;
    let status = device.status()?.context("the measurement ended without a status")?;
    ensure!(status.success(), "the measurement ended with {status}");
    serde_json::from_str(&text).context("the measurement is not readable")
}
