//! How long does planning take for real networks? From the kept profiles, so that every run plans
//! the same workloads.

use crate::experiment::{Setting, Uplink};
use crate::profiles::Profiles;
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Time the planning of identical jobs of each network with a kept profile.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Networks with a kept profile; without any, all of them.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    networks: Vec<String>,

    /// How many jobs.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    jobs: usize,

    /// The uplink, in millions of bits per second.
    #[arg(long, value_name = "MBPS", default_value_t = Uplink::WIFI.mbps)]
    uplink_mbps: f64,

    /// The device's share of the core that was measured; the server has all of one.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.25)]
    device_fraction: f64,

    /// How often each plan is made.
    #[arg(long, value_name = "COUNT", default_value_t = 31)]
    repeats: usize,

    /// The folder of the profiles.
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
}

/// Prints a Markdown table.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let profiles = Profiles::load(args.profiles.as_deref())?;
    let networks = match args.networks.as_slice() {
        [] => profiles.names().map(str::to_owned).collect(),
        networks => networks.to_vec(),
    };
    println!(
        "{} identical jobs at {} Mbit/s, device at {}, one executor, median of {}\n",
        args.jobs, args.uplink_mbps, args.device_fraction, args.repeats
    );
    println!("| network | layers | granularity | plan ms | least ms | gap % |");
    println!("|---|---|---|---|---|---|");
    for network in networks {
        let uplink = Uplink { mbps: args.uplink_mbps, ..Uplink::WIFI };
        let setting = Setting::identical(&network, args.jobs).at(uplink).on(args.device_fraction);
        let workload = setting.workload(&profiles)?;
        for granularity in [Granularity::Job, Granularity::Layer] {
            let options = PlanOptions::raw(granularity);
            let mut times = Vec::with_capacity(args.repeats);
            let mut gap = 0.0;
            for _ in 0..args.repeats.max(1) {
                let start = Instant::now();
                let made = plan(&workload, Policy::Joint, &options)?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
                gap = made.gap() * 100.0;
            }
            times.sort_by(f64::total_cmp);
            let (least, median) = (times[0], times[times.len() / 2]);
            let layers = workload.models[0].layers.len();
            println!(
                "| {network} | {layers} | {granularity} | {median:.3} | {least:.3} | {gap:.3} |"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
