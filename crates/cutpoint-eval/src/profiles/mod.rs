//! Layer times of models on this machine, measured once and kept in `testdata/profiles`, so that every
//! simulated table and figure can be computed again anywhere.
//!
//! A profile is a workload of one job: each layer's time on one core, the same for device and
//! server, sizes of tensors, raw and in encodings. `cutpoint profile` measures it; the table's
//! setting says later how slow the device is and what the link carries.

mod compact;
mod jpeg;
mod set;

pub(crate) use jpeg::JPEG;
pub(crate) use set::{About, Profiles};

use crate::origin;
use crate::subject::Subject;
use anyhow::Context;
use cutpoint::engine::select::{EngineChoice, SelectOptions, select};
use cutpoint::zoo::Network;
use cutpoint_plan::format::read_workload_builder;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{Link, WorkloadBuilder};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Measure models on one core of this machine and keep the profiles for tables and figures.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Networks of the zoo, or ONNX files, each with the shapes of its inputs if they are open:
    /// FILE.onnx:NAME=1x3x320x320. Without any, the whole zoo.
    models: Vec<Subject>,

    /// JPEG files of pictures to measure encodings on, in the size that a camera would send; models
    /// that take no picture see synthetic frames. Repeatable.
    #[arg(long, value_name = "FILE")]
    photos: Vec<PathBuf>,

    /// Which encodings are kept: those under which the outputs stay within these bounds.
    #[arg(long, value_name = "BOUNDS", default_value = "cosine=0.99")]
    accuracy: String,

    /// auto, rten, onnxruntime, or onnxruntime:LIBRARY.
    #[arg(long, default_value_t = EngineChoice::Auto)]
    engine: EngineChoice,

    /// A remark that is kept with the profiles, for example about other work on the machine.
    #[arg(long, default_value = "")]
    note: String,

    /// The program `cutpoint`; without it, the one beside this program.
    #[arg(long, value_name = "FILE")]
    cutpoint: Option<PathBuf>,

    /// The folder of the profiles; those of other models in it stay.
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = args.output.clone().unwrap_or_else(set::default_folder);
    std::fs::create_dir_all(&folder)?;
    let scratch = tempfile::tempdir()?;
    let zoo = Network::ALL.map(Subject::Network);
    let subjects = if args.models.is_empty() { &zoo[..] } else { &args.models };
    let engine = select(&args.engine, &SelectOptions::default())?.name();
    for subject in subjects {
        let name = subject.name();
        let load = origin::load();
        let (file, whole_ms) =
            measure(subject, args, scratch.path()).with_context(|| name.clone())?;
        let about = About {
            commit: origin::commit(),
            machine: origin::machine(),
            engine: engine.clone(),
            threads: 1,
            load_average: load,
            accuracy: args.accuracy.clone(),
            photos: args.photos.len(),
            whole_ms,
            note: args.note.clone(),
        };
        set::store(&folder, &name, &compact::write(&file), about)?;
        println!("{name}: {whole_ms:.2} ms");
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `cutpoint profile` on one core and brings what it writes into the form of a profile.
fn measure(
    subject: &Subject,
    args: &Args,
    scratch: &Path,
) -> anyhow::Result<(WorkloadBuilder, f64)> {
    let plain = profile(subject, args, scratch, &[])?;
    let model = plain.models.first().context("the profile has no model")?;
    let inputs = jpeg::inputs(model, &args.photos);
    let mut file = match inputs.is_empty() {
        true => plain,
        false => profile(subject, args, scratch, &inputs)?,
    };
    let mut whole = Time::ZERO;
    for model in &mut file.models {
        for layer in &mut model.layers {
            whole += layer.device;
            layer.device = rounded(layer.device);
            layer.server = layer.device;
        }
        let written = model.layers.iter_mut().flat_map(|layer| &mut layer.writes);
        let sizes = written.chain(&mut model.inputs);
        for form in sizes.flat_map(|(_, size)| &mut size.encodings) {
            (form.encode, form.decode) = (rounded(form.encode), rounded(form.decode));
        }
    }
    // What is kept must be a workload that can be planned.
    file.clone().build()?;
    Ok((file, whole.milliseconds()))
}

/// To 100 ns.
fn rounded(time: Time) -> Time {
    Time::from_nanoseconds((time.nanoseconds() + 50) / 100 * 100)
}

/// A workload of one job as `cutpoint profile` measures it, renamed to the subject.
fn profile(
    subject: &Subject,
    args: &Args,
    scratch: &Path,
    inputs: &[String],
) -> anyhow::Result<WorkloadBuilder> {
    let output = scratch.join("workload.json");
    let mut command = Command::new(crate::program::sibling("cutpoint", args.cutpoint.as_deref())?);
    command.arg("profile").args(subject.arguments(scratch)?).arg("-o").arg(&output);
    command.args(["--threads", "1", "--engine", &args.engine.to_string()]);
    // Without a picture the first pass is there for names and sizes, and synthetic frames do.
    command.args(["--accuracy", &args.accuracy]);
    inputs.iter().for_each(|input| {
        command.args(["--inputs", input]);
    });
    let status = command.stdin(Stdio::null()).status().context("cutpoint does not start")?;
    anyhow::ensure!(status.success(), "cutpoint profile failed ({status})");
    let mut file = read_workload_builder(&std::fs::read(&output)?)?;
    file.models.truncate(1);
    file.models.iter_mut().for_each(|model| model.name = subject.name());
    file.jobs.iter_mut().for_each(|jobs| jobs.model = subject.name());
    file.link = Link { downlink: file.link.downlink, ..Link::at(file.link.uplink) };
    Ok(file)
}
