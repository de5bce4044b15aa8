//! Reading and writing whole files.

use cutpoint::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// A whole file of at most `limit` bytes; `-` is standard input.
///
/// # Errors
/// [`ErrorKind::File`] if it cannot be read or is larger.
pub(crate) fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::File, format!("cannot be read: {e}")).at(path.display()).because(e)
    };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = File::open(path).map_err(failed)?;
        file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > limit {
        let message = format!("larger than {limit} bytes");
        return Err(Error::new(ErrorKind::File, message).at(path.display()));
    }
    Ok(bytes)
}

/// Writes a file, whole or not at all; `-` is standard output, and devices and pipes are written to.
pub(crate) fn write_whole(path: &Path, contents: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::File, format!("cannot be written: {e}")).at(path.display())
    };
    if path == Path::new("-") {
        return std::io::stdout().lock().write_all(contents).map_err(failed);
    }
    // A device or a pipe is written to: a file must not take its place.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return std::fs::write(path, contents).map_err(failed);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = temporary(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    file.write_all(contents).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Prints text on standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    write_whole(Path::new("-"), text.as_bytes())
}

/// A nameless file in a folder, with the rights of any new file, to be given its name when it is
/// complete.
pub(crate) fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cutpoint-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_device_stays_a_device() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        // By another name, so that nothing is lost where this fails.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("null");
        symlink("/dev/null", &path).unwrap();
        write_whole(&path, b"{}").unwrap();
        assert!(std::fs::metadata(&path).unwrap().file_type().is_char_device());
    }
}
