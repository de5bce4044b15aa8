//! The program `cutpoint`: one file for each subcommand, each with its `Args` and its `run`.

mod args;
mod check;
mod demo;
mod engine;
mod explain;
mod files;
mod gantt;
mod inspect;
mod measurement;
mod outputs;
mod outputs_json;
mod plan;
mod profile;
mod progress;
mod report;
mod run;
mod serve;
mod setup;
mod split;
mod zoo;

use args::workload::PlanArgs;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Some builds of ONNX Runtime record how they are used, unless this is set before their library
/// is loaded.
#[cfg(unix)]
const DISABLE_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// How many heaps the C library's allocator keeps, on Linux. By default each thread has one, and the
/// tensors that threads pass on leave free memory behind in each. Large tensors are few, so threads
/// do not wait for the only heap.
#[cfg(unix)]
const HEAPS: &str = "MALLOC_ARENA_MAX";

/// Finish many DNN inference jobs sooner by sharing the work between a device and a server.
#[derive(Debug, Parser)]
#[command(name = "cutpoint", version)]
struct Cli {
    /// Log more to standard error: -v for each job, -vv for each frame.
    #[arg(short, long, global = true, display_order = 900, action = clap::ArgAction::Count)]
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
    Check(PlanArgs),
    /// Draw a Gantt chart of a plan, and of its run.
    Gantt(gantt::Args),
    /// Explain a plan in words: its cuts, its bottleneck, and what would change it.
    Explain(PlanArgs),
    /// Serve models, whole or cut, to devices and to any client of the Open Inference Protocol.
    Serve(serve::Args),
    /// Measure models on the device and the server, and the link, and write workload.json.
    Profile(profile::Args),
    /// Measure, plan and run jobs on this device and a server.
    Run(run::Args),
    /// Run five policies on this machine and compare them: local server, limited uplink, slowed device.
    Demo(demo::Args),
    /// Show a plan, and its run if there is a trace, as one HTML page.
    Report(report::Args),
    /// List, install, remove or measure inference engines.
    Engine(engine::Args),
}

fn main() -> ExitCode {
    #[cfg(unix)]
    restart_with_settings();
    match run_command(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            if let Some(misuse) = error.downcast_ref::<clap::Error>() {
                let _ = misuse.print();
                return ExitCode::from(2);
            }
            eprintln!("error: {error:#}");
            if let Some(advice) = error.downcast_ref().and_then(cutpoint::error::Error::advice) {
                eprintln!("\nhint: {advice}");
            }
            ExitCode::from(1)
        }
    }
}

/// Runs the program; the result is its exit code: 0 done, 1 failed, 2 misuse.
fn run_command(cli: Cli) -> anyhow::Result<ExitCode> {
    start_log(cli.verbose);
    match cli.command {
        Command::Inspect(args) => inspect::run(args)?,
        Command::Split(args) => split::run(args)?,
        Command::Zoo(args) => zoo::run(args)?,
        Command::Plan(args) => plan::run(args)?,
        Command::Gantt(args) => gantt::run(args)?,
        Command::Explain(args) => explain::run(args)?,
        Command::Serve(args) => serve::run(args)?,
        Command::Profile(args) => profile::run(args)?,
        Command::Report(args) => report::run(args)?,
        Command::Engine(args) => engine::run(args)?,
        // What these find can be bad, too.
        Command::Check(args) => return check::run(args),
        Command::Run(args) => return run::run(args),
        Command::Demo(args) => return demo::run(args),
    }
    Ok(ExitCode::SUCCESS)
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

/// Starts the program over, in the same process, with telemetry turned off and one heap, unless the
/// user has chosen another number; a program cannot change its own environment without risk. Goes on
/// as it is where that fails.
#[cfg(unix)]
fn restart_with_settings() {
    use std::os::unix::process::CommandExt;
    if std::env::var_os(DISABLE_TELEMETRY).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    if std::env::var_os(HEAPS).is_none() {
        command.env(HEAPS, "1");
    }
    let error = command.args(arguments).env(DISABLE_TELEMETRY, "1").exec();
    eprintln!("warning: cannot turn off the telemetry of ONNX Runtime: {error}");
}
