//! `cutpoint profile`: measures models on both sides, and the link, and writes workload.json.

use crate::args::connect::ConnectArgs;
use crate::args::device;
use crate::args::encoding::EncodingArgs;
use crate::args::engine::EngineArgs;
use crate::args::image::ImageArgs;
use crate::args::model::{ModelArgs, parse_shape};
use crate::files::write_whole;
use crate::measurement;
use cutpoint::device::SpeedFraction;
use cutpoint::error::Error;
use cutpoint::frames::{Frame, parse_frames};
use cutpoint::input::{Inputs, Supply};
use cutpoint::session::{DeviceSide, EncodingRequest, ProfileRequest, RehearsalOptions};
use cutpoint_plan::format::write_workload;
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::workload::{ModelId, Workload};
use std::path::PathBuf;
use std::process::ExitCode;

/// How many made frames encodings are measured on where the user names none.
const SYNTHETIC_FRAMES: u64 = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ONNX models; the workload has jobs of each, in this order.
    #[arg(required = true)]
    models: Vec<PathBuf>,

    /// Where workload.json goes; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    /// How many jobs of each model the workload has.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    jobs: usize,

    /// The shape of an input, instead of the one in the file; it holds for every model that has
    /// an input of this name. Repeatable.
    #[arg(long = "shape", value_name = "NAME=1x3x224x224", value_parser = parse_shape)]
    shapes: Vec<(String, Vec<usize>)>,

    /// The device's speed as a fraction of this machine's.
    #[arg(long, value_name = "FRACTION", default_value = "1", value_parser = device::parse_speed)]
    device_fraction: SpeedFraction,

    /// Execute so many jobs of each model on both sides together, and scale the layers' times to what
    /// they took. Needs a server.
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

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (engine, options) = args.engine.select()?;
    let models = args
        .models
        .iter()
        .map(|path| {
            let model = ModelArgs { model: path.clone(), shapes: args.shapes.clone() };
            device::load(&model, &*engine)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let jobs = vec![args.jobs; models.len()];
    let client = args.connect.connect()?;
    if client.is_none() {
        log::warn!("no --server: server times and the link are unknown, nothing will be offloaded");
    }
    let speed = args.device_fraction;
    let frames = match args.inputs.is_empty() {
        true => (0..SYNTHETIC_FRAMES).map(Frame::Synthetic).collect(),
        false => parse_frames(&args.inputs)?,
    };
    // Without a server nobody sends anything, unless the user means to fill in the link.
    let is_asked = client.is_some() || !args.inputs.is_empty() || args.encoding.is_given();
    let encodings = match is_asked {
        true => {
            let how = args.image.options();
            let same = vec![(frames.as_slice(), &how); models.len()];
            args.encoding.options(&models, &same)
        }
        false => None,
    };
    let runner = DeviceSide { engine, options, speed, models, client, replans: false };
    let request = ProfileRequest {
        jobs,
        encodings: encodings.as_ref().map(|measured_on| EncodingRequest {
            budget: measured_on.budget,
            inputs: measured_on.inputs.iter().map(|inputs| inputs as &dyn Supply).collect(),
            without_server: true,
        }),
        ..ProfileRequest::default()
    };
    let measurement = runner.measure(&request)?;
    measurement::report(&runner, &measurement);
    let mut text = Vec::new();
    write_workload(&measurement.workload, &mut text)?;
    if args.rehearse > 0 && runner.client.is_some() {
        text.clear();
        write_workload(&rehearsed(&runner, &measurement.workload, args.rehearse)?, &mut text)?;
    }
    write_whole(&args.output, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The workload with the times of a rehearsal of so many jobs of each model.
fn rehearsed(runner: &DeviceSide, workload: &Workload, count: usize) -> Result<Workload, Error> {
    let of_each = |m: usize| std::iter::repeat_n(ModelId::at(m), count);
    let jobs: Vec<ModelId> = (0..workload.models.len()).flat_map(of_each).collect();
    let input = |(seed, of): (usize, &ModelId)| -> Inputs {
        let name = &workload.models[of.index()].name;
        let model = runner.models.iter().find(|model| model.name == *name);
        let model = model.expect("the workload was measured on these models").model.model();
        model.synthetic_inputs(seed as u64).into_iter().map(|(n, t)| (n, t.into())).collect()
    };
    let inputs: Vec<Inputs> = jobs.iter().enumerate().map(input).collect();
    let few = Workload { jobs, ..workload.clone() };
    let options = PlanOptions::at(Granularity::Layer);
    let how = RehearsalOptions {
        jobs: few.jobs.len(),
        policy: Policy::Joint,
        plan: options,
        on_outputs: &|_, _| (),
    };
    let rehearsed = runner.rehearse(&few, &how, &inputs)?.workload;
    Ok(Workload { jobs: workload.jobs.clone(), ..rehearsed })
}
