//! Which frames a run works on, as the user names them.

use crate::error::{Error, ErrorKind, Result};
use crate::input::{ImageOptions, Input, Inputs, read_image, read_npy};
use crate::onnx::OnnxModel;
use crate::tensor::{Tensor, TensorSpec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The inputs of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Made from a seed.
    Synthetic(u64),
    /// One file for the only input.
    File(PathBuf),
    /// A file for each input, by name.
    Files(BTreeMap<String, PathBuf>),
}

/// The frames that arguments name: `synthetic:N` stands for N synthetic frames, `a=x.npy,b=y.npy` for
/// one job of a model with several inputs, anything else is a file or a glob pattern.
///
/// # Errors
/// [`ErrorKind::Usage`] if an argument stands for nothing.
pub fn parse_frames(arguments: &[String]) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    for argument in arguments {
        let misuse = |m: &str| Error::new(ErrorKind::Usage, m).at(format!("input {argument:?}"));
        if let Some(count) = argument.strip_prefix("synthetic:") {
            let count: u64 = count.parse().map_err(|_| misuse("expected synthetic:COUNT"))?;
            let first = frames.len() as u64;
            frames.extend((first..first + count.min(1_000_000)).map(Frame::Synthetic));
        } else if Path::new(argument).exists() {
            frames.push(Frame::File(argument.into()));
        } else if argument.contains('=') {
            let pairs = argument.split(',').map(|pair| pair.split_once('='));
            let files = pairs.map(|p| p.map(|(n, f)| (n.to_owned(), PathBuf::from(f))));
            let files: Option<_> = files.collect();
            frames.push(Frame::Files(files.ok_or_else(|| misuse("expected NAME=FILE,NAME=FILE"))?));
        } else {
            let found =
                glob::glob(argument).map_err(|e| misuse("not a file or pattern").because(e))?;
            let mut found: Vec<PathBuf> = found.filter_map(std::result::Result::ok).collect();
            found.sort();
            if found.is_empty() {
                return Err(misuse("no such file, and no file matches it"));
            }
            frames.extend(found.into_iter().map(Frame::File));
        }
    }
    Ok(frames)
}

impl Frame {
    /// As [`Frame::load`], but a frame that cannot be loaded gives inputs that say why: its job
    /// fails, and no other does.
    pub fn load_or_fail_later(&self, model: &OnnxModel, image: &ImageOptions) -> Inputs {
        self.load(model, image).unwrap_or_else(|error| {
            let error = Arc::new(error);
            let unusable =
                |(name, _): &(String, TensorSpec)| (name.clone(), Input::Unusable(error.clone()));
            model.inputs().iter().map(unusable).collect()
        })
    }

    /// Loads the frame as inputs of a model. Pictures are not decoded yet.
    ///
    /// # Errors
    /// [`ErrorKind::File`] and [`ErrorKind::Input`], naming the file and what was expected.
    pub fn load(&self, model: &OnnxModel, image: &ImageOptions) -> Result<Inputs> {
        let specs = model.inputs();
        match self {
            Frame::Synthetic(seed) => {
                let made = model.synthetic_inputs(*seed).into_iter();
                Ok(made.map(|(name, tensor)| (name, tensor.into())).collect())
            }
            Frame::File(path) => match specs {
                [(name, spec)] => Ok([(name.clone(), load_file(path, name, spec, image)?)].into()),
                _ => {
                    let names: Vec<_> = specs.iter().map(|(n, _)| format!("{n}=FILE")).collect();
                    let message = format!("the model has {} inputs, found one file", specs.len());
                    let hint = format!("name a file for each: {}", names.join(","));
                    Err(Error::new(ErrorKind::Input, message).at(path.display()).hint(hint))
                }
            },
            Frame::Files(files) => {
                let unknown = files.keys().find(|n| specs.iter().all(|(name, _)| name != *n));
                if let Some(name) = unknown {
                    let names: Vec<_> = specs.iter().map(|(n, _)| n.as_str()).collect();
                    let message = format!("the model has no input {name:?}, only {names:?}");
                    return Err(Error::new(ErrorKind::Input, message));
                }
                specs
                    .iter()
                    .map(|(name, spec)| {
                        let path = files.get(name).ok_or_else(|| {
                            Error::new(ErrorKind::Input, format!("no file for input {name:?}"))
                        })?;
                        Ok((name.clone(), load_file(path, name, spec, image)?))
                    })
                    .collect()
            }
        }
    }
}

fn load_file(path: &Path, name: &str, spec: &TensorSpec, image: &ImageOptions) -> Result<Input> {
    if path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("npy")) {
        let picture = read_image(path, &spec.shape, spec.element_type, image)?;
        return Ok(Input::Picture(Arc::new(picture)));
    }
    let tensor = read_npy(path)?;
    let is_frame_of_batch = spec.shape.first() == Some(&1) && spec.shape[1..] == *tensor.shape();
    if tensor.element_type() != spec.element_type
        || !(tensor.shape() == spec.shape || is_frame_of_batch)
    {
        let message = format!(
            "input {name:?} takes {} {:?}, found {} {:?}",
            spec.element_type.protocol_name(),
            spec.shape,
            tensor.element_type().protocol_name(),
            tensor.shape()
        );
        return Err(Error::new(ErrorKind::Input, message).at(path.display()));
    }
    Tensor::new(spec.element_type, spec.shape.clone(), tensor.bytes().clone()).map(Input::Tensor)
}
