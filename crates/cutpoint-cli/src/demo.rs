//! `cutpoint demo`: the method on one machine: a server process on loopback, a limited uplink, a slowed
//! device, and the policies side by side, executed for real and checked.

use crate::args::engine::EngineArgs;
use crate::args::format::Format;
use crate::args::values;
use crate::files::{print, write_whole};
use crate::progress::progress_bar;
use crate::{measurement, setup};
use cutpoint::Cancel;
use cutpoint::SpeedFraction;
use cutpoint::config::{Config, ModelConfig};
use cutpoint::error::{Error, ErrorKind, Result};
use cutpoint::input::Inputs;
use cutpoint::profile::median;
use cutpoint::session::{Outputs, PlannedRun, ProfileRequest, RehearsalOptions, Session};
use cutpoint::tensor::relative_difference;
use cutpoint::trace::{Execution, busy_share_of_span};
use cutpoint::zoo::Network;
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::plan::{Machine, Plan};
use cutpoint_plan::units::Bandwidth;
use cutpoint_plan::units::count;
use serde::Serialize;
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

/// The largest relative difference to the unsplit model at which outputs count as equal.
const DIFFERENCE_MAX: f64 = 1e-5;

/// The policies of the table, in its order.
const POLICIES: [Policy; 5] = [
    Policy::LocalOnly,
    Policy::ServerOnly,
    Policy::PartitionOnly,
    Policy::ScheduleOnly,
    Policy::Joint,
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A network of the zoo, untrained.
    #[arg(long, default_value_t = Network::MobileNetV2)]
    model: Network,

    /// How many jobs each policy runs.
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    jobs: usize,

    /// How often each policy is rehearsed, planned and run; the table has the medians.
    #[arg(long, value_name = "COUNT", default_value = "3")]
    repeats: NonZeroUsize,

    /// The bandwidth that the uplink is limited to, in Mbit/s.
    #[arg(long, value_name = "MBPS", default_value = "18.88", value_parser = values::bandwidth)]
    uplink_mbps: Bandwidth,

    /// The device's speed as a fraction of this machine's.
    #[arg(long, value_name = "FRACTION", default_value = "0.25", value_parser = values::speed)]
    device_fraction: SpeedFraction,

    /// When a tensor may be sent: as soon as its layer has run (layer), or after the last device layer
    /// of its job (job).
    #[arg(long, default_value_t = Granularity::Layer)]
    granularity: Granularity,

    /// The table as text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Where the trace of the joint run goes.
    #[arg(long, value_name = "FILE")]
    trace: Option<std::path::PathBuf>,

    #[command(flatten)]
    engine: EngineArgs,
}

/// One row of the table; times are medians over the runs.
#[derive(Debug, Serialize)]
struct Row {
    policy: &'static str,
    predicted_ms: f64,
    measured_ms: f64,
    /// Measured over predicted, less 1.
    error: f64,
    lower_bound_ms: f64,
    runs: Vec<Run>,
    /// Against the better of local-only and server-only, measured.
    speedup: f64,
    /// The share of the time from the uplink's first to its last byte in which it was busy, the
    /// least of all runs.
    uplink_busy: f64,
    /// How many jobs sent something in the last run.
    offloaded: usize,
    /// The largest of all runs.
    worst_difference: f64,
}

/// One run of a policy.
#[derive(Debug, Serialize)]
struct Run {
    predicted_ms: f64,
    measured_ms: f64,
    lower_bound_ms: f64,
    #[serde(skip)]
    uplink_busy: f64,
    #[serde(skip)]
    offloaded: usize,
    #[serde(skip)]
    worst_difference: f64,
}

