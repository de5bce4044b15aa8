//! The arguments of `cutpoint run`.

use crate::args::connect::{ConnectArgs, parse_seconds};
use crate::args::device;
use crate::args::encoding::EncodingArgs;
use crate::args::engine::EngineArgs;
use crate::args::format::Format;
use crate::args::image::ImageArgs;
use crate::args::milliseconds::parse_milliseconds;
use crate::args::model::ShapeArgs;
use cutpoint::SpeedFraction;
use cutpoint_plan::options::{Granularity, Policy};
use cutpoint_plan::units::Time;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ONNX file; or a configuration, ending in .toml, that names models and their inputs.
    pub(super) model: PathBuf,

    #[command(flatten)]
    pub(super) shapes: ShapeArgs,

    /// One job each: JPEG or PNG files, .npy files, glob patterns, `name=FILE,name=FILE` for a
    /// model with several inputs, or synthetic:COUNT for made frames. None with a configuration.
    pub(super) inputs: Vec<String>,

    /// How to plan: local-only, server-only, partition-only, schedule-only, best-single, adjacent,
    /// joint or exhaustive.
    #[arg(long, default_value_t = Policy::Joint)]
    pub(super) policy: Policy,

    /// When tensors may leave: layer (as they are made) or job (after the job's last device layer).
    #[arg(long, default_value_t = Granularity::Layer)]
    pub(super) granularity: Granularity,

    /// Plan from this workload.json instead of measuring; its jobs are replaced by the inputs.
    #[arg(long, value_name = "FILE")]
    pub(super) workload: Option<PathBuf>,

    /// Outputs go to this folder as .npy files; without it, to standard output as JSON lines.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,

    /// Where trace.json goes: planned and measured operations for a trace viewer.
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,

    /// Where plan.json goes.
    #[arg(long, value_name = "FILE")]
    pub(super) plan_output: Option<PathBuf>,

    /// Where the workload.json goes that the plan is for: as it was measured, and rehearsed if it was.
    #[arg(long, value_name = "FILE")]
    pub(super) workload_output: Option<PathBuf>,

    /// The closing summary on standard error: text or json.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    /// Give up a server that owes a reply and stays silent for this long [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(super) patience_s: Option<Duration>,

    /// Keep to the plan, whatever the link does. Without this, jobs that have not begun are planned
    /// anew when the uplink's bandwidth has changed, when the server is lost, and when it is back.
    #[arg(long)]
    pub(super) no_replan: bool,

    /// Execute about so many of the jobs under the policy first, on both sides together, and plan
    /// from what they took; up to three times, until the plan has no cut that was not executed. Then a
    /// plan of up to 2 seconds is run through as a whole. Of long jobs fewer are executed, about 5
    /// seconds at a time. Needs a server.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(super) rehearse: usize,

    /// Execute again until so many milliseconds have passed, up to 21 times, and report the run whose
    /// makespan is the median: a short run alone tells little. Outputs are of the first.
    #[arg(long, value_name = "MILLISECONDS", default_value = "0", value_parser = parse_milliseconds, allow_negative_numbers = true, conflicts_with_all = ["period_ms", "watch"])]
    pub(super) repeat_ms: Time,

    #[command(flatten)]
    pub(super) stream: StreamArgs,

    /// The device's speed as a fraction of this machine's: its compute thread rests in proportion
    /// [default: 1].
    #[arg(long, value_name = "FRACTION", value_parser = device::parse_speed)]
    pub(super) device_fraction: Option<SpeedFraction>,

    #[command(flatten)]
    pub(super) image: ImageArgs,

    #[command(flatten)]
    pub(super) encoding: EncodingArgs,

    #[command(flatten)]
    pub(super) engine: EngineArgs,

    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

/// Flattened into `cutpoint run`.
#[derive(Debug, clap::Args)]
pub(super) struct StreamArgs {
    /// The inputs arrive one after the other, one each so many milliseconds, and are planned so.
    /// With --watch: how often files are expected; without it, as often as can be kept up with.
    #[arg(long, value_name = "MILLISECONDS", value_parser = parse_milliseconds, allow_negative_numbers = true)]
    pub(super) period_ms: Option<Time>,

    /// Instead of inputs: run pictures and .npy files as they appear in this folder, until Ctrl-C;
    /// a file counts once it no longer changes. What is in work by then is completed.
    #[arg(long, value_name = "DIR")]
    pub(super) watch: Option<PathBuf>,

    /// Stop watching after so many files.
    #[arg(long, value_name = "COUNT", requires = "watch")]
    pub(super) watch_count: Option<u32>,
}

impl StreamArgs {
    /// Whether jobs arrive over time.
    pub(super) fn is_wanted(&self) -> bool {
        self.period_ms.is_some() || self.watch.is_some()
    }
}
