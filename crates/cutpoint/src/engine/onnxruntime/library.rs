//! The shared library of ONNX Runtime: where it lies, which version it is, and loading it once.

use crate::engine::install;
use crate::error::{Error, ErrorKind, Result};
use ort::environment::Environment;
use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The oldest version that can be used; 1.22 ends the process when a session is made.
pub const VERSION_MIN: Version = Version { major: 1, minor: 23, patch: 0 };

/// A library of ONNX Runtime takes about 35 MB on a CPU, and under 1 GB with accelerators.
const LIBRARY_BYTES_MAX: u64 = 2 << 30;

/// A version of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Always 1 so far.
    pub major: u32,
    /// Grows with each release.
    pub minor: u32,
    /// Grows with each correction.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The library that this process holds.
#[derive(Clone)]
pub(super) struct Loaded {
    path: PathBuf,
    pub(super) environment: Environment,
    pub(super) version: Option<Version>,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// Where a library lies, by `ORT_DYLIB_PATH` or in the user's cache.
pub(super) fn locate() -> Option<PathBuf> {
    match env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        Some(path) => Some(PathBuf::from(path)),
        None => install::installed_library(),
    }
}

/// Loads a library, or returns the one that is loaded already if it is the same file.
pub(super) fn load(path: &Path) -> Result<Loaded> {
    let error = |message: String| Error::new(ErrorKind::Engine, message);
    // An absolute path, for the loader looks for a bare name in places of its own.
    let path = path.canonicalize().map_err(|e| {
        error("cannot open the ONNX Runtime library".into()).because(e).hint(
            "give the path of libonnxruntime.so, or run `cutpoint engine install` without one",
        )
    })?;
    let version = File::open(&path).and_then(read_version);
    let version = version.map_err(|e| error(format!("cannot read the library: {e}")))?;
    if let Some(version) = version
        && version < VERSION_MIN
    {
        return Err(too_old(&version.to_string()));
    }
    let mut held = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match held.as_ref() {
        Some(loaded) if loaded.path == path => return Ok(loaded.clone()),
        Some(other) => {
            let other = other.path.display();
            return Err(error(format!("this process already holds the ONNX Runtime at {other}")));
        }
        None => {}
    }
    let builder = ort::init_from(&path).map_err(|e| match e {
        ort::LoadDynamicError::BadVersion { version_str, .. } => too_old(&version_str),
        other => error(format!("cannot load the ONNX Runtime library: {other}")),
    })?;
    let environment = builder.with_name("cutpoint").with_telemetry(false).build();
    let environment =
        environment.map_err(|e| error(format!("ONNX Runtime does not start: {e}")))?;
    let loaded = Loaded { path, environment, version };
    *held = Some(loaded.clone());
    Ok(loaded)
}

fn too_old(found: &str) -> Error {
    let message = format!("ONNX Runtime {found} is too old, expected {VERSION_MIN} or later");
    Error::new(ErrorKind::Engine, message)
        .hint("install one that fits with `cutpoint engine install`")
}

/// The version in the names of the library's symbols, `VERS_1.32.0` in an ELF file; `None` where
/// the file carries none, as on other platforms.
fn read_version(source: impl Read) -> io::Result<Option<Version>> {
    const MARK: &[u8] = b"VERS_";
    const TAIL_MAX: usize = 32;
    let mut source = source.take(LIBRARY_BYTES_MAX);
    let mut window = Vec::with_capacity((1 << 20) + MARK.len() + TAIL_MAX);
    loop {
        let kept = window.len();
        let read = (&mut source).take(1 << 20).read_to_end(&mut window)?;
        let is_end = read == 0;
        let mut searched = 0;
        while let Some(at) = find(&window[searched..], MARK) {
            let tail = searched + at + MARK.len();
            if window.len() < tail + TAIL_MAX && !is_end {
                break;
            }
            if let Some(version) = parse_version(&window[tail..window.len().min(tail + TAIL_MAX)]) {
                return Ok(Some(version));
            }
            searched = tail;
        }
        if is_end {
            return Ok(None);
        }
        debug_assert!(window.len() > kept);
        let keep_from = window.len().saturating_sub(MARK.len() + TAIL_MAX);
        window.drain(..keep_from.max(searched.min(window.len())));
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn parse_version(tail: &[u8]) -> Option<Version> {
    let end = tail.iter().position(|b| !b.is_ascii_digit() && *b != b'.').unwrap_or(tail.len());
    let text = std::str::from_utf8(&tail[..end]).ok()?;
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let (major, minor) = (parts.next()??, parts.next()??);
    Some(Version { major, minor, patch: parts.next().flatten().unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_in(bytes: &[u8]) -> Option<Version> {
        read_version(bytes).unwrap()
    }

    #[test]
    fn a_version_is_found_anywhere_in_a_file() {
        let expected = Some(Version { major: 1, minor: 32, patch: 0 });
        assert_eq!(version_in(b"VERS_1.32.0"), expected);
        assert_eq!(version_in(b"\0VERS_\0VERS_x\0VERS_1.32.0\0rest"), expected);
        for offset in (1 << 20) - 60..(1 << 20) + 5 {
            let mut file = vec![b'.'; offset];
            file.extend_from_slice(b"VERS_1.32.0\0");
            file.extend_from_slice(&[b'.'; 1000]);
            assert_eq!(version_in(&file), expected, "offset {offset}");
        }
    }

    #[test]
    fn a_file_without_a_version_has_none() {
        assert_eq!(version_in(b""), None);
        assert_eq!(version_in(b"VERS_"), None);
        assert_eq!(version_in(b"VERS_one.two"), None);
        assert_eq!(version_in(&vec![0; 3 << 20]), None);
    }

    #[test]
    fn a_library_that_is_too_old_is_refused_before_it_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libonnxruntime.so");
        std::fs::write(&path, b"\x7fELF\0VERS_1.22.1\0").unwrap();
        let error = load(&path).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Engine);
        assert_eq!(error.to_string(), "ONNX Runtime 1.22.1 is too old, expected 1.23.0 or later");
        assert!(error.advice().unwrap().contains("cutpoint engine install"));
    }

    #[test]
    fn a_file_that_is_no_library_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libonnxruntime.so");
        assert_eq!(load(&path).err().unwrap().kind(), ErrorKind::Engine);
        std::fs::write(&path, b"\x7fELF\0VERS_1.32.0\0").unwrap();
        // What it says depends on whether another test has loaded a library before.
        assert_eq!(load(&path).err().unwrap().kind(), ErrorKind::Engine);
    }
}
