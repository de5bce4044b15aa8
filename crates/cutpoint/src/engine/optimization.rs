//! How far an engine may rewrite a model.

use crate::error::{Error, ErrorKind, Result};
use std::str::FromStr;

/// How far ONNX Runtime may rewrite a model before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimization {
    /// Not at all; a split model then gives the same bits as the whole one.
    Off,
    /// Constant folding and removal of what does nothing.
    Basic,
    /// Fusions of operators too.
    Extended,
    /// Blocked memory layouts too; the default.
    #[default]
    All,
}

impl FromStr for Optimization {
    type Err = Error;

    fn from_str(text: &str) -> Result<Optimization> {
        match text {
            "off" => Ok(Optimization::Off),
            "basic" => Ok(Optimization::Basic),
            "extended" => Ok(Optimization::Extended),
            "all" => Ok(Optimization::All),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "invalid optimization level {text:?}: expected off, basic, extended or all"
                ),
            )),
        }
    }
}
