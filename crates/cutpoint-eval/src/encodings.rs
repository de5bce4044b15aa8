//! How small encodings make the tensors behind activations, and what they cost: on networks of the
//! zoo, which are untrained, or on models from files.

use crate::statistics::{median, range};
use crate::subject::Subject;
use anyhow::{Context, bail};
use cutpoint::encoding::{Decoder, Encoder, Encoding};
use cutpoint::engine::rten::Rten;
use cutpoint::engine::{Engine, EngineOptions};
use cutpoint::frames::parse_frames;
use cutpoint::input;
use cutpoint::input::{ImageLayout, ImageOptions};
use cutpoint::onnx::{LayeredModel, OnnxModel, ReadOptions};
use cutpoint::tensor::{ElementType, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// The operators whose outputs are measured.
const ACTIVATIONS: [&str; 5] = ["Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish"];

/// Tensors of fewer bytes are left out: a header and a clock tick would count too much.
const BYTES_MIN: usize = 16 << 10;

/// Measure sizes and costs of encodings on tensors behind activations.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Networks of the zoo, or ONNX files.
    #[arg(required = true)]
    models: Vec<Subject>,

    /// What the models see: pictures, .npy files, patterns, or synthetic:COUNT.
    #[arg(long, value_name = "FRAMES", default_value = "synthetic:3")]
    inputs: Vec<String>,

    /// The order of a picture's axes, where the input's shape does not tell.
    #[arg(long, value_enum)]
    image_layout: Option<ImageLayout>,

    /// Subtracted from each channel of a picture, after scaling to 0..1.
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', default_value = "0,0,0")]
    image_mean: Vec<f32>,

    /// Each channel of a picture is divided by this.
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', default_value = "1,1,1")]
    image_std: Vec<f32>,

    /// How often each tensor is encoded and decoded; the fastest counts.
    #[arg(long, value_name = "COUNT", default_value = "9")]
    turns: NonZeroUsize,

    /// Levels of zstd to compare.
    #[arg(long, value_name = "LEVEL", value_delimiter = ',', default_value = "1")]
    levels: Vec<i32>,
}

/// Size and cost of one tensor in an encoding.
struct Sample {
    ratio: f64,
    encode_ms_per_mb: f64,
    decode_ms_per_mb: f64,
}

/// Prints a Markdown table for each model.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    for subject in &args.models {
        let name = subject.name();
        measure(&name, &subject.file(scratch.path())?, args).context(name)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(name: &str, file: &Path, args: &Args) -> anyhow::Result<()> {
    let engine = Rten::new();
    let model = OnnxModel::load(file, &ReadOptions::default())?.into_layers(&engine)?;
    let tensors = tensors(&model, &engine, args)?;
    if tensors.is_empty() {
        bail!("no activation of {BYTES_MIN} bytes or more crosses a cut");
    }
    let bytes: usize = tensors.iter().map(|tensor| tensor.bytes().len()).sum();
    let zeros: usize =
        tensors.iter().flat_map(|t| t.to_f32()).flatten().filter(|v| *v == 0.0).count();
    println!(
        "{name}: {} tensors behind activations, {:.1} MB, {:.0} % zeros\n",
        tensors.len(),
        bytes as f64 / 1e6,
        zeros as f64 * 400.0 / bytes as f64
    );
    println!(
        "| encoding | level | ratio, median | least | greatest | encode ms/MB | decode ms/MB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for encoding in Encoding::ALL {
        let levels = if encoding.is_compressed() { &args.levels[..] } else { &[0] };
        for &level in levels {
            let mut encoder = Encoder::with_level(level)?;
            let mut decoder = Decoder::default();
            let samples = tensors.iter().filter_map(|tensor| {
                sample(encoding, tensor, &mut encoder, &mut decoder, args.turns)
            });
            let samples: Vec<Sample> = samples.collect();
            row(encoding, level, &samples);
        }
    }
    println!();
    Ok(())
}

fn row(encoding: Encoding, level: i32, samples: &[Sample]) {
    let of = |value: fn(&Sample) -> f64| samples.iter().map(value).collect::<Vec<_>>();
    let Some([least, middle, greatest]) = range(&of(|s| s.ratio)) else { return };
    let level = if encoding.is_compressed() { level.to_string() } else { String::new() };
    println!(
        "| {encoding} | {level} | {middle:.2} | {least:.2} | {greatest:.2} | {:.2} | {:.2} |",
        median(&of(|s| s.encode_ms_per_mb)),
        median(&of(|s| s.decode_ms_per_mb)),
    );
}

fn sample(
    encoding: Encoding,
    tensor: &Tensor,
    encoder: &mut Encoder,
    decoder: &mut Decoder,
    turns: NonZeroUsize,
) -> Option<Sample> {
    let megabytes = tensor.bytes().len() as f64 / 1e6;
    let (mut encode, mut decode) = (f64::INFINITY, f64::INFINITY);
    let mut bytes = 0;
    for _ in 0..turns.get() {
        let start = Instant::now();
        let encoded = encoder.encode(encoding, tensor).ok()?;
        encode = encode.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        decoder.decode(&encoded).ok()?;
        decode = decode.min(start.elapsed().as_secs_f64());
        bytes = encoded.bytes().len();
    }
    Some(Sample {
        ratio: tensor.bytes().len() as f64 / bytes as f64,
        encode_ms_per_mb: encode * 1e3 / megabytes,
        decode_ms_per_mb: decode * 1e3 / megabytes,
    })
}

/// The outputs of activations that cross a cut, on every frame.
fn tensors(model: &LayeredModel, engine: &dyn Engine, args: &Args) -> anyhow::Result<Vec<Tensor>> {
    let boundaries = model.boundaries();
    let crossing: BTreeSet<&str> =
        boundaries.iter().flat_map(|cut| &cut.frontier).map(String::as_str).collect();
    let nodes = model.layers().layers.iter().flat_map(|layer| &layer.nodes);
    let made: BTreeMap<&str, &str> = nodes
        .flat_map(|node| node.outputs.iter().map(|name| (name.as_str(), node.op_type.as_str())))
        .collect();
    let is_activation =
        |name: &&str| made.get(name).is_some_and(|operator| ACTIVATIONS.contains(operator));
    let wanted: BTreeSet<&str> = crossing.into_iter().filter(is_activation).collect();
    let onnx = model.whole_with_outputs(&wanted)?.onnx;
    let options = EngineOptions { threads: NonZeroUsize::MIN };
    let mut session = engine.load_unoptimized(&onnx, options)?;
    let [mean, std] = [&args.image_mean, &args.image_std].map(|v| <[f32; 3]>::try_from(v.clone()));
    let (Ok(mean), Ok(std)) = (mean, std) else { bail!("three channels have three numbers each") };
    let how = ImageOptions { layout: args.image_layout, mean, std };
    let mut tensors = Vec::new();
    for frame in parse_frames(&args.inputs)? {
        let inputs = input::tensors(&frame.load(model.model(), &how)?)?;
        let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
        let made = session.run(&inputs)?;
        let is_measured = |(name, tensor): &(String, Tensor)| {
            wanted.contains(name.as_str())
                && tensor.element_type() == ElementType::F32
                && tensor.bytes().len() >= BYTES_MIN
        };
        tensors.extend(made.into_iter().filter(is_measured).map(|(_, tensor)| tensor));
    }
    Ok(tensors)
}
