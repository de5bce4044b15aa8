//! `cutpoint engine profile`: how long every layer of a model takes on one engine.

use crate::args::format::Format;
use crate::args::model::ModelArgs;
use cutpoint::profile::{ModelProfile, ProfileOptions, profile_model};
use cutpoint_plan::units::count;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// How many runs are timed; a slow model is run less often.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,

    /// How long the measurement may take.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    budget_s: u32,

    /// How to print the times; JSON has the schema `cutpoint.profile/1`.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Of the values in the inputs.
const SEED: u64 = 0;

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (engine, options) = args.model.engine.select()?;
    let model = args.model.load()?.into_layers(engine.as_ref())?;
    let inputs = model.model().synthetic_inputs(SEED);
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let how = ProfileOptions {
        repeats: args.repeats as usize,
        budget: Duration::from_secs(args.budget_s.into()),
        ..ProfileOptions::default()
    };
    let profile = profile_model(engine.as_ref(), options, &model, &inputs, &how)
        .map_err(|e| e.at(model.model().place()))?;
    for warning in &profile.warnings {
        log::warn!("{warning}");
    }
    Ok(args.format.print(&profile, render_text)?)
}

fn render_text(profile: &ModelProfile) -> String {
    let longest = profile.layers.iter().map(|layer| layer.name.chars().count()).max();
    let width = longest.unwrap_or(0).clamp(5, 60);
    let mut text = format!("{:width$}  {:>10}  {:>6}  {:>6}\n", "layer", "ms", "share", "spread");
    let whole = &profile.whole;
    for layer in &profile.layers {
        let share = 100.0 * layer.median_ms / whole.median_ms;
        let spread = 100.0 * layer.spread;
        let (name, ms) = (&layer.name, layer.median_ms);
        text += &format!("{name:width$}  {ms:>10.3}  {share:>5.1}%  {spread:>5.1}%\n");
    }
    text + &format!(
        "whole: median {:.3} ms, min {:.3} ms, spread {:.1} % of {}; layers as measured add \
         up to {:.1} % of it{}; {}, {}\n",
        whole.median_ms,
        whole.min_ms,
        100.0 * whole.spread,
        count(whole.runs, "run"),
        100.0 * profile.sum_over_whole,
        if profile.is_scaled { ", scaled to 100 %" } else { "" },
        profile.engine,
        count(profile.threads, "thread"),
    )
}
