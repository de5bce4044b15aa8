//! Brings ONNX Runtime into the user's cache, and takes it out again.
//!
//! The library comes out of the package `onnxruntime`, one pinned file for each platform, fetched
//! by name with pip and so through whatever mirror and proxy the user's pip is set up for. Its
//! SHA-256 is checked before anything in it is read.

use crate::error::{Error, ErrorKind, Result};
use std::env;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The version that [`install`] installs.
pub const VERSION: &str = "1.32.0";

/// The wheel takes 28 MB and the library in it 35 MB.
const WHEEL_BYTES_MAX: u64 = 200 << 20;
const LIBRARY_BYTES_MAX: u64 = 300 << 20;

/// One pinned wheel. The Python tags only pick the file; the library in it needs no Python.
struct Wheel {
    platform: &'static str,
    sha256: &'static str,
}

const X86_64: Wheel = Wheel {
    platform: "manylinux_2_28_x86_64",
    sha256: "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
};

const AARCH64: Wheel = Wheel {
    platform: "manylinux_2_28_aarch64",
    sha256: "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
};

/// The wheel for the platform that this program was built for.
fn wheel() -> Option<&'static Wheel> {
    match env::consts::ARCH {
        _ if cfg!(not(all(target_os = "linux", target_env = "gnu"))) => None,
        "x86_64" => Some(&X86_64),
        "aarch64" => Some(&AARCH64),
        _ => None,
    }
}

/// The folder for installed versions: `onnxruntime` in `$XDG_CACHE_HOME/cutpoint`, or in
/// `~/.cache/cutpoint`; `None` where neither is set.
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("cutpoint").join("onnxruntime"))
}

/// The library that [`install`] puts there, if it is there.
pub fn installed_library() -> Option<PathBuf> {
    let path = library_in(&cache_dir()?);
    path.is_file().then_some(path)
}

fn library_in(cache: &Path) -> PathBuf {
    cache.join(VERSION).join(format!("libonnxruntime.so.{VERSION}"))
}

/// Fetches the pinned wheel with `python -m pip`, checks it, and puts its library into `cache`,
/// whole or not at all. Returns the library's path.
///
/// # Errors
/// [`ErrorKind::Engine`] if there is no wheel for this platform, if Python or pip is missing or
/// cannot fetch it, or if what came is not the pinned file; [`ErrorKind::File`] if the cache
/// cannot be written.
pub fn install(python: &Path, cache: &Path) -> Result<PathBuf> {
    let wheel = wheel().ok_or_else(|| {
        let (os, arch) = (env::consts::OS, env::consts::ARCH);
        let message = format!("no pinned ONNX Runtime for {os} on {arch}");
        Error::new(ErrorKind::Engine, message).hint(
            "get a shared library of ONNX Runtime 1.23 or later for this platform and set \
             ORT_DYLIB_PATH to it",
        )
    })?;
    let file = |e: io::Error| Error::new(ErrorKind::File, "cannot write the cache").because(e);
    let fetched = tempfile::tempdir().map_err(file)?;
    fetch(python, wheel, fetched.path())?;
    let downloaded = only_file(fetched.path())?;
    let mut content = Vec::new();
    let archive = File::open(&downloaded).map_err(file)?;
    archive
        .take(WHEEL_BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(|e| Error::new(ErrorKind::Engine, "cannot read the wheel").because(e))?;
    check_digest(&content, wheel.sha256)?;
    let folder = cache.join(VERSION);
    fs::create_dir_all(&folder).map_err(|e| file(e).at(folder.display()))?;
    extract(Cursor::new(content), &library_in(cache))
}

fn fetch(python: &Path, wheel: &Wheel, into: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "download", "--disable-pip-version-check", "--quiet"]);
    command.args(["--no-deps", "--only-binary=:all:", "--implementation", "cp"]);
    command.args(["--python-version", "3.12", "--abi", "cp312", "--platform", wheel.platform]);
    command.arg("--dest").arg(into).arg(format!("onnxruntime=={VERSION}"));
    let output = command.output().map_err(|e| {
        Error::new(ErrorKind::Engine, format!("cannot run {}", python.display()))
            .because(e)
            .hint("install Python 3 with pip, or name another one with --python")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(pip_failed(&output))
}

fn pip_failed(output: &Output) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("ERROR")).collect();
    let reason = errors.first().copied().or_else(|| said.lines().last()).unwrap_or("no message");
    let error = Error::new(ErrorKind::Engine, format!("pip cannot fetch onnxruntime: {reason}"));
    match said.contains("No module named pip") {
        true => error.hint("install pip for this Python, or name another one with --python"),
        false => error.hint("check the network, and that pip's index has this package"),
    }
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let error = |what: &str| Error::new(ErrorKind::Engine, format!("pip left {what}"));
    let mut entries = fs::read_dir(folder).map_err(|e| error("no folder").because(e))?;
    let first = entries.next().ok_or_else(|| error("no file"))?;
    let first = first.map_err(|e| error("no readable file").because(e))?.path();
    match entries.next() {
        None => Ok(first),
        Some(_) => Err(error("more than one file")),
    }
}

/// Compares a wheel with its pinned SHA-256.
fn check_digest(wheel: &[u8], expected: &str) -> Result<()> {
    let found = crate::digest::sha256(wheel);
    if found == expected {
        return Ok(());
    }
    let message = format!("the wheel has SHA-256 {found}, expected {expected}");
    Err(Error::new(ErrorKind::Engine, message).hint(
        "pip's index serves another file than the one that was pinned; nothing was installed",
    ))
}

/// Writes the one library of a wheel to `library`, through a temporary file beside it.
fn extract(archive: impl Read + Seek, library: &Path) -> Result<PathBuf> {
    let error = |message: &str| Error::new(ErrorKind::Engine, message.to_owned());
    let file = |e: io::Error| {
        Error::new(ErrorKind::File, "cannot write the library").because(e).at(library.display())
    };
    let mut archive = zip::ZipArchive::new(archive)
        .map_err(|e| error("the wheel is not a zip archive").because(e))?;
    let member = format!("onnxruntime/capi/libonnxruntime.so.{VERSION}");
    let member = archive
        .by_name(&member)
        .map_err(|e| error("the wheel holds no library").because(e).at(member.clone()))?;
    let folder = library.parent().unwrap_or(Path::new("."));
    let mut written = tempfile::NamedTempFile::new_in(folder).map_err(file)?;
    let size = io::copy(&mut member.take(LIBRARY_BYTES_MAX + 1), &mut written).map_err(file)?;
    if size > LIBRARY_BYTES_MAX {
        return Err(error("the library in the wheel is too large"));
    }
    written.as_file().sync_all().map_err(file)?;
    written.persist(library).map_err(|e| file(e.error))?;
    Ok(library.to_path_buf())
}

/// Removes what [`install`] put into `cache`, of any version; returns whether there was anything.
///
/// # Errors
/// [`ErrorKind::File`] if something there cannot be removed.
pub fn remove(cache: &Path) -> Result<bool> {
    match fs::remove_dir_all(cache) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::new(ErrorKind::File, "cannot remove the installed library")
            .because(e)
            .at(cache.display())),
    }
}

#[cfg(test)]
mod tests;
