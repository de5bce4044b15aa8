//! `testbed accuracy`: compares the link with what was asked for.

mod report;

use super::host::interrupts::Interrupts;
use super::link_shape::LinkShape;
use super::session::{LinkKind, Ready, Settings, Start, Testbed};
use crate::program::misuse;
use anyhow::{Context, anyhow, ensure};
use report::{Accuracy, Row};
use std::ffi::OsString;
use std::io::Seek as _;
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
    let settings = Settings::lossless([mbps, mbps], rtt_ms, QUEUE_KIB, args.link_kind);
    let shape = settings.link.shape()?;
    let mut testbed = Testbed::new(&settings, interrupts)?;
    let address = format!("{}:{PORT}", testbed.addresses.server);

    let serve = probe(&["probe-serve", "--listen", &address], Stdio::null())?;
    let server = testbed.serve(serve, Ready::Port(PORT), READY_LIMIT)?;
    let mut answer = tempfile::tempfile()?;
    let measure = probe(
        &[
            "probe-measure",
            &format!("--server={address}"),
            &format!("--bulk-ms={}", args.bulk_s * 1_000),
            &format!("--warm-up-ms={WARM_UP_MS}"),
            &format!("--send-buffer-bytes={}", send_buffer_bytes(&shape)),
            &format!("--pings={PINGS}"),
        ],
        answer.try_clone()?.into(),
    )?;
    let started = Instant::now();
    let status = testbed.run(measure, 2 * Duration::from_secs(args.bulk_s) + SPARE)?;
    let wall = started.elapsed();
    ensure!(status.success(), "the measurement ended with {status}");
    answer.rewind()?;
    let measured = serde_json::from_reader(answer).context("the measurement is not readable")?;
    testbed.stop(server)?;
    Row::new(&shape, &measured, testbed.close_link()?.as_ref(), wall)
}

/// Enough to keep the link busy; the kernel doubles it and lets two bursts of 64 KiB through, which
/// is still far from filling the queue.
fn send_buffer_bytes(shape: &LinkShape) -> u64 {
    let round_trip = shape.uplink.one_way + shape.downlink.one_way;
    let in_flight = shape.uplink.bit_per_s as f64 / 8e3 * round_trip.milliseconds();
    in_flight as u64 + SPARE_BYTES
}

/// One end of the probe.
fn probe(words: &[&str], stdout: Stdio) -> anyhow::Result<Start> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let words = ["testbed"].iter().chain(words).map(OsString::from);
    let words = std::iter::once(program.into()).chain(words).collect();
    Ok(Start { words, stdout, stderr: Stdio::inherit() })
}