pub(crate) fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    // One thread on each side, so that device and server do not take each other's cores.
    args.engine.threads.get_or_insert(NonZeroUsize::MIN);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(format!("{}.onnx", args.model));
    std::fs::write(&path, args.model.to_onnx(0))?;
    let server = ServerProcess::start(&path, &args.engine)?;
    let mut config = Config::default();
    args.engine.apply(&mut config.device);
    config.device.fraction = args.device_fraction;
    config.server.address = Some(server.address.clone());
    config.server.uplink_limit = Some(args.uplink_mbps);
    let model = ModelConfig { path, ..ModelConfig::default() };
    let session = setup::open(&config, std::iter::once(&model), false)?;
    print_setting(&args, &session, &server);

    let request = ProfileRequest { jobs: vec![args.jobs], ..ProfileRequest::default() };
    let profile = session.profile_with(&request)?;
    if let Some(found) = profile.measurement() {
        measurement::report(session.models(), found);
    }
    let model = &session.models()[0];
    let inputs: Vec<Inputs> = (0..args.jobs as u64)
        .map(|seed| model.onnx().synthetic_inputs(seed).into_iter())
        .map(|made| made.map(|(name, tensor)| (name, tensor.into())).collect())
        .collect();
    let expected = session.unsplit_outputs(model.name(), &inputs)?;

    let plan = PlanOptions::at(args.granularity);
    let mut runs = POLICIES.map(|_| Vec::new());
    for turn in 1..=args.repeats.get() {
        for (policy, runs) in POLICIES.into_iter().zip(&mut runs) {
            let how = RehearsalOptions { policy, plan, ..RehearsalOptions::default() };
            let jobs = [(model.name(), args.jobs)];
            let planned = session.rehearse(&profile, &jobs, &how, &inputs)?;
            let label = format!("{policy} ({turn} of {})", args.repeats);
            let (execution, worst) = execute(&session, &planned, &inputs, &expected, label)?;
            if policy == Policy::Joint
                && let Some(path) = &args.trace
            {
                write_whole(path, planned.trace(&execution).to_string().as_bytes())?;
            }
            runs.push(Run::of(planned.plan(), &execution, worst));
        }
    }
    drop(server);
    finish(&args, &rows(runs))
}

/// Runs one policy for real; returns what happened and the worst difference of an output.
fn execute(
    session: &Session,
    planned: &PlannedRun,
    inputs: &[Inputs],
    expected: &[Outputs],
    label: String,
) -> Result<(Execution, f64)> {
    let bar = progress_bar(inputs.len());
    bar.set_message(label);
    let mut found = Vec::with_capacity(inputs.len());
    let execution = session.run_each(planned, &inputs, &Cancel::new(), |job, outputs| {
        bar.inc(1);
        found.push((job, outputs));
    })?;
    bar.finish_and_clear();
    if let Some((job, cause)) = execution.failures.first() {
        return Err(Error::new(ErrorKind::Engine, cause.clone()).at(format!("job {}", job.0)));
    }
    if let Some((_, cause)) = execution.fallbacks.first() {
        let message = format!("the server was lost: {cause}");
        return Err(Error::new(ErrorKind::Network, message));
    }
    let mut worst = 0.0f64;
    for (job, outputs) in &found {
        for (name, tensor) in &expected[job.index()] {
            let output = outputs.iter().find(|(n, _)| n == name);
            let difference = output.and_then(|(_, value)| relative_difference(value, tensor));
            worst = worst.max(difference.unwrap_or(f64::INFINITY));
        }
    }
    Ok((execution, worst))
}

impl Run {
    fn of(plan: &Plan, execution: &Execution, worst_difference: f64) -> Run {
        Run {
            predicted_ms: plan.makespan.milliseconds(),
            measured_ms: execution.makespan.milliseconds(),
            lower_bound_ms: plan.lower_bound.milliseconds(),
            uplink_busy: busy_share_of_span(execution.schedule.on(Machine::Uplink)),
            offloaded: plan.partitions.iter().filter(|p| !p.uploads.is_empty()).count(),
            worst_difference,
        }
    }
}

