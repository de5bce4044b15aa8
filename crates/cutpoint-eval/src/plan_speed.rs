//! How long does planning take for real networks? Layer times are measured on this machine, the
//! server is taken to be eight times faster than the device.

use cutpoint::engine::EngineOptions;
use cutpoint::engine::select::{EngineChoice, SelectOptions, select};
use cutpoint::onnx::{Model, ReadOptions};
use cutpoint::profile::{ProfileOptions, profile_model};
use cutpoint::run::{LinkModel, MeasuredModel, parse_workload, workload_json};
use cutpoint::tensor::Tensor;
use cutpoint::zoo::Network;
use cutpoint_plan::plan::{Granularity, Policy};
use cutpoint_plan::policy::{PlanOptions, plan};
use cutpoint_plan::workload::Workload;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Time the planning of identical jobs of the zoo's networks.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many jobs.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    jobs: usize,

    /// The uplink, in millions of bits per second.
    #[arg(long, value_name = "MBPS", default_value_t = 18.88)]
    uplink_mbps: f64,

    /// How often each plan is made.
    #[arg(long, value_name = "COUNT", default_value_t = 31)]
    repeats: usize,
}

/// Prints a Markdown table.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    println!(
        "{} identical jobs at {} Mbit/s, median of {}\n",
        args.jobs, args.uplink_mbps, args.repeats
    );
    println!("| network | layers | granularity | plan ms | gap % |");
    println!("|---|---|---|---|---|");
    for network in Network::ALL {
        let workload = workload(network, args)?;
        for granularity in [Granularity::Job, Granularity::Layer] {
            let options = PlanOptions::at(granularity);
            let mut times = Vec::with_capacity(args.repeats);
            let mut gap = 0.0;
            for _ in 0..args.repeats.max(1) {
                let start = Instant::now();
                let made = plan(&workload, Policy::Joint, &options)?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
                gap = made.gap() * 100.0;
            }
            times.sort_by(f64::total_cmp);
            let median = times[times.len() / 2];
            let layers = workload.models[0].layers.len();
            println!("| {network} | {layers} | {granularity} | {median:.3} | {gap:.3} |");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn workload(network: Network, args: &Args) -> anyhow::Result<Workload> {
    let engine = select(&EngineChoice::Auto, &SelectOptions::default())?;
    let onnx = network.to_onnx(0);
    let model = Model::from_bytes(onnx.into(), network.name(), &ReadOptions::default())?;
    let model = model.into_layers(&*engine)?;
    let inputs = model.model().synthetic_inputs(0);
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let options = EngineOptions { threads: NonZeroUsize::MIN };
    let how = ProfileOptions { budget: Duration::from_secs(10), ..ProfileOptions::default() };
    let profile = profile_model(&*engine, options, &model, &inputs, &how)?;
    let measured = MeasuredModel {
        name: network.name(),
        model: &model,
        device_ms: &profile.layers_ms(profile.whole.median_ms * 8.0),
        server: Some(&profile),
        encodings: &std::collections::BTreeMap::new(),
        jobs: args.jobs,
    };
    let link = LinkModel {
        uplink_mbps: args.uplink_mbps,
        downlink_mbps: None,
        rtt_ms: 5.0,
        message_overhead_ms: 0.0,
    };
    let json = workload_json(&[measured], link, 1)?;
    Ok(parse_workload(&json.to_string(), network.name())?)
}
