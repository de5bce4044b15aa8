//! `cutpoint engine bench`: the latency of a whole model on one engine.

use crate::args::format::Format;
use crate::args::model::ModelArgs;
use cutpoint::engine::timing::ran;
use cutpoint_plan::units::count;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// How many runs are timed.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeats: u32,

    /// How many untimed runs come first.
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    warm_up: u32,

    /// How to print the times.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Of the values in the inputs.
const SEED: u64 = 0;

#[derive(Serialize)]
struct Report {
    model: PathBuf,
    engine: String,
    threads: usize,
    load_ms: f64,
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
    /// Processor time of one run, mean over all; with one thread what a run would take if nothing
    /// else ran. Not on every operating system.
    processor_ms: Option<f64>,
    times_ms: Vec<f64>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    Ok(args.format.print(&measure(args)?, render_text)?)
}

fn render_text(report: &Report) -> String {
    format!(
        "{}: median {:.3} ms, min {:.3} ms, max {:.3} ms of {}; loaded in {:.0} ms; {}\n",
        report.engine,
        report.median_ms,
        report.min_ms,
        report.max_ms,
        count(report.times_ms.len(), "run"),
        report.load_ms,
        count(report.threads, "thread"),
    )
}

fn measure(args: &Args) -> anyhow::Result<Report> {
    let (engine, options) = args.model.engine.select()?;
    let model = args.model.load()?;
    let onnx = model.to_onnx()?;
    let inputs = model.synthetic_inputs(SEED);
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let start = Instant::now();
    let mut session = engine.load(&onnx, options).map_err(|e| e.at(model.place()))?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    drop(onnx);
    for _ in 0..args.warm_up {
        session.run(&inputs)?;
    }
    let mut times_ms = Vec::with_capacity(args.repeats as usize);
    let ran_before = ran();
    for _ in 0..args.repeats {
        let start = Instant::now();
        session.run(&inputs)?;
        times_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let ran = ran().zip(ran_before).map(|(after, before)| after.saturating_sub(before));
    let mut sorted = times_ms.clone();
    sorted.sort_by(f64::total_cmp);
    Ok(Report {
        model: args.model.model.clone(),
        engine: engine.name(),
        threads: options.threads.get(),
        load_ms,
        median_ms: sorted[sorted.len() / 2],
        min_ms: sorted[0],
        max_ms: sorted[sorted.len() - 1],
        processor_ms: ran.map(|ran| ran.as_secs_f64() * 1e3 / f64::from(args.repeats)),
        times_ms,
    })
}
