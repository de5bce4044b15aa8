//! The link emulator: a process that carries packets between a TUN device in each namespace.
//!
//! One thread for each direction reads packets, asks [`pipe::Pipe`] when they arrive, and writes
//! them out then. The process ends when its standard input closes, so it cannot outlive its maker.

mod counters;
mod forward;
mod pipe;
mod tun;

#[cfg(test)]
pub(crate) use counters::DirectionReport;
pub(crate) use counters::EmulatorReport;

use super::host::priority;
use super::link_shape::LinkArgs;
use counters::Counters;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::thread;

/// The line that the process prints once both devices exist.
pub(crate) const READY: &str = "ready";
/// The name of the TUN device in each namespace.
pub(crate) const DEVICE: &str = "link0";
/// How late the kernel may fire a timer to save power, in nanoseconds.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// Flags of the emulator's own process.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The device's namespace.
    #[arg(long)]
    device_netns: String,
    /// The server's namespace.
    #[arg(long)]
    server_netns: String,
    #[command(flatten)]
    link: LinkArgs,
}

/// Forwards packets until standard input closes, then prints an [`EmulatorReport`] as JSON.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shape = args.link.shape()?;
    let device = tun::open(&args.device_netns, DEVICE)?;
    let server = tun::open(&args.server_netns, DEVICE)?;
    rustix::thread::set_current_timer_slack(Some(TIMER_SLACK_NS))?;

    let counters = [Counters::shared(), Counters::shared()];
    let directions = [
        (&device, &server, shape.uplink, shape.seed),
        (&server, &device, shape.downlink, shape.seed.wrapping_add(1)),
    ];
    for ((from, to, pipe, seed), counters) in directions.into_iter().zip(&counters) {
        let forward = forward::Forward {
            from: from.try_clone()?,
            to: to.try_clone()?,
            pipe: pipe::Pipe::new(pipe, seed),
            counters: counters.clone(),
        };
        thread::spawn(move || {
            if let Err(error) = forward.run() {
                eprintln!("error: the link emulator stopped: {error}");
                std::process::exit(1);
            }
        });
    }
    println!("{READY}");
    std::io::stdout().flush()?;

    std::io::stdin().read_to_end(&mut Vec::new())?;
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let report = EmulatorReport {
        uplink: counters[0].report(),
        downlink: counters[1].report(),
        cpu_ms: cpu.tv_sec as f64 * 1e3 + cpu.tv_nsec as f64 / 1e6,
        priority: priority::of_this_process(),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(ExitCode::SUCCESS)
}