fn median_of(runs: &[Run], value: fn(&Run) -> f64) -> f64 {
    median(&runs.iter().map(value).collect::<Vec<_>>())
}

/// The table, from the runs of each policy.
fn rows(runs: [Vec<Run>; POLICIES.len()]) -> Vec<Row> {
    let measured = |runs: &[Run]| median_of(runs, |run| run.measured_ms);
    // Local-only and server-only.
    let whole = measured(&runs[0]).min(measured(&runs[1]));
    let row = |(policy, runs): (Policy, Vec<Run>)| Row {
        policy: policy.name(),
        predicted_ms: median_of(&runs, |run| run.predicted_ms),
        measured_ms: measured(&runs),
        error: median_of(&runs, |run| run.measured_ms / run.predicted_ms - 1.0),
        lower_bound_ms: median_of(&runs, |run| run.lower_bound_ms),
        speedup: whole / measured(&runs),
        uplink_busy: runs.iter().map(|run| run.uplink_busy).fold(1.0, f64::min),
        offloaded: runs.last().map_or(0, |run| run.offloaded),
        worst_difference: runs.iter().map(|run| run.worst_difference).fold(0.0, f64::max),
        runs,
    };
    POLICIES.into_iter().zip(runs).map(row).collect()
}

fn print_setting(args: &Args, session: &Session, server: &ServerProcess) {
    eprintln!(
        "{} of {} ({} layers, untrained) on {}\n\
         device: {:.3} of this machine's speed, server: full speed at {}\n\
         uplink: limited to {} Mbit/s",
        count(args.jobs, "job"),
        args.model,
        session.models()[0].layer_count(),
        session.engine_name(),
        args.device_fraction.value(),
        server.address,
        args.uplink_mbps.mbit_per_s(),
    );
}

/// Prints the table; the exit code tells whether every output was right.
fn finish(args: &Args, rows: &[Row]) -> anyhow::Result<ExitCode> {
    match args.format {
        Format::Json => print(&(serde_json::to_string(rows)? + "\n"))?,
        Format::Text => print(&table(rows))?,
    }
    let worst = rows.iter().fold(0.0f64, |w, r| w.max(r.worst_difference));
    let count = args.jobs * rows.len() * args.repeats.get();
    if worst > DIFFERENCE_MAX {
        eprintln!("outputs differ from the unsplit model's by up to {worst:.1e}");
        return Ok(ExitCode::from(1));
    }
    eprintln!("all {count} outputs equal the unsplit model's (worst difference {worst:.1e})");
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<15} {:>12} {:>12} {:>7} {:>12} {:>9} {:>10}\n",
        "policy", "predicted ms", "measured ms", "error", "bound ms", "speed-up", "offloaded"
    );
    for row in rows {
        text += &format!(
            "{:<15} {:>12.1} {:>12.1} {:>+6.1}% {:>12.1} {:>8.2}x {:>10}\n",
            row.policy,
            row.predicted_ms,
            row.measured_ms,
            row.error * 100.0,
            row.lower_bound_ms,
            row.speedup,
            row.offloaded
        );
    }
    text
}

/// A server in a process of its own, ended with this value.
struct ServerProcess {
    child: Child,
    address: String,
}

impl ServerProcess {
    fn start(model: &Path, engine: &EngineArgs) -> anyhow::Result<ServerProcess> {
        let threads = engine.threads.map_or(1, NonZeroUsize::get);
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(model)
            .args(["--listen", "127.0.0.1:0"])
            .args(["--engine", &engine.engine.clone().unwrap_or_default().to_string()])
            .args(["--threads", &threads.to_string()])
            .env("RUST_LOG", "cutpoint=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().to_owned();
        if address.is_empty() {
            let status = child.wait()?;
            let message = format!("the server process ended at once ({status})");
            return Err(Error::new(ErrorKind::Network, message).into());
        }
        Ok(ServerProcess { child, address })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
