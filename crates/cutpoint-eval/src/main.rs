//! The program `cutpoint-eval`: the evidence for Cutpoint, for its developers.

mod encodings;
mod gaps;
mod jpeg_table;
mod oracle;
mod photos;
mod plan_growth;
mod plan_speed;
mod split_cost;
mod testbed;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Evidence for Cutpoint: measurements, experiments and the testbed they run on.
#[derive(Debug, Parser)]
#[command(name = "cutpoint-eval", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare prefix and suffix in sequence with the whole model, for networks of the zoo.
    SplitCost(split_cost::Args),
    /// Measure sizes and costs of encodings on tensors behind activations.
    Encodings(encodings::Args),
    /// Compare the joint plan with its rivals for jobs whose inputs are JPEG files.
    JpegTable(jpeg_table::Args),
    /// Write synthetic photographs as JPEG files.
    Photos(photos::Args),
    /// Time the planning of identical jobs of the zoo's networks.
    PlanSpeed(plan_speed::Args),
    /// Time the planning of more and more jobs.
    PlanGrowth(plan_growth::Args),
    /// Plan random workloads and show how far from optimal the plans can be.
    Gaps(gaps::Args),
    /// Run a device and a server in two network namespaces joined by a shaped link.
    Testbed(testbed::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::SplitCost(args) => split_cost::run(&args),
        Command::Encodings(args) => encodings::run(&args),
        Command::JpegTable(args) => jpeg_table::run(&args),
        Command::Photos(args) => photos::run(&args),
        Command::PlanSpeed(args) => plan_speed::run(&args),
        Command::PlanGrowth(args) => plan_growth::run(&args),
        Command::Gaps(args) => gaps::run(&args),
        Command::Testbed(args) => testbed::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(1)
    })
}
