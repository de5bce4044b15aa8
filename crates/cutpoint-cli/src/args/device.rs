//! Arguments of every command that has a device's part.

use cutpoint::SpeedFraction;
use cutpoint::error::{Error, ErrorKind, Result};

/// A fraction of this machine's speed.
pub(crate) fn parse_speed(text: &str) -> Result<SpeedFraction> {
    text.parse().ok().and_then(SpeedFraction::new).ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("invalid fraction {text:?}: expected 0.001 to 1"))
    })
}
