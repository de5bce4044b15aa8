//! In place of `picture_file` where the feature `images` is off: every picture is refused.

use crate::error::{Error, ErrorKind, Result};

pub(super) fn check(_: &[u8], _: u32, _: u64) -> Result<u64> {
    Err(Error::without_feature(ErrorKind::Input, "images"))
}

pub(super) fn decode(_: &[u8], _: (u32, u32), _: usize, _: u64) -> Result<Vec<u8>> {
    Err(Error::without_feature(ErrorKind::Input, "images"))
}
