//! Models named on the command line: networks of the zoo, and ONNX files.

use anyhow::{Context, ensure};
use cutpoint::zoo::Network;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A model that jobs are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Network(Network),
    File {
        path: PathBuf,
        /// `NAME=1x3x224x224`, as `cutpoint --shape` takes it.
        shape: Option<String>,
    },
}

impl Subject {
    /// Its name in tables.
    pub(crate) fn name(&self) -> String {
        match self {
            Subject::Network(network) => network.name().to_owned(),
            Subject::File { path, .. } => {
                path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }

    /// Its ONNX file; a network is written into `folder`, unless it is there.
    pub(crate) fn file(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        match self {
            Subject::File { path, .. } => {
                let place = path.display();
                ensure!(path.exists(), "{place} is neither a network of the zoo nor a file");
                Ok(path.clone())
            }
            Subject::Network(network) => {
                let path = folder.join(format!("{network}.onnx"));
                if !path.exists() {
                    std::fs::write(&path, network.to_onnx(0))
                        .with_context(|| path.display().to_string())?;
                }
                Ok(path)
            }
        }
    }

    /// The arguments by which `cutpoint` is told of it.
    pub(crate) fn arguments(&self, folder: &Path) -> anyhow::Result<Vec<OsString>> {
        let mut arguments = vec![self.file(folder)?.into()];
        if let Subject::File { shape: Some(shape), .. } = self {
            arguments.extend(["--shape".into(), shape.into()]);
        }
        Ok(arguments)
    }
}

impl FromStr for Subject {
    type Err = &'static str;

    /// The name of a network, `FILE`, or `FILE:NAME=SHAPE`.
    fn from_str(text: &str) -> Result<Subject, &'static str> {
        if let Ok(network) = text.parse() {
            return Ok(Subject::Network(network));
        }
        let (path, shape) = match text.rsplit_once(':') {
            Some((path, shape)) if shape.contains('=') => (path, Some(shape.to_owned())),
            _ => (text, None),
        };
        match path {
            "" => Err("expected a network, FILE or FILE:NAME=1x3x224x224"),
            path => Ok(Subject::File { path: path.into(), shape }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_files_are_told_apart() {
        let parse = |text: &str| text.parse::<Subject>().unwrap();
        assert_eq!(parse("alexnet"), Subject::Network(Network::AlexNet));
        let (shaped, plain) = (parse("a/b.onnx:x=1x3x8x8"), parse("c:d.onnx"));
        let shape = Some("x=1x3x8x8".to_owned());
        assert_eq!(shaped, Subject::File { path: "a/b.onnx".into(), shape });
        assert_eq!(plain, Subject::File { path: "c:d.onnx".into(), shape: None });
        assert_eq!((shaped.name().as_str(), plain.name().as_str()), ("b", "c:d"));
        assert!(":x=1".parse::<Subject>().is_err());
        assert!(plain.file(Path::new("")).unwrap_err().to_string().contains("nor a file"));
    }
}
