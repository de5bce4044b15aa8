//! Arguments of every command that reads a model.

use cutpoint::config::ModelConfig;
use cutpoint::error::Result;
use cutpoint::onnx::OnnxModel;
use std::path::PathBuf;

/// An input's name and shape.
pub(crate) type Shape = (String, Vec<usize>);

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// The ONNX file.
    pub(crate) model: PathBuf,

    #[command(flatten)]
    shapes: ShapeArgs,
}

impl ModelArgs {
    pub(crate) fn load(&self) -> Result<OnnxModel> {
        self.shapes.model(&self.model).load()
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ShapeArgs {
    /// The shape of an input, instead of the one in the file; holds for every model that has an
    /// input of this name. Needed where the file leaves a dimension open, except the first one, which
    /// is then 1. Repeatable.
    #[arg(long = "shape", value_name = "NAME=1x3x224x224", value_parser = parse_shape)]
    pub(crate) shapes: Vec<Shape>,
}

impl ShapeArgs {
    /// A model with these shapes.
    pub(crate) fn model(&self, path: &std::path::Path) -> ModelConfig {
        let shapes = self.shapes.iter().cloned().collect();
        ModelConfig { path: path.to_owned(), shapes, ..ModelConfig::default() }
    }
}

fn parse_shape(text: &str) -> Result<Shape, String> {
    let parse = || {
        let (name, dims) = text.rsplit_once('=')?;
        let dims: Option<Vec<usize>> =
            dims.split('x').map(|dim| dim.parse().ok().filter(|&d| d > 0)).collect();
        Some((name.to_owned(), dims?)).filter(|(name, _)| !name.is_empty())
    };
    parse().ok_or_else(|| "expected NAME=DIM or NAME=DIMxDIM..., each at least 1".to_owned())
}
