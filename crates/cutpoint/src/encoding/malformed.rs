//! The error for bytes that are not what their encoding asks for.

use crate::error::{Error, ErrorKind};

pub(super) fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Input, message)
}
