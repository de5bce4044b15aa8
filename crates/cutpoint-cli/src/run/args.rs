//! The arguments of `cutpoint run`.

use crate::args::connect::ConnectArgs;
use crate::args::encoding::EncodingArgs;
use crate::args::engine::EngineArgs;
use crate::args::format::Format;
use crate::args::image::ImageArgs;
use crate::args::model::ShapeArgs;
use crate::args::values;
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
    /// model with several inputs, or synthetic:COUNT for synthetic frames. Not with a configuration.
    pub(super) inputs: Vec<String>,

    /// The policy: local-only, server-only, partition-only, schedule-only, best-single, adjacent, joint
    /// or exhaustive.
    #[arg(long, default_value_t = Policy::Joint)]
    pub(super) policy: Policy,

    /// When a tensor may be sent: as soon as its layer has run (layer), or after the last device layer
    /// of its job (job).
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

    /// Where workload.json goes: what the plan was made from, as measured or rehearsed.
    #[arg(long, value_name = "FILE")]
    pub(super) workload_output: Option<PathBuf>,

    /// The closing summary on standard error: text or json.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,

    /// Give up a server that owes a reply and stays silent for this long [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub(super) patience_s: Option<Duration>,

    /// Keep to the plan; a lost server is then not called again. By default jobs that have not begun are
    /// re-planned when the uplink's bandwidth changes, when the server is lost, and when it is back.
    #[arg(long)]
    pub(super) no_replan: bool,

    /// Execute about COUNT jobs first, on both sides, and plan from their times; at most three rounds,
    /// until every cut in the plan was executed. A plan of up to 2 seconds is then run as a whole; long
    /// jobs are limited to about 5 seconds a round. Needs a server.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(super) rehearse: usize,

    /// Repeat until this many milliseconds have passed, at most 21 times, and report the run with the
    /// median makespan. Outputs are those of the first run.
    #[arg(long, value_name = "MILLISECONDS", default_value = "0", value_parser = values::milliseconds, allow_negative_numbers = true, conflicts_with_all = ["period_ms", "watch"])]
    pub(super) repeat_ms: Time,

    #[command(flatten)]
    pub(super) stream: StreamArgs,

    /// The device's speed as a fraction of this machine's: its compute thread rests in proportion
    /// [default: 1].
    #[arg(long, value_name = "FRACTION", value_parser = values::speed)]
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
    /// Replay the inputs, one every MILLISECONDS, and plan for that. With --watch: the expected interval;
    /// by default as fast as the machines can keep up.
    #[arg(long, value_name = "MILLISECONDS", value_parser = values::milliseconds, allow_negative_numbers = true)]
    pub(super) period_ms: Option<Time>,

    /// Instead of inputs: run images and .npy files as they appear in this folder, until Ctrl-C. A
    /// file is taken once it no longer changes, and jobs in progress are completed.
    #[arg(long, value_name = "DIR")]
    pub(super) watch: Option<PathBuf>,

    /// Stop watching after COUNT files.
    #[arg(long, value_name = "COUNT", requires = "watch")]
    pub(super) watch_count: Option<u32>,
}

impl StreamArgs {
    /// Whether jobs arrive over time.
    pub(super) fn is_wanted(&self) -> bool {
        self.period_ms.is_some() || self.watch.is_some()
    }
}
