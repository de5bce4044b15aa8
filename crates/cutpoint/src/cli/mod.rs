//! The command line: one file for each subcommand, each with its `Args` and its `run`.

mod batch;
mod check;
mod connect_args;
mod demo;
mod device_args;
mod encoding_args;
mod engine;
mod engine_args;
mod explain;
mod gantt;
mod image_args;
mod inspect;
mod jobs_file;
mod output;
mod output_target;
mod plan;
mod plan_files;
mod profile;
mod repeat;
mod report;
mod run;
mod serve;
mod source_args;
mod split;
mod stream;
mod zoo;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Finish many DNN inference jobs sooner by sharing the work between a device and a server.
#[derive(Debug, Parser)]
#[command(name = "cutpoint", version)]
pub struct Cli {
    /// Say more on standard error: -v for each job, -vv for each frame.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the layers of a model, their shapes and sizes, and the cuts between them.
    Inspect(inspect::Args),
    /// Cut a model in two ONNX files at the tensors named.
    Split(split::Args),
    /// Write a well-known network as an ONNX file: its published architecture, untrained, with
    /// weights drawn at random.
    Zoo(zoo::Args),
    /// Decide where each job is cut and in which order the jobs run.
    Plan(plan::Args),
    /// Check a plan against its workload; the exit code is 0 for a valid plan, else 1.
    Check(check::Args),
    /// Draw what each machine does when.
    Gantt(gantt::Args),
    /// Say in words why a plan is as it is, and what would change it.
    Explain(explain::Args),
    /// Serve models, whole or cut, to devices and to any client of the Open Inference Protocol.
    Serve(serve::Args),
    /// Measure models on both sides, and the link, and write workload.json.
    Profile(profile::Args),
    /// Measure, plan and execute: jobs of a model on this device and a server.
    Run(run::Args),
    /// Show it all on this machine: five policies, a server process, a held uplink, a held device.
    Demo(demo::Args),
    /// Show a plan, and what came of it, as one HTML page.
    Report(report::Args),
    /// List, install, remove or measure inference engines.
    Engine(engine::Args),
}

/// Runs the program; the result is its exit code: 0 done, 1 failed, 2 misuse.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    start_log(cli.verbose);
    match cli.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Split(args) => split::run(args),
        Command::Zoo(args) => zoo::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Check(args) => check::run(args),
        Command::Gantt(args) => gantt::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Run(args) => self::run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Report(args) => report::run(args),
        Command::Engine(args) => engine::run(args),
    }
}

/// Logs go to standard error: for people as they are said, with time and place where `-v` or
/// `RUST_LOG` asks for more.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => log::LevelFilter::Info,
        1 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    };
    let mut log = env_logger::Builder::new();
    log.filter_module("cutpoint", level).parse_default_env();
    if verbose == 0 {
        log.format(|out, record| match record.level() {
            log::Level::Info => writeln!(out, "{}", record.args()),
            level => writeln!(out, "{}: {}", level.as_str().to_lowercase(), record.args()),
        });
    }
    log.init();
}
