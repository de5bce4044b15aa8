//! `cutpoint engine`: which engines are there, and how fast they run a model.

mod bench;

use crate::engine::Engine;
use crate::engine::onnxruntime::OnnxRuntime;
use crate::engine::rten::Rten;
use crate::error::Error;
use serde::Serialize;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the engines: which can be used, and which one is used by default.
    List(ListArgs),
    /// Measure how long a whole model takes on an engine.
    Bench(bench::Args),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// How to print the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

#[derive(Serialize)]
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

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let runtime = match OnnxRuntime::find(None) {
        Ok(found) => Entry {
            engine: found.name(),
            is_default: true,
            library: Some(found.path().to_path_buf()),
            problem: None,
            advice: None,
        },
        Err(error) => Entry {
            engine: "onnxruntime".into(),
            is_default: false,
            library: None,
            problem: Some(error.to_string()),
            advice: Error::advice(&error).map(str::to_owned),
        },
    };
    let rten = Entry {
        engine: Rten::new().name(),
        is_default: !runtime.is_default,
        library: None,
        problem: None,
        advice: None,
    };
    let mut out = stdout().lock();
    if args.format == Format::Json {
        let engines = serde_json::json!({ "engines": [runtime, rten] });
        writeln!(out, "{}", serde_json::to_string_pretty(&engines)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for entry in [runtime, rten] {
        let default = if entry.is_default { " (default)" } else { "" };
        writeln!(out, "{}{default}", entry.engine)?;
        for (label, value) in [("not usable", entry.problem), ("hint", entry.advice)] {
            if let Some(value) = value {
                writeln!(out, "  {label}: {value}")?;
            }
        }
        match entry.library {
            Some(path) => writeln!(out, "  library: {}", path.display())?,
            None if entry.engine.starts_with("rten") => writeln!(out, "  built in")?,
            None => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}
