//! A model as a program names it.

use crate::error::{Error, ErrorKind, Result};
use crate::frames::Frame;
use crate::input::ImageOptions;
use crate::input::Inputs;
use crate::onnx::{self, ReadOptions};
use crate::tensor::TensorSpec;
use bytes::Bytes;
use std::path::Path;

/// An ONNX model with a name.
///
/// ```
/// use cutpoint::Model;
/// use cutpoint::zoo::Network;
///
/// // Model::load("squeezenet.onnx")? reads a file; this one is made here.
/// let model = Model::from_bytes("squeezenet", Network::SqueezeNet.to_onnx(1), &[])?;
/// assert_eq!(model.inputs()[0].0, "data");
/// assert_eq!(model.inputs()[0].1.shape, [1, 3, 224, 224]);
/// assert_eq!(model.outputs().collect::<Vec<_>>(), ["logits"]);
/// # Ok::<(), cutpoint::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) name: String,
    pub(super) onnx: onnx::OnnxModel,
}

impl Model {
    /// Reads a model and its external data. Its name is the file's without the ending. A dimension
    /// that the file leaves open is taken as 1 if it is the first of its input.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if a file cannot be read; [`ErrorKind::Model`] if it holds no model that
    /// can be used; [`ErrorKind::Input`] if another dimension is open.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Model::load_with_shapes(path, &[])
    }

    /// As [`Model::load`], with the shapes of some inputs instead of those in the file.
    ///
    /// # Errors
    /// As [`Model::load`]; [`ErrorKind::Input`] if a shape does not fit its input.
    pub fn load_with_shapes(path: impl AsRef<Path>, shapes: &[(&str, &[usize])]) -> Result<Model> {
        let path = path.as_ref();
        let onnx = onnx::OnnxModel::load(path, &read_options(shapes))?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name =
            name.ok_or_else(|| Error::new(ErrorKind::File, "has no name").at(path.display()))?;
        Ok(Model { name, onnx })
    }

    /// A model from the bytes of a file without external data, with the shapes of some inputs
    /// instead of those in it.
    ///
    /// # Errors
    /// As [`Model::load_with_shapes`].
    pub fn from_bytes(
        name: impl Into<String>,
        bytes: impl Into<Bytes>,
        shapes: &[(&str, &[usize])],
    ) -> Result<Model> {
        let name = name.into();
        let onnx = onnx::OnnxModel::from_bytes(bytes.into(), &name, &read_options(shapes))?;
        Ok(Model { name, onnx })
    }

    /// A model that was read already, under a name.
    pub fn from_onnx(name: impl Into<String>, onnx: onnx::OnnxModel) -> Model {
        Model { name: name.into(), onnx }
    }

    /// Its name in plans and on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same model under another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Model {
        Model { name: name.into(), ..self }
    }

    /// What one job gives: element type and shape of every input, in the model's order.
    pub fn inputs(&self) -> &[(String, TensorSpec)] {
        self.onnx.inputs()
    }

    /// The names of what one job makes, in the model's order.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.onnx.outputs()
    }

    /// A picture (JPEG or PNG) or a `.npy` file as the only input of one job.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if it cannot be read, [`ErrorKind::Input`] if it does not fit, naming
    /// the file.
    pub fn load_input(&self, path: impl AsRef<Path>, image: &ImageOptions) -> Result<Inputs> {
        Frame::File(path.as_ref().to_owned()).load(&self.onnx, image)
    }

    /// Inputs of one job made from a seed, for trying out and measuring.
    pub fn synthetic_inputs(&self, seed: u64) -> Inputs {
        let made = self.onnx.synthetic_inputs(seed).into_iter();
        made.map(|(name, tensor)| (name, tensor.into())).collect()
    }
}

fn read_options(shapes: &[(&str, &[usize])]) -> ReadOptions {
    let shapes = shapes.iter().map(|&(name, shape)| (name.to_owned(), shape.to_vec()));
    ReadOptions { shapes: shapes.collect() }
}
