//! Arguments of every command that reads a model.

use super::engine::EngineArgs;
use super::values;
use cutpoint::config::ModelConfig;
use cutpoint::error::Result;
use cutpoint::onnx::{LayeredModel, OnnxModel};
use std::path::PathBuf;

/// Flattened into the subcommands that look at one model with an engine.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// The ONNX file.
    pub(crate) model: PathBuf,

    #[command(flatten)]
    shapes: ShapeArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

impl ModelArgs {
    pub(crate) fn load(&self) -> Result<OnnxModel> {
        self.shapes.model(&self.model).load()
    }

    /// The model with its layers, which the engine helps to learn.
    pub(crate) fn load_layers(&self) -> Result<LayeredModel> {
        let (engine, _) = self.engine.select()?;
        self.load()?.into_layers(&*engine)
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ShapeArgs {
    /// The shape of an input, for every model that has an input of this name; replaces the one in the
    /// file. Needed if the file leaves a dimension open, except the first, which is then 1.
    /// Repeatable.
    #[arg(long = "shape", value_name = "NAME=1x3x224x224", value_parser = values::shape)]
    pub(crate) shapes: Vec<(String, Vec<usize>)>,
}

impl ShapeArgs {
    /// A model with these shapes.
    pub(crate) fn model(&self, path: &std::path::Path) -> ModelConfig {
        let shapes = self.shapes.iter().cloned().collect();
        ModelConfig { path: path.to_owned(), shapes, ..ModelConfig::default() }
    }
}
