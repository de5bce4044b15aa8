//! The arguments of every command that reads a model.

use cutpoint::error::Result;
use cutpoint::onnx::{Model, ReadOptions};
use std::path::PathBuf;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// The ONNX file.
    pub(crate) model: PathBuf,
    /// The shape of an input, instead of the one in the file. Needed where the file leaves a
    /// dimension open, except the first one, which is then 1. Repeatable.
    #[arg(long = "shape", value_name = "NAME=1x3x224x224", value_parser = parse_shape)]
    pub(crate) shapes: Vec<(String, Vec<usize>)>,
}

impl ModelArgs {
    pub(crate) fn load(&self) -> Result<Model> {
        Model::load(&self.model, &self.options())
    }

    pub(crate) fn options(&self) -> ReadOptions {
        ReadOptions { shapes: self.shapes.iter().cloned().collect() }
    }
}

/// An input's name and shape.
pub(crate) fn parse_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let parse = || {
        let (name, dims) = text.rsplit_once('=')?;
        let dims: Option<Vec<usize>> =
            dims.split('x').map(|dim| dim.parse().ok().filter(|&d| d > 0)).collect();
        Some((name.to_owned(), dims?)).filter(|(name, _)| !name.is_empty())
    };
    parse().ok_or_else(|| "expected NAME=DIM or NAME=DIMxDIM..., each at least 1".to_owned())
}
