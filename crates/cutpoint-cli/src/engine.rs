//! `cutpoint engine`: lists, installs and measures inference engines.

mod bench;
mod profile;

use crate::args::format::Format;
use crate::files::print;
use cutpoint::engine::onnxruntime::OnnxRuntime;
use cutpoint::engine::rten::{Rten, run_profile_job};
use cutpoint::engine::{Engine, install};
use cutpoint::error::{Error, ErrorKind};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the engines: which can be used, and which one is used by default.
    List(ListArgs),
    /// Fetch ONNX Runtime's library with pip, check it, and keep it in the user's cache.
    Install(InstallArgs),
    /// Remove the library that `install` fetched.
    Remove,
    /// Measure how long a whole model takes on an engine.
    Bench(bench::Args),
    /// Measure how long each layer of a model takes on an engine.
    Profile(profile::Args),
    /// Run a profiling job for rten in this process; `cutpoint` starts it itself.
    #[command(hide = true)]
    ProfileRten { folder: PathBuf },
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// How to print the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct InstallArgs {
    /// The Python whose pip fetches the package; its settings for mirrors and proxies apply.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Install(args) => install_library(&args),
        Command::Remove => remove_library(),
        Command::Profile(args) => profile::run(&args),
        Command::ProfileRten { folder } => Ok(run_profile_job(&folder)?),
        Command::Bench(args) => bench::run(&args),
    }
}

fn install_library(args: &InstallArgs) -> anyhow::Result<()> {
    let cache = cache_dir()?;
    log::info!("fetching onnxruntime {} with {} -m pip", install::VERSION, args.python.display());
    let path = install::install(&args.python, &cache)?;
    let engine = OnnxRuntime::find(Some(&path)).inspect_err(|_| {
        if let Err(e) = install::remove(&cache) {
            log::warn!("the unusable library could not be removed: {e}");
        }
    })?;
    log::info!("installed {}", engine.name());
    Ok(print(&format!("{}\n", path.display()))?)
}

fn remove_library() -> anyhow::Result<()> {
    let cache = cache_dir()?;
    match install::remove(&cache)? {
        true => log::info!("removed {}", cache.display()),
        false => log::info!("nothing is installed in {}", cache.display()),
    }
    Ok(())
}

fn cache_dir() -> Result<PathBuf, Error> {
    install::cache_dir().ok_or_else(|| {
        Error::new(ErrorKind::File, "no user cache folder")
            .hint("set HOME or XDG_CACHE_HOME to an absolute path")
    })
}

#[derive(Default, Serialize)]
struct Entry {
    engine: String,
    is_default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    library: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Serialize)]
struct Engines {
    engines: [Entry; 2],
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let runtime = match OnnxRuntime::find(None) {
        Ok(found) => Entry {
            engine: found.name(),
            is_default: true,
            library: Some(found.path().to_path_buf()),
            ..Entry::default()
        },
        Err(error) => Entry {
            engine: "onnxruntime".into(),
            problem: Some(error.to_string()),
            advice: Error::advice(&error).map(str::to_owned),
            ..Entry::default()
        },
    };
    let is_default = !runtime.is_default;
    let rten = Entry { engine: Rten::new().name(), is_default, ..Entry::default() };
    Ok(args.format.print(&Engines { engines: [runtime, rten] }, render_text)?)
}

fn render_text(found: &Engines) -> String {
    let mut lines = Vec::new();
    for entry in &found.engines {
        let default = if entry.is_default { " (default)" } else { "" };
        lines.push(format!("{}{default}\n", entry.engine));
        for (label, value) in [("not usable", &entry.problem), ("hint", &entry.advice)] {
            lines.extend(value.iter().map(|value| format!("  {label}: {value}\n")));
        }
        match &entry.library {
            Some(path) => lines.push(format!("  library: {}\n", path.display())),
            None if entry.engine.starts_with("rten") => lines.push("  built in\n".to_owned()),
            None => {}
        }
    }
    lines.concat()
}
