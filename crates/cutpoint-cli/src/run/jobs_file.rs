//! `jobs.toml`: several models and their inputs in one file.
//!
//! ```toml
//! server = "10.0.0.2:7070"            # or "local" for none
//! [[jobs]]
//! model  = "detector.onnx"
//! inputs = "frames/*.jpg"             # or a list; images, .npy, synthetic:COUNT
//! image  = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225], layout = "nchw" }
//! shapes = { x = [1, 3, 320, 320] }   # for inputs whose shape the model leaves open
//! ```
//!
//! Paths are relative to the file.

use crate::args::model::ModelArgs;
use cutpoint::error::{Error, ErrorKind, Result};
use cutpoint::frames::{Frame, FrameOptions, ImageLayout, ImageOptions, parse_frames};
use cutpoint::onnx::Model;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No file that a person wrote is larger than this.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The most entries of a file.
const ENTRIES_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobsFile {
    server: Option<String>,
    #[serde(default)]
    jobs: Vec<EntryFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    model: PathBuf,
    inputs: OneOrMany,
    #[serde(default)]
    image: ImageFile,
    #[serde(default)]
    shapes: BTreeMap<String, Vec<usize>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageFile {
    size: Option<[usize; 2]>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    layout: Option<String>,
}

/// A jobs file, its paths resolved.
#[derive(Debug)]
pub(super) struct Jobs {
    /// Where the server is, if the file says so.
    pub(super) server: Option<String>,
    /// In the order of the file; never empty.
    pub(super) entries: Vec<JobsEntry>,
}

/// Jobs of one model.
#[derive(Debug)]
pub(super) struct JobsEntry {
    pub(super) model: ModelArgs,
    pub(super) frames: Vec<Frame>,
    pub(super) options: FrameOptions,
    /// Height and width that pictures are said to have in the model.
    size: Option<[usize; 2]>,
}

impl JobsEntry {
    /// Jobs of a model that the command line names.
    pub(super) fn new(model: ModelArgs, frames: Vec<Frame>, options: FrameOptions) -> JobsEntry {
        JobsEntry { model, frames, options, size: None }
    }

    /// Whether another entry is of the same model and loads its inputs alike.
    pub(super) fn is_like(&self, other: &JobsEntry) -> bool {
        self.model.model == other.model.model
            && self.model.shapes == other.model.shapes
            && self.options == other.options
            && self.size == other.size
    }

    /// Whether the model takes pictures of the size that the file names.
    ///
    /// # Errors
    /// [`ErrorKind::Input`], naming both sizes.
    pub(super) fn check_size(&self, model: &Model) -> Result<()> {
        let Some([height, width]) = self.size else { return Ok(()) };
        let sides = |shape: &[usize]| match (shape, self.options.image.layout) {
            ([_, h, w, 1 | 3], Some(ImageLayout::Nhwc)) => Some([*h, *w]),
            ([_, 1 | 3, h, w], _) | ([_, h, w, 1 | 3], None) => Some([*h, *w]),
            _ => None,
        };
        let found: Vec<[usize; 2]> =
            model.inputs().iter().filter_map(|(_, spec)| sides(&spec.shape)).collect();
        if found.contains(&[height, width]) {
            return Ok(());
        }
        let message = format!(
            "pictures are to be {height} x {width} (height x width), the model takes {found:?}"
        );
        Err(Error::new(ErrorKind::Input, message)
            .at(self.model.model.display())
            .hint("leave size out, or give the input another shape with shapes = { NAME = [..] }"))
    }
}

/// Whether a command-line argument names a jobs file and not a model.
pub(super) fn is_jobs_file(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"))
}

/// Reads a jobs file.
///
/// # Errors
/// [`ErrorKind::File`] if it cannot be read, [`ErrorKind::Usage`] if it says something that it
/// must not, with the place.
pub(super) fn read_jobs_file(path: &Path) -> Result<Jobs> {
    let at = |error: Error| error.at(path.display());
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|e| at(Error::new(ErrorKind::File, format!("cannot be read: {e}"))))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("more than {FILE_BYTES_MAX} bytes, too large for a jobs file");
        return Err(at(Error::new(ErrorKind::File, message)));
    }
    parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(at)
}

fn parse(text: &str, folder: &Path) -> Result<Jobs> {
    let usage = |message: String| Error::new(ErrorKind::Usage, message);
    let file: JobsFile = toml::from_str(text).map_err(|e| usage(e.to_string()))?;
    if file.jobs.is_empty() {
        return Err(usage("no jobs".into()).hint("add [[jobs]] with model = and inputs ="));
    }
    if file.jobs.len() > ENTRIES_MAX {
        return Err(usage(format!("{} entries, at most {ENTRIES_MAX}", file.jobs.len())));
    }
    let entry = |(i, entry): (usize, EntryFile)| {
        resolve(entry, folder).map_err(|e| e.at(format!("jobs[{i}]")))
    };
    let entries = file.jobs.into_iter().enumerate().map(entry).collect::<Result<_>>()?;
    Ok(Jobs { server: file.server, entries })
}

