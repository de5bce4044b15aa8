//! The cost of cutting a model: prefix and suffix, one after the other on the same engine,
//! against the whole model, at many boundaries.

use crate::statistics::{median, range};
use anyhow::Context;
use cutpoint::engine::select::{EngineChoice, SelectOptions, select};
use cutpoint::engine::{Engine, EngineOptions, InferenceSession};
use cutpoint::onnx::{LayeredModel, OnnxModel, ReadOptions};
use cutpoint::tensor::Tensor;
use cutpoint::zoo::Network;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

/// Compare prefix and suffix in sequence with the whole model, for networks of the zoo.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The networks; without any, all of them.
    networks: Vec<Network>,

    /// auto, rten, onnxruntime, or onnxruntime:LIBRARY.
    #[arg(long, default_value_t = EngineChoice::Auto)]
    engine: EngineChoice,

    /// How many threads one inference may use.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,

    /// At how many boundaries of each network, evenly chosen.
    #[arg(long, value_name = "COUNT", default_value_t = 12)]
    boundaries: usize,

    /// How often whole and parts take turns at each boundary.
    #[arg(long, value_name = "COUNT", default_value_t = 9)]
    repeats: usize,
}

/// Prints a Markdown table.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let engine = select(&args.engine, &SelectOptions::default())?;
    let networks = if args.networks.is_empty() { &Network::ALL[..] } else { &args.networks };
    println!(
        "{}, {} thread(s), {} turns at each boundary\n",
        engine.name(),
        args.threads,
        args.repeats
    );
    println!("| network | boundaries | median of parts / whole | smallest | largest |");
    println!("|---|---|---|---|---|");
    for network in networks {
        let ratios = ratios(*network, &*engine, args).with_context(|| network.to_string())?;
        let [least, middle, greatest] = range(&ratios).context("no boundaries")?;
        let count = ratios.len();
        println!("| {network} | {count} | {middle:.3} | {least:.3} | {greatest:.3} |");
    }
    Ok(ExitCode::SUCCESS)
}

/// For each boundary, the median time of the parts over that of the whole, measured in turns.
fn ratios(network: Network, engine: &dyn Engine, args: &Args) -> anyhow::Result<Vec<f64>> {
    let options = EngineOptions { threads: args.threads };
    let onnx = network.to_onnx(0);
    let model = OnnxModel::from_bytes(onnx.into(), network.name(), &ReadOptions::default())?;
    let model = model.into_layers(engine)?;
    let inputs = model.model().synthetic_inputs(0);
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let mut whole = engine.load(&model.whole()?.onnx, options)?;
    // Both parts have a layer at least.
    let last = model.layers().layers.len() - 1;
    let wanted = args.boundaries.clamp(1, last);
    let mut ratios = Vec::with_capacity(wanted);
    for i in 0..wanted {
        let device_layers = 1 + i * (last - 1) / (wanted - 1).max(1);
        let mut parts = Parts::load(&model, device_layers, engine, options)?;
        let (mut of_whole, mut of_parts) = (Vec::new(), Vec::new());
        for _ in 0..=args.repeats {
            let start = Instant::now();
            whole.run(&inputs)?;
            of_whole.push(start.elapsed().as_secs_f64());
            let start = Instant::now();
            parts.run(&inputs)?;
            of_parts.push(start.elapsed().as_secs_f64());
        }
        // The first turn warms both up.
        ratios.push(median(&of_parts[1..]) / median(&of_whole[1..]));
    }
    Ok(ratios)
}

/// A model cut in two.
struct Parts {
    prefix: Box<dyn InferenceSession>,
    suffix: Box<dyn InferenceSession>,
    suffix_inputs: Vec<String>,
}

impl Parts {
    fn load(
        model: &LayeredModel,
        device_layers: usize,
        engine: &dyn Engine,
        options: EngineOptions,
    ) -> anyhow::Result<Parts> {
        let layers: Vec<usize> = (0..model.layers().layers.len()).collect();
        let prefix = model.segment(&layers[..device_layers])?;
        let suffix = model.segment(&layers[device_layers..])?;
        Ok(Parts {
            prefix: engine.load(&prefix.onnx, options)?,
            suffix: engine.load(&suffix.onnx, options)?,
            suffix_inputs: suffix.inputs,
        })
    }

    fn run(&mut self, inputs: &[(&str, &Tensor)]) -> anyhow::Result<()> {
        let made = self.prefix.run(inputs)?;
        let made = made.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let is_read = |(name, _): &(&str, _)| self.suffix_inputs.iter().any(|read| read == name);
        let read: Vec<_> = made.chain(inputs.iter().copied()).filter(is_read).collect();
        self.suffix.run(&read)?;
        Ok(())
    }
}
