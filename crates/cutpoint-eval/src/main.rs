//! The program `cutpoint-eval`: the evidence for Cutpoint, for its developers.

mod experiment;
mod gaps;
#[cfg(target_os = "linux")]
mod grid;
mod oracle;
mod origin;
mod outcomes;
mod plan_growth;
mod plans;
mod profiles;
mod program;
mod split_cost;
mod statistics;
mod subject;
#[cfg(target_os = "linux")]
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
    /// Time the planning of jobs of ten models.
    PlanGrowth(plan_growth::Args),
    /// Plan random workloads and show how far from optimal the plans can be.
    Gaps(gaps::Args),
    /// Measure models on one core of this machine and keep the profiles for tables and figures.
    Profiles(profiles::Args),
    /// Simulate settings from the measured profiles, for scripts/tables.
    Outcomes(outcomes::Args),
    /// Run policies on the testbed over many networks, links and devices; predicted and measured.
    #[cfg(target_os = "linux")]
    Grid(grid::Args),
    /// Run a device and a server in two network namespaces joined by a shaped link.
    #[cfg(target_os = "linux")]
    Testbed(testbed::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::SplitCost(args) => split_cost::run(&args),
        Command::PlanGrowth(args) => plan_growth::run(&args),
        Command::Gaps(args) => gaps::run(&args),
        Command::Profiles(args) => profiles::run(&args),
        Command::Outcomes(args) => outcomes::run(&args),
        #[cfg(target_os = "linux")]
        Command::Grid(args) => grid::run(&args),
        #[cfg(target_os = "linux")]
        Command::Testbed(args) => testbed::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(1)
    })
}
