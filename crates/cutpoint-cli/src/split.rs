//! `cutpoint split`: two ONNX files from one.

use crate::args::model::ModelArgs;
use cutpoint::encoding::Encoding;
use cutpoint::error::{Error, ErrorKind};
use cutpoint::onnx::{LayeredModel, NodeCut, Segment};
use cutpoint_plan::units::count;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The tensors that cross the cut, separated by commas. `cutpoint inspect` lists those of
    /// every cut between layers; any cut between two nodes will do.
    #[arg(long, value_name = "TENSOR", value_delimiter = ',', required_unless_present = "after")]
    at: Vec<String>,
    /// Cut after LAYERS layers instead. Takes several numbers, separated by commas: for each number,
    /// into OUT/NUMBER.
    #[arg(long, value_name = "LAYERS", value_delimiter = ',', conflicts_with = "at")]
    after: Vec<usize>,
    /// Write the steps that encode into the prefix and those that decode into the suffix, for every
    /// FP32 tensor that crosses the cut, or for the one named: f16, u8 or u8-channel. Repeatable; the
    /// last one that matches a tensor applies.
    #[arg(long, value_name = "[TENSOR=]ENCODING", value_parser = parse_encode)]
    encode: Vec<Encode>,
    /// The folder for prefix.onnx and suffix.onnx; created if it is missing.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

/// Which tensors are to cross in which encoding.
#[derive(Clone, Debug)]
struct Encode {
    /// `None` for every FP32 tensor.
    tensor: Option<String>,
    encoding: Encoding,
}

fn parse_encode(text: &str) -> Result<Encode, String> {
    let known = [Encoding::F16, Encoding::U8, Encoding::U8_CHANNEL];
    let (tensor, name) = match text.rsplit_once('=') {
        Some((tensor, name)) => (Some(tensor.to_owned()), name),
        None => (None, text),
    };
    let encoding = known.into_iter().find(|encoding| encoding.name() == name);
    let encoding = encoding.ok_or_else(|| {
        let known = known.map(Encoding::name).join(", ");
        format!("expected one of {known}, or TENSOR= before it")
    })?;
    Ok(Encode { tensor, encoding })
}

/// The encodings of the tensors that cross a cut.
fn encodings(
    layered: &LayeredModel,
    cut: &NodeCut,
    asked: &[Encode],
) -> BTreeMap<String, Encoding> {
    let fits = |name: &str, encoding: Encoding| {
        let Some(spec) = layered.layers().tensors.get(name) else { return false };
        // A range for each channel needs something behind the channels.
        let has_channels = encoding != Encoding::U8_CHANNEL || spec.shape.len() >= 3;
        encoding.takes(spec.element_type) && has_channels
    };
    let mut encodings = BTreeMap::new();
    for &Encode { ref tensor, encoding } in asked {
        let crossing = cut.frontier.iter().filter(|name| fits(name, encoding));
        let meant: Vec<&String> = match tensor {
            Some(tensor) => vec![tensor],
            None => crossing.collect(),
        };
        encodings.extend(meant.into_iter().map(|name| (name.clone(), encoding)));
    }
    encodings
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let layered = args.model.load_layers()?;
    if args.after.is_empty() {
        let cut = layered.cut_at(&whole_names(&layered, &args.at))?;
        write_parts(&layered, &cut, &args.encode, &args.output)?;
        return Ok(());
    }
    let boundaries = layered.boundaries();
    for count in &args.after {
        let boundary = boundaries.iter().find(|b| b.device_layers == *count).ok_or_else(|| {
            Error::new(ErrorKind::Cut, format!("no cut after {count} layers"))
                .hint("cutpoint inspect lists the cuts")
        })?;
        let cut = layered.cut_at(&boundary.frontier)?;
        write_parts(&layered, &cut, &args.encode, &args.output.join(count.to_string()))?;
    }
    Ok(())
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

fn write_parts(
    layered: &LayeredModel,
    cut: &NodeCut,
    encode: &[Encode],
    folder: &Path,
) -> anyhow::Result<()> {
    let encodings = encodings(layered, cut, encode);
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::File, format!("cannot be written: {e}")).at(folder.display())
    };
    fs::create_dir_all(folder).map_err(failed)?;
    // Both files are complete before either has its name.
    let stage = |segment: Segment| -> std::io::Result<tempfile::NamedTempFile> {
        let mut file = crate::files::temporary(folder)?;
        file.write_all(&segment.onnx)?;
        Ok(file)
    };
    let prefix = stage(layered.encoded_prefix(cut, &encodings)?).map_err(failed)?;
    let suffix = stage(layered.encoded_suffix(cut, &encodings)?).map_err(failed)?;
    prefix.persist(folder.join("prefix.onnx")).map_err(|e| failed(e.error))?;
    suffix.persist(folder.join("suffix.onnx")).map_err(|e| failed(e.error))?;
    let (size, names) = (cut.frontier.len(), cut.frontier.join(","));
    log::info!("{}: {} at the cut: {names}", folder.display(), count(size, "tensor"));
    Ok(())
}
