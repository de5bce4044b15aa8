//! With JPEG files as input and encodings within an accuracy budget: is the joint plan at least as good
//! as the best of doing everything on the device, sending the file, and cutting each job where it
//! alone is fastest? Planned, not executed, from profiles measured in the same run.

use super::photos;
use anyhow::{Context, bail};
use cutpoint::encoding::Encoding;
use cutpoint::engine::select::{EngineChoice, SelectOptions, select};
use cutpoint::engine::{Engine, EngineOptions};
use cutpoint::frames::{FrameOptions, parse_frames};
use cutpoint::input::{ImageLayout, ImageOptions};
use cutpoint::input::{Input, Inputs};
use cutpoint::onnx::{LayeredModel, OnnxModel, ReadOptions};
use cutpoint::profile::{
    AccuracyBudget, EncodingCost, EncodingProfile, ModelProfile, ProfileOptions, profile_encodings,
    profile_model,
};
use cutpoint::session::{MeasuredModel, measured_workload};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{Link, Workload};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;

/// Compare the joint plan with its rivals for jobs whose inputs are JPEG files.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// ONNX files of models that take pictures; FILE:NAME=1x3x320x320 where the file leaves the shape
    /// open.
    #[arg(required = true)]
    models: Vec<String>,

    /// Pictures to measure on; without any, eight synthetic photographs.
    #[arg(long, value_name = "FILE")]
    inputs: Vec<String>,

    /// Bounds on the change of outputs.
    #[arg(long, value_name = "BOUNDS", default_value = "cosine=0.99")]
    accuracy: AccuracyBudget,

    /// Uplinks, in Mbit/s.
    #[arg(long, value_name = "MBPS", value_delimiter = ',', default_value = "1.1,5.85,18.88")]
    uplinks_mbps: Vec<f64>,

    /// There and back.
    #[arg(long, value_name = "MS", default_value_t = 10.0)]
    rtt_ms: f64,

    /// How many jobs.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    jobs: usize,

    /// The device's speed as a fraction of this machine's; the server's is this machine's.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.125)]
    device_fraction: f64,

    /// The order of a picture's axes, where the input's shape does not tell.
    #[arg(long, value_enum)]
    image_layout: Option<ImageLayout>,

    /// auto, rten, onnxruntime, or onnxruntime:LIBRARY.
    #[arg(long, default_value_t = EngineChoice::Auto)]
    engine: EngineChoice,
}

/// A model with its measured profile.
struct Measured {
    name: String,
    model: LayeredModel,
    profile: ModelProfile,
    encodings: EncodingProfile,
    /// The inputs that are pictures.
    pictures: BTreeSet<String>,
}

