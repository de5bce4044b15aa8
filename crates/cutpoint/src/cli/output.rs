//! Files that appear whole or not at all.

use std::path::Path;
use tempfile::NamedTempFile;

/// A nameless file in a folder, with the rights of any new file, to be given its name when it is
/// complete.
pub(crate) fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cutpoint-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
