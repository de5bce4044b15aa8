//! The testbed: a device and a server joined by a link of known rate, delay and queue.
//!
//! Two network namespaces are joined by a link: the kernel's `netem` where it exists, otherwise an
//! emulator of our own between two TUN devices. The device can be held to a fraction of a core.
//! Whatever a run makes carries its process id in its name, so that what a crashed run left behind
//! can be found and removed. docs/testbed.md says how to use it.

pub(crate) mod host;
pub(crate) mod link_shape;

mod accuracy;
mod check;
mod clean;
mod emulator;
mod probe;
mod run;
pub(crate) mod session;

use std::process::ExitCode;

/// The subcommands of `cutpoint-eval testbed`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run a server command and a device command, each in its own namespace.
    Run(run::Args),
    /// Measure the link's rate and round trip against what was asked for.
    Accuracy(accuracy::Args),
    /// Say what this kernel offers to the testbed.
    Check(check::Args),
    /// Remove what crashed runs left behind.
    Clean,
    /// Answer measurements.
    #[command(hide = true)]
    ProbeServe(probe::serve::Args),
    /// Measure the link towards a `probe-serve`.
    #[command(hide = true)]
    ProbeMeasure(probe::measure::Args),
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Run(args) => run::run(&args),
        Command::Accuracy(args) => accuracy::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Clean => clean::run(),
        Command::ProbeServe(args) => probe::serve::run(&args),
        Command::ProbeMeasure(args) => probe::measure::run(&args),
    }
}
