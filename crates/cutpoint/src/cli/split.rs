//! `cutpoint split`: two ONNX files from one.

use super::engine_args::EngineArgs;
use super::source_args::ModelArgs;
use crate::error::{Error, ErrorKind};
use crate::onnx::{LayeredModel, NodeCut, Segment};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// The tensors that cross the cut, separated by commas. `cutpoint inspect` lists those of
    /// every cut between layers; any cut between two nodes will do.
    #[arg(long, value_name = "TENSOR", value_delimiter = ',', required_unless_present = "after")]
    at: Vec<String>,
    /// Instead: cut after so many layers, for each number given, into OUT/NUMBER.
    #[arg(long, value_name = "LAYERS", value_delimiter = ',', conflicts_with = "at")]
    after: Vec<usize>,
    /// The folder for prefix.onnx and suffix.onnx; made if it is not there.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (engine, _) = args.engine.select()?;
    let layered = args.model.load()?.into_layers(engine.as_ref())?;
    if args.after.is_empty() {
        let cut = layered.cut_at(&whole_names(&layered, &args.at))?;
        write_parts(&layered, &cut, &args.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let boundaries = layered.boundaries();
    for count in &args.after {
        let boundary = boundaries.iter().find(|b| b.device_layers == *count).ok_or_else(|| {
            Error::new(ErrorKind::Cut, format!("there is no cut after {count} layers"))
                .hint("cutpoint inspect lists the cuts")
        })?;
        let cut = layered.cut_at(&boundary.frontier)?;
        write_parts(&layered, &cut, &args.output.join(count.to_string()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The names meant by a list that was split at every comma, though names may hold commas.
fn whole_names(layered: &LayeredModel, pieces: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = pieces;
    while !rest.is_empty() {
        let length = (1..=rest.len())
            .find(|&length| layered.layers().tensors.contains_key(&rest[..length].join(",")))
            .unwrap_or(1);
        names.push(rest[..length].join(","));
        rest = &rest[length..];
    }
    names
}

fn write_parts(layered: &LayeredModel, cut: &NodeCut, folder: &Path) -> anyhow::Result<()> {
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::File, format!("cannot be written: {e}")).at(folder.display())
    };
    fs::create_dir_all(folder).map_err(failed)?;
    // Both files are complete before either has its name.
    let stage = |segment: Segment| -> std::io::Result<tempfile::NamedTempFile> {
        let mut file = super::output::temporary(folder)?;
        file.write_all(&segment.onnx)?;
        Ok(file)
    };
    let prefix = stage(layered.prefix(cut)?).map_err(failed)?;
    let suffix = stage(layered.suffix(cut)?).map_err(failed)?;
    prefix.persist(folder.join("prefix.onnx")).map_err(|e| failed(e.error))?;
    suffix.persist(folder.join("suffix.onnx")).map_err(|e| failed(e.error))?;
    let (size, names) = (cut.frontier.len(), cut.frontier.join(","));
    log::info!("{}: {size} tensors cross the cut: {names}", folder.display());
    Ok(())
}
