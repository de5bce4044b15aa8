//! Helpers of the subcommands: finding other programs, reporting misuse.

use anyhow::Context;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::process::ExitCode;

/// A program beside this one, as a build puts them, unless the user names another.
pub(crate) fn sibling(name: &str, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_path_buf());
    }
    let here = std::env::current_exe()?;
    let path = here.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let found = path.exists().then_some(path);
    found.with_context(|| format!("no program {name} beside {}; build it first", here.display()))
}

/// Tells what is wrong with the flags; the exit code is that of misuse.
#[cfg(target_os = "linux")]
pub(crate) fn misuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(2)
}
