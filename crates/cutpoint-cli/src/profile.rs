//! `cutpoint profile`: measures models on both sides, and the link, and writes workload.json.

use crate::args::connect::ConnectArgs;
use crate::args::encoding::EncodingArgs;
use crate::args::engine::EngineArgs;
use crate::args::image::ImageArgs;
use crate::args::model::ShapeArgs;
use crate::args::values;
use crate::files::write_whole;
use crate::setup;
use cutpoint::SpeedFraction;
use cutpoint::config::{Config, ModelConfig, ModelJobs};
use cutpoint::frames::{Frame, parse_frames};
use std::path::PathBuf;

/// How many synthetic frames encodings are measured on if the user names no inputs.
const SYNTHETIC_FRAMES: u64 = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ONNX models; the workload has jobs of each, in this order.
    #[arg(required = true)]
    models: Vec<PathBuf>,

    /// Where workload.json goes; - for standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    /// How many jobs of each model the workload has.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    jobs: usize,

    #[command(flatten)]
    shapes: ShapeArgs,

    /// The device's speed as a fraction of this machine's.
    #[arg(long, value_name = "FRACTION", default_value = "1", value_parser = values::speed)]
    device_fraction: SpeedFraction,

    /// Execute COUNT jobs of each model on both sides together and scale the layer times to the
    /// result. Needs a server.
    #[arg(long, value_name = "COUNT", requires = "server", default_value_t = 0)]
    rehearse: usize,

    /// Measure encodings on these instead of synthetic frames: JPEG or PNG files, .npy files, glob
    /// patterns. Repeatable; they must fit every model.
    #[arg(long, value_name = "FILE")]
    inputs: Vec<String>,

    #[command(flatten)]
    encoding: EncodingArgs,

    #[command(flatten)]
    image: ImageArgs,

    #[command(flatten)]
    engine: EngineArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let mut config = Config::default();
    args.engine.apply(&mut config.device);
    args.connect.apply(&mut config.server);
    config.device.fraction = args.device_fraction;
    if config.server.address().is_none() {
        log::warn!("no --server: server times and the link are unknown, nothing will be offloaded");
    }
    let frames = match args.inputs.is_empty() {
        true => (0..SYNTHETIC_FRAMES).map(Frame::Synthetic).collect(),
        false => parse_frames(&args.inputs)?,
    };
    let of_model = |path: &PathBuf| {
        let model = ModelConfig { image: args.image.config(), ..args.shapes.model(path) };
        ModelJobs { model, frames: frames.clone() }
    };
    let models: Vec<ModelJobs> = args.models.iter().map(of_model).collect();
    let session = setup::open(&config, models.iter().map(|of| &of.model), false)?;
    // Without a server nobody sends anything, unless the user means to fill in the link.
    let without_server = !args.inputs.is_empty() || args.encoding.is_given();
    let counts = vec![args.jobs; models.len()];
    let mut profile = setup::measure(&session, &models, counts, &args.encoding, without_server)?;
    if args.rehearse > 0 && session.has_server() {
        profile = session.rehearse_profile(&profile, args.rehearse)?;
    }
    Ok(write_whole(&args.output, profile.to_json().as_bytes())?)
}
