//! `cutpoint gantt`: a chart of a plan, and of its run.

use crate::args::workload::{PlanArgs, read_trace};
use crate::files::write_whole;
use cutpoint_plan::check::check_plan;
use cutpoint_plan::gantt::{Chart, TextOptions, render_svg, render_text};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// The run's trace.json, as written by `cutpoint run`. Planned and measured lanes are drawn one
    /// above the other.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Text of a fixed width, or an SVG file.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The width of the text, in columns.
    #[arg(long, value_name = "COLUMNS", default_value_t = 100, env = "COLUMNS")]
    width: u16,
    /// Where the chart goes; - for standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Svg,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let (workload, plan) = args.plan.load()?;
    if !check_plan(&workload, &plan).is_empty() {
        log::warn!("the plan is not valid: cutpoint check says why");
    }
    let measured = read_trace(args.trace.as_deref(), &workload, &plan)?;
    let chart = match &measured {
        Some(found) => Chart::of_run(&workload, &plan, &found.schedule, found.makespan),
        None => Chart::of_plan(&workload, &plan),
    };
    let is_terminal = args.output == Path::new("-") && std::io::stdout().is_terminal();
    let color = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let picture = match args.format {
        Format::Text => render_text(&chart, &TextOptions { width: args.width.into(), color }),
        Format::Svg => render_svg(&chart),
    };
    Ok(write_whole(&args.output, picture.as_bytes())?)
}
