//! `testbed run`: a server command and a device command over the link, and what came of them.

use super::emulator::EmulatorReport;
use super::host::cgroup::Throttling;
use super::host::children::exit_code;
use super::host::interrupts::Interrupts;
use super::link_shape::LinkArgs;
use super::session::{Addresses, LinkKind, Ready, Settings, Start, Testbed};
use crate::program::misuse;
use anyhow::Context;
use serde::Serialize;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Flags of `testbed run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// The server's command, run by `sh`; {server} and {device} stand for the addresses. It starts
    /// first, writes to standard error, and is stopped when the device is done.
    #[arg(long, value_name = "COMMAND")]
    server_command: String,
    /// The device's command, run by `sh`; {server} and {device} stand for the addresses. Its
    /// standard output and its exit code become those of the testbed.
    #[arg(long, value_name = "COMMAND")]
    device_command: String,
    /// The device starts once the server listens on this TCP port; or on `any`; or `none`, at once.
    #[arg(long, value_name = "PORT", default_value = "any")]
    ready_port: Ready,
    /// How long the server may take to listen.
    #[arg(long, value_name = "S", default_value_t = 60)]
    ready_limit_s: u64,
    /// How long the device's command may take before everything is stopped.
    #[arg(long, value_name = "S", default_value_t = 3_600)]
    limit_s: u64,
    /// Where to write what happened, as JSON; `-` for standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The report of a run.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// The requested link; none on a loopback.
    link: Option<&'a LinkArgs>,
    emulated: bool,
    device_cores: f64,
    device_period_ms: u64,
    slow_start_after_idle: bool,
    congestion_control: &'static str,
    device: CommandReport,
    server: CommandReport,
    /// From the start of the device's command to its end.
    device_wall_ms: f64,
    /// How often the device's quota held it back; none if it has whole cores.
    throttling: Option<Throttling>,
    /// The link's traffic; none if the kernel made the link.
    carried: Option<EmulatorReport>,
}

#[derive(Debug, Serialize)]
struct CommandReport {
    /// As a shell would tell it: 128 and the number of a signal that ended it.
    exit_code: u8,
    /// Whether the testbed stopped it.
    stopped: bool,
}

/// Runs both commands; the exit code is the device's, or 128 and the signal that stopped the run.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Err(error) = args.settings.check() {
        return Ok(misuse(&error));
    }
    let interrupts = Interrupts::new()?;
    interrupts.exit_code(run_commands(args, &interrupts).map(ExitCode::from))
}

fn run_commands(args: &Args, interrupts: &Interrupts) -> anyhow::Result<u8> {
    let mut testbed = Testbed::new(&args.settings, interrupts)?;
    let shell = |command: &str, stdout| {
        let command = fill(command, testbed.addresses);
        let words = vec!["sh".into(), "-c".into(), command.into()];
        Start { words, stdout, stderr: Stdio::inherit() }
    };
    let stderr = std::io::stderr().as_fd().try_clone_to_owned()?;
    let start = shell(&args.server_command, Stdio::from(stderr));
    let ready_limit = Duration::from_secs(args.ready_limit_s);
    let mut server = testbed.serve(start, args.ready_port, ready_limit)?;

    let started = Instant::now();
    let start = shell(&args.device_command, Stdio::inherit());
    let device_status = testbed.run(start, Duration::from_secs(args.limit_s))?;
    let device_wall_ms = started.elapsed().as_secs_f64() * 1e3;

    let server_ended_itself = server.status()?.is_some();
    let server_status = testbed.stop(server)?;
    let report = Report {
        link: (testbed.kind != LinkKind::Loopback).then_some(&args.settings.link),
        emulated: testbed.kind == LinkKind::Emulator,
        device_cores: args.settings.device_cores,
        device_period_ms: args.settings.device_period_ms,
        slow_start_after_idle: args.settings.slow_start_after_idle,
        congestion_control: super::host::netns::CONGESTION_CONTROL,
        device: CommandReport { exit_code: exit_code(device_status), stopped: false },
        server: CommandReport {
            exit_code: exit_code(server_status),
            stopped: !server_ended_itself,
        },
        device_wall_ms,
        throttling: testbed.throttling()?,
        carried: testbed.close_link()?,
    };
    report.print_summary();
    if let Some(file) = &args.output {
        save(&report, file)?;
    }
    Ok(report.device.exit_code)
}

/// A command with the addresses filled in.
fn fill(command: &str, addresses: Addresses) -> String {
    command.replace("{server}", addresses.server).replace("{device}", addresses.device)
}

impl Report<'_> {
    fn print_summary(&self) {
        let ended = |command: &CommandReport| match command.stopped {
            true => format!("stopped, {}", command.exit_code),
            false => command.exit_code.to_string(),
        };
        eprintln!(
            "device: exit code {} after {:.1} ms; server: exit code {}",
            ended(&self.device),
            self.device_wall_ms,
            ended(&self.server)
        );
        if let Some(throttling) = &self.throttling {
            eprintln!(
                "device held to {} of a core in {} of {} periods",
                self.device_cores, throttling.throttled_periods, throttling.periods
            );
        }
        let Some(carried) = &self.carried else { return };
        for (name, way) in [("uplink", &carried.uplink), ("downlink", &carried.downlink)] {
            eprintln!(
                "{name}: {} packets, {} bytes, {} dropped by the queue, {} lost; late by {:.3} ms \
                 on average, {:.3} ms at most",
                way.packets,
                way.bytes,
                way.queue_drops,
                way.losses,
                way.late_mean_ms,
                way.late_max_ms
            );
        }
    }
}

/// Writes the report whole or not at all.
fn save(report: &Report<'_>, file: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    if file == Path::new("-") {
        return std::io::stdout().write_all(text.as_bytes()).context("cannot write the report");
    }
    let place = || format!("cannot write {}", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut temporary =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(place)?;
    temporary.write_all(text.as_bytes()).with_context(place)?;
    temporary.persist(file).with_context(place)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_filled_in_and_other_braces_stay() {
        let addresses = Addresses { device: "10.0.0.1", server: "10.0.0.2" };
        let filled = fill("run {server}:70 --from {device} {server} {\"a\": 1} ${x}", addresses);
        assert_eq!(filled, "run 10.0.0.2:70 --from 10.0.0.1 10.0.0.2 {\"a\": 1} ${x}");
    }
}