/// Prints one table; fails if joint is behind in any of its rows.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let inputs = match args.inputs.is_empty() {
        false => args.inputs.clone(),
        true => {
            let files = photos::write(scratch.path(), 8)?;
            files.iter().map(|file| file.display().to_string()).collect()
        }
    };
    let engine = select(&args.engine, &SelectOptions::default())?;
    println!(
        "Makespans of {} jobs in ms, planned; {}, device at {} of this machine, round trip {} ms, \
         accuracy {}\n",
        args.jobs,
        engine.name(),
        args.device_fraction,
        args.rtt_ms,
        args.accuracy
    );
    println!(
        "| model | file KB | tensor KB | u8 in use | Mbit/s | local-only | send the file | partition-only | joint | best other over joint | joint sends |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut behind = 0;
    for named in &args.models {
        let measured = measure(named, &inputs, &*engine, args).with_context(|| named.clone())?;
        for &uplink in &args.uplinks_mbps {
            behind += usize::from(!row(&measured, uplink, args)?);
        }
    }
    eprintln!("joint is behind in {behind} rows");
    Ok(if behind == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn measure(
    named: &str,
    inputs: &[String],
    engine: &dyn Engine,
    args: &Args,
) -> anyhow::Result<Measured> {
    let (file, options) = read_options(named)?;
    let model = OnnxModel::load(file, &options)?.into_layers(engine)?;
    let image = ImageOptions { layout: args.image_layout, mean: [0.0; 3], std: [1.0; 3] };
    let how = FrameOptions { image };
    let load = |frame: &cutpoint::frames::Frame| frame.load(model.model(), &how);
    let frames = parse_frames(inputs)?;
    let inputs: Vec<Inputs> = frames.iter().map(load).collect::<Result<_, _>>()?;
    let Some(first) = inputs.first() else { bail!("no inputs") };
    let pictures = first.iter().filter(|(_, input)| matches!(input, Input::Picture(_)));
    let pictures = pictures.map(|(name, _)| name.clone()).collect();
    let options = EngineOptions { threads: NonZeroUsize::MIN };
    let given = first.iter().map(|(name, input)| Ok((name.as_str(), input.tensor()?)));
    let given = given.collect::<cutpoint::error::Result<Vec<_>>>()?;
    let profile = profile_model(engine, options, &model, &given, &ProfileOptions::default())?;
    let encodings = profile_encodings(engine, options, &model, &inputs, &args.accuracy)?;
    let name = Path::new(file).file_stem().map(|name| name.to_string_lossy().into_owned());
    Ok(Measured { name: name.unwrap_or_default(), model, profile, encodings, pictures })
}

/// A file, and the shape that follows it.
fn read_options(named: &str) -> anyhow::Result<(&str, ReadOptions)> {
    let Some((file, shape)) = named.rsplit_once(".onnx:") else {
        return Ok((named, ReadOptions::default()));
    };
    let file = &named[..file.len() + ".onnx".len()];
    let (name, dims) = shape.split_once('=').context("expected FILE.onnx:NAME=1x3x320x320")?;
    let dims = dims.split('x').map(str::parse).collect::<Result<_, _>>()?;
    Ok((file, ReadOptions { shapes: [(name.to_owned(), dims)].into() }))
}

/// Whether joint is not behind.
fn row(measured: &Measured, uplink_mbps: f64, args: &Args) -> anyhow::Result<bool> {
    let encodings = measured.encodings.for_device(args.device_fraction);
    let full = workload(measured, &encodings, uplink_mbps, args)?;
    let files = of_files(measured, args.device_fraction);
    let (file_bytes, tensor_bytes) = measured.pictures.iter().fold((0, 0), |(file, raw), name| {
        let sent = files.get(name).map_or(0, |costs| costs[0].bytes);
        (file + sent, raw + measured.encodings.raw_bytes.get(name).copied().unwrap_or(0))
    });
    let only_files = workload(measured, &files, uplink_mbps, args)?;
    let options = PlanOptions::raw(Granularity::Layer);
    let planned = |workload: &Workload, policy| plan(workload, policy, &options);
    let local = planned(&full, Policy::LocalOnly)?.makespan;
    let file = planned(&only_files, Policy::ServerOnly)?.makespan;
    let partition = planned(&full, Policy::PartitionOnly)?.makespan;
    let joint = planned(&full, Policy::Joint)?;
    let best = local.min(file).min(partition);
    let ms = |time: cutpoint_plan::units::Time| time.nanoseconds() as f64 / 1e6;
    let of_bytes = [Encoding::U8, Encoding::U8_ZSTD];
    let is_u8 = |costs: &&Vec<EncodingCost>| costs.iter().any(|c| of_bytes.contains(&c.encoding));
    println!(
        "| {} | {:.0} | {:.0} | {} of {} | {uplink_mbps} | {:.1} | {:.1} | {:.1} | {:.1} | {:.3} | {} |",
        measured.name,
        file_bytes as f64 / 1e3,
        tensor_bytes as f64 / 1e3,
        encodings.values().filter(is_u8).count(),
        measured.encodings.raw_bytes.len(),
        ms(local),
        ms(file),
        ms(partition),
        ms(joint.makespan),
        ms(best) / ms(joint.makespan),
        sent(&full, &joint),
    );
    Ok(joint.makespan <= best)
}

fn workload(
    measured: &Measured,
    encodings: &BTreeMap<String, Vec<EncodingCost>>,
    uplink_mbps: f64,
    args: &Args,
) -> anyhow::Result<Workload> {
    let whole_ms = measured.profile.whole.median_ms / args.device_fraction;
    let described = MeasuredModel {
        name: &measured.name,
        model: &measured.model,
        device_ms: &measured.profile.layers_ms(whole_ms),
        server: Some(&measured.profile),
        encodings,
        jobs: args.jobs,
    };
    let uplink =
        Bandwidth::from_mbit_per_s(uplink_mbps).context("--uplink-mbps is out of range")?;
    let round_trip = Time::from_milliseconds(args.rtt_ms).context("--rtt-ms is out of range")?;
    let link = Link { round_trip, ..Link::at(uplink) };
    Ok(measured_workload(&[described], link, 1)?)
}

/// The forms of the inputs if every picture is sent as its file, whatever that saves.
fn of_files(measured: &Measured, device_fraction: f64) -> BTreeMap<String, Vec<EncodingCost>> {
    let file = |name: &String| {
        let costs = measured.encodings.costs.get(name)?;
        let cost = costs.iter().find(|cost| cost.encoding == Encoding::FILE)?;
        let encode_ms = cost.encode_ms / device_fraction;
        Some((name.clone(), vec![EncodingCost { encode_ms, ..cost.clone() }]))
    };
    measured.pictures.iter().filter_map(file).collect()
}

/// The forms in which a plan sends tensors, each with how often.
fn sent(workload: &Workload, plan: &Plan) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (job, partition) in plan.partitions.iter().enumerate() {
        let tensors = &workload.models()[workload.jobs()[job].index()].tensors;
        for upload in &partition.uploads {
            let encodings = &tensors[upload.tensor.index()].encodings;
            let name = upload.encoding.map_or("raw", |chosen| encodings[chosen].name.as_str());
            *counts.entry(name).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return "nothing".to_owned();
    }
    let told: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    told.join(", ")
}
