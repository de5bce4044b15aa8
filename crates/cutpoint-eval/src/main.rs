//! The program `cutpoint-eval`: the evidence for Cutpoint, for its developers.

mod encodings;
mod experiment;
mod figures;
mod gaps;
mod jpeg_table;
mod oracle;
mod origin;
mod photos;
mod plan_growth;
mod plan_speed;
mod profiles;
mod split_cost;
mod statistics;
mod tables;
mod testbed;

use anyhow::Context;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
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
    /// Measure models on one core of this machine and keep the profiles for tables and figures.
    Profiles(profiles::Args),
    /// Compute one of the tables of docs/results.md from the measured profiles.
    Table(tables::Args),
    /// Draw one of the figures of docs/results.md from the measured profiles.
    Figure(figures::Args),
    /// Run policies on the testbed over many networks, links and devices; predicted and measured.
    #[cfg(target_os = "linux")]
    Grid(testbed::grid::Args),
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
        Command::Profiles(args) => profiles::run(&args),
        Command::Table(args) => tables::run(&args),
        Command::Figure(args) => figures::run(&args),
        #[cfg(target_os = "linux")]
        Command::Grid(args) => testbed::grid::run(&args),
        Command::Testbed(args) => testbed::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(1)
    })
}

/// A program beside this one, as a build puts them, unless the user names another.
fn sibling(name: &str, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_path_buf());
    }
    let here = std::env::current_exe()?;
    let path = here.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let found = path.exists().then_some(path);
    found.with_context(|| format!("no program {name} beside {}; build it first", here.display()))
}
