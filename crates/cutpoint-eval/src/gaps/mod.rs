//! How far plans are from the optimum, by their own certificate and by an oracle.
//!
//! Random workloads of eight families are planned by `joint`; every plan is checked and compared
//! with all other policies, and with few jobs also with the optimum.

mod instance;
mod measure;

use clap::ValueEnum;
use instance::{Family, Machines};
use measure::measure;
use std::process::ExitCode;

/// Plan random workloads and show how far from optimal the plans can be.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first seed.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,

    /// How many instances of each family and number of jobs, with consecutive seeds.
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    count: u64,

    /// Numbers of jobs.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_value = "2,4,6,10,20,50")]
    jobs: Vec<usize>,

    /// The machines: device and uplink, or these and a server with one executor.
    #[arg(long, value_enum, default_value_t = Machines::Two)]
    machines: Machines,

    /// The families; without any, all of them.
    #[arg(long, value_enum, value_delimiter = ',')]
    family: Vec<Family>,

    /// Up to how many jobs the optimum is looked for.
    #[arg(long, value_name = "COUNT", default_value_t = 6)]
    optimum_jobs: usize,

    /// Nodes that the integer program may visit before the planner's own search is asked.
    #[arg(long, value_name = "COUNT", default_value_t = 5_000)]
    nodes: u64,
}

/// Prints an outcome a line as JSON; the exit code is 1 if a plan is behind another policy's or a
/// claim is refuted.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let families = match args.family.as_slice() {
        [] => Family::value_variants(),
        some => some,
    };
    let seeds = args.seed..args.seed + args.count;
    let mut is_sound = true;
    for &family in families {
        for &granularity in family.granularities() {
            for &jobs in &args.jobs {
                eprintln!("{family}, {granularity}, {jobs} jobs");
                let nodes = (jobs <= args.optimum_jobs).then_some(args.nodes);
                for seed in seeds.clone() {
                    let machines = args.machines;
                    let outcome = measure(family, machines, granularity, jobs, seed, nodes)?;
                    is_sound &= outcome.behind.is_empty() && outcome.refuted.is_empty();
                    println!("{}", serde_json::to_string(&outcome)?);
                }
            }
        }
    }
    Ok(ExitCode::from(u8::from(!is_sound)))
}