fn resolve(entry: EntryFile, folder: &Path) -> Result<JobsEntry> {
    let usage = |message: &str| Error::new(ErrorKind::Usage, message);
    let is_finite = |values: &[f32; 3]| values.iter().all(|v| v.is_finite());
    let ImageFile { size, mean, std, layout } = entry.image;
    let (mean, std) = (mean.unwrap_or([0.0; 3]), std.unwrap_or([1.0; 3]));
    if !is_finite(&mean) {
        return Err(usage("image.mean: expected three numbers"));
    }
    if !is_finite(&std) || std.iter().any(|&v| v <= 0.0) {
        return Err(usage("image.std: expected three numbers above 0"));
    }
    let layout = layout.map(|name| name.to_ascii_lowercase().parse::<ImageLayout>()).transpose();
    let layout = layout.map_err(|_| usage("image.layout: expected \"nchw\" or \"nhwc\""))?;
    if entry.shapes.values().any(|shape| shape.contains(&0)) {
        return Err(usage("shapes: every dimension is at least 1"));
    }
    let inputs = match entry.inputs {
        OneOrMany::One(input) => vec![input],
        OneOrMany::Many(inputs) => inputs,
    };
    let inputs: Vec<String> = inputs.iter().map(|input| beside(folder, input)).collect();
    let frames = parse_frames(&inputs)?;
    if frames.is_empty() {
        return Err(usage("inputs: there are none"));
    }
    Ok(JobsEntry {
        model: ModelArgs {
            model: folder.join(entry.model),
            shapes: entry.shapes.into_iter().collect(),
        },
        frames,
        options: FrameOptions { image: ImageOptions { layout, mean, std } },
        size,
    })
}

/// An input argument with its files taken from the folder of the jobs file.
fn beside(folder: &Path, input: &str) -> String {
    let join = |file: &str| folder.join(file).to_string_lossy().into_owned();
    if input.starts_with("synthetic:") {
        return input.to_owned();
    }
    let pairs: Option<Vec<(&str, &str)>> = input.split(',').map(|p| p.split_once('=')).collect();
    match pairs {
        Some(pairs) if !folder.join(input).exists() => {
            let named = pairs.iter().map(|(name, file)| format!("{name}={}", join(file)));
            named.collect::<Vec<_>>().join(",")
        }
        _ => join(input),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_paths_beside_the_file() {
        let text = r#"
            server = "local"
            [[jobs]]
            model = "a.onnx"
            inputs = ["synthetic:2", "x=one.npy,y=two.npy"]
            image = { size = [224, 320], mean = [0.5, 0.5, 0.5], layout = "NHWC" }
            shapes = { x = [1, 3, 8, 8] }
        "#;
        let jobs = parse(text, Path::new("data")).unwrap();
        assert_eq!(jobs.server.as_deref(), Some("local"));
        let entry = &jobs.entries[0];
        assert_eq!(entry.model.model, Path::new("data/a.onnx"));
        assert_eq!(entry.model.shapes, [("x".to_owned(), vec![1, 3, 8, 8])]);
        assert_eq!(entry.frames.len(), 3);
        let files = [("x", "data/one.npy"), ("y", "data/two.npy")];
        let files = files.map(|(name, file)| (name.to_owned(), PathBuf::from(file)));
        assert_eq!(entry.frames[2], Frame::Files(files.into()));
        assert_eq!(entry.options.image.layout, Some(ImageLayout::Nhwc));
        assert_eq!(entry.size, Some([224, 320]));
    }

    #[test]
    fn what_a_file_must_not_say_is_refused_with_its_place() {
        let entry = |more: &str| {
            format!("[[jobs]]\nmodel = \"a.onnx\"\ninputs = \"synthetic:1\"\n{more}\n")
        };
        let cases = [
            (String::new(), "no jobs"),
            ("[[jobs]]\nmodel = \"a.onnx\"\n".into(), "inputs"),
            (entry("imagge = {}"), "imagge"),
            (entry("image = { std = [1.0, 0.0, 1.0] }"), "image.std"),
            (entry("image = { layout = \"chw\" }"), "image.layout"),
            (entry("shapes = { x = [0] }"), "shapes"),
            (entry("").replace("synthetic:1", "no/such/*.jpg"), "jobs[0]"),
            (entry("").replace("synthetic:1", "synthetic:0"), "there are none"),
            ("server = 3".into(), "server"),
        ];
        for (text, expected) in cases {
            let error = format!("{:?}", parse(&text, Path::new("")).unwrap_err());
            let shown = parse(&text, Path::new("")).unwrap_err().to_string();
            assert!(error.contains(expected) || shown.contains(expected), "{text}: {shown}");
        }
    }
}
