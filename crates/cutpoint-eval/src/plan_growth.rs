//! The time and the memory that planning takes, as the number of jobs grows.

use cutpoint_plan::instances::{fill_like_cnn, inception, line, unit_link, workload};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::Bandwidth;
use cutpoint_plan::workload::{Link, Workload};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

/// Time the planning of jobs of ten models; scripts/tables asks for more and more of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of jobs; a multiple of 10.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    jobs: usize,

    /// The models and their times.
    #[arg(long, default_value_t = 11)]
    seed: u64,

    /// How often the plan is made; the fastest counts.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    repeats: usize,
}

/// Prints the fastest plan's time, and the largest memory of this process.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let workload = jobs_of_ten_models(args.jobs, args.seed);
    let mut fastest = f64::INFINITY;
    for _ in 0..args.repeats.max(1) {
        let start = Instant::now();
        let made = plan(&workload, Policy::Joint, &PlanOptions::raw(Granularity::Layer))?;
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3);
        drop(made);
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kilobytes: f64 = kilobytes.unwrap_or("0").trim().parse()?;
    println!("{}", json!({ "jobs": args.jobs, "plan_ms": fastest, "memory_mb": kilobytes / 1e3 }));
    Ok(ExitCode::SUCCESS)
}

fn jobs_of_ten_models(jobs: usize, seed: u64) -> Workload {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let models = (0..10).map(|m| {
        let shape = if m % 2 == 0 { inception() } else { line(20 + 3 * m) };
        fill_like_cnn(&mut rng, &format!("model{m}"), &shape, false)
    });
    let uplink = Bandwidth::from_mbit_per_s(18.88).expect("positive and finite");
    let link = Link { uplink, ..unit_link() };
    workload(models.collect(), &[jobs / 10; 10], link, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_its_share_of_the_jobs() {
        let workload = jobs_of_ten_models(100, 3);
        assert_eq!(workload.jobs().len(), 100);
        assert_eq!(workload.models().len(), 10);
    }
}
