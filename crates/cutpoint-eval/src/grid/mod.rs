//! `grid`: the experiments for real. For each network, link and device, in turns: models and link are
//! measured again, then every policy is planned and executed, one after the other.
//!
//! Every run is a line in a file at once, and what is in the file is not run again, so that a grid may
//! be stopped and go on later.

mod cells;
mod cuts;
mod lines;
mod link;

use crate::origin;
use crate::program::{misuse, sibling};
use crate::testbed::host::children::ChildGroup;
use crate::testbed::host::interrupts::Interrupts;
use crate::testbed::session::{LinkKind, Ready, Settings, Start, Testbed};
use anyhow::{Context, anyhow, ensure};
use cells::{Block, Cell, Choice, Figures};
use cutpoint::engine::select::EngineChoice;
use cutpoint_plan::format::{read_plan, read_workload};
use cuts::cuts;
use lines::Lines;
use link::GridLink;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// The port of the server in its namespace.
const PORT: u16 = 7_070;
const READY_LIMIT: Duration = Duration::from_secs(60);
const DEVICE_LOG: &str = "device.log";
/// How long one measurement or one run may take.
const RUN_LIMIT: Duration = Duration::from_secs(600);
/// The rate back to the device; results are small.
const DOWNLINK_MBPS: f64 = 40.0;
/// The first argument of a reference: everything on the device, or every frame sent to its server.
const WAYS: [&str; 2] = ["local", "offload"];

/// Run policies on the testbed over many networks, links and devices; predicted and measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: Choice,

    /// A small grid that takes less than three minutes.
    #[arg(long)]
    smoke: bool,

    /// The runs, one JSON object a line; runs that are in it already are not made again.
    #[arg(short, long, value_name = "FILE", default_value = "grid.jsonl")]
    output: PathBuf,

    /// How many jobs each run rehearses on both sides before it plans; 0 for none.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    rehearse: usize,

    /// Repeat short runs for this long; the median counts.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1_000)]
    repeat_ms: u64,

    /// How much may wait for the link in each direction. Less than 1024 is dropped from at times;
    /// behind more, acknowledgements wait long.
    #[arg(long, value_name = "KIB", default_value_t = 1_024)]
    queue_kib: u64,

    /// auto, rten, onnxruntime, or onnxruntime:LIBRARY, on both sides.
    #[arg(long, default_value_t = EngineChoice::Auto)]
    engine: EngineChoice,

    /// The program `cutpoint`; without it, the one beside this program.
    #[arg(long, value_name = "FILE")]
    cutpoint: Option<PathBuf>,

    /// Also run this program, such as scripts/reference-runs, on the same testbed right after the
    /// policies, in every turn; its runs go to a file whose name ends in references.jsonl.
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
}

/// The part of `cutpoint run`'s summary that is used.
#[derive(Debug, Deserialize)]
struct Summary {
    predicted_ms: f64,
    measured_ms: f64,
    lower_bound_ms: f64,
    offloaded: usize,
    fallbacks: usize,
    failures: usize,
    machines: Vec<MachineUse>,
}

#[derive(Debug, Deserialize)]
struct MachineUse {
    machine: String,
    planned: f64,
    measured: f64,
}

/// The figures of a run without Cutpoint, which its last line calls the makespan.
#[derive(Debug, Serialize, Deserialize)]
struct Reference {
    #[serde(alias = "makespan_ms")]
    measured_ms: f64,
}

/// Runs what is missing; scripts/tables shows what the file has.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let choice = if args.smoke { Choice::smoke() } else { args.choice.clone() };
    let blocks = choice.blocks();
    if blocks.is_empty() {
        return Ok(misuse(&anyhow!("nothing to run: a list of the grid is empty")));
    }
    let mut records = Lines::open(&args.output)?;
    let references = args.output.with_extension("references.jsonl");
    let mut references = args.reference.as_ref().map(|_| Lines::open(&references)).transpose()?;
    let interrupts = Interrupts::new()?;
    let files = (&mut records, references.as_mut());
    let done = run_blocks(args, &blocks, &choice, files, &interrupts)
        .context("not all was run; the same command goes on from here")
        .map(|()| {
            let file = args.output.display();
            eprintln!("{} runs; `scripts/tables grid {file}` shows them", records.all().len());
            ExitCode::SUCCESS
        });
    interrupts.exit_code(done)
}

/// Every turn of every block, so that a grid that is cut short has something of everything; then once
/// more the cells whose turns differ. Every second turn is backwards: no policy is always the last.
fn run_blocks(
    args: &Args,
    blocks: &[Block],
    choice: &Choice,
    (records, mut references): (&mut Lines<Figures>, Option<&mut Lines<Reference>>),
    interrupts: &Interrupts,
) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let turns = choice.turns;
    for turn in 1..=turns + 1 {
        for (number, block) in (1..).zip(blocks) {
            let is_wanted = |cell: &&Cell| {
                !records.has(cell, turn)
                    && (turn <= turns || records.differ(cell, choice.spread_max))
            };
            let mut missing: Vec<Cell> = block.cells.iter().filter(is_wanted).cloned().collect();
            if turn % 2 == 0 {
                missing.reverse();
            }
            let mut ways = Vec::new();
            if let Some(references) = references.as_ref().filter(|_| turn <= turns) {
                ways = block.without_cutpoint(&WAYS);
                ways.retain(|cell| !references.has(cell, turn));
            }
            if missing.is_empty() && ways.is_empty() {
                continue;
            }
            let which = match turn {
                turn if turn > turns => "once more".to_owned(),
                turn => format!("turn {turn} of {turns}"),
            };
            eprintln!("{which}, {number} of {}: {block}", blocks.len());
            let place = || block.to_string();
            let settings = settings(block.link, args.queue_kib);
            let testbed = Testbed::new(&settings, interrupts).with_context(place)?;
            let bench = Bench { args, block, folder: scratch.path(), testbed, turn };
            if !missing.is_empty() {
                bench.run(&missing, records).with_context(place)?;
            }
            if let (Some(program), Some(references)) = (&args.reference, &mut references) {
                bench.refer(program, &ways, references).with_context(place)?;
            }
        }
    }
    Ok(())
}

/// The testbed for a link. The device is slowed by rests in its compute thread, which also hold for
/// layers that are shorter than the period of any quota.
fn settings(link: GridLink, queue_kib: u64) -> Settings {
    let (kind, uplink_mbps, rtt_ms) = match link {
        GridLink::Shaped { uplink_mbps, rtt_ms } => (LinkKind::Auto, uplink_mbps, rtt_ms),
        GridLink::Loopback => (LinkKind::Loopback, DOWNLINK_MBPS, 0.0),
    };
    let rates = [uplink_mbps, DOWNLINK_MBPS];
    let plain = Settings::lossless(rates, rtt_ms, queue_kib, kind);
    Settings { slow_start_after_idle: false, ..plain }
}

/// A turn of one block, on its testbed.
struct Bench<'a> {
    args: &'a Args,
    block: &'a Block,
    folder: &'a Path,
    testbed: Testbed<'a>,
    turn: usize,
}

impl Bench<'_> {
    /// Measures, then plans and executes each cell.
    fn run(&self, cells: &[Cell], records: &mut Lines<Figures>) -> anyhow::Result<()> {
        let mut serve = self.cutpoint("serve")?;
        serve.args(["--listen", &self.address(), "--insecure"]);
        let server = self.serve(&serve)?;
        let [workload, planned, rehearsed] =
            ["workload.json", "plan.json", "rehearsed.json"].map(|name| self.folder.join(name));
        self.run_on_device(self.device("profile")?.arg("--raw").arg("-o").arg(&workload))?;
        for cell in cells {
            let mut run = self.device("run")?;
            run.arg(format!("synthetic:{}", cell.jobs));
            run.args(["--policy", &cell.policy, "--granularity", &cell.granularity]);
            run.args(["--rehearse", &self.args.rehearse.to_string()]);
            run.args(["--repeat-ms", &self.args.repeat_ms.to_string(), "--format", "json"]);
            // Outputs as text take longer to write than some models to compute.
            run.arg("--output").arg(self.folder.join("outputs"));
            run.arg("--workload").arg(&workload);
            run.arg("--plan-output").arg(&planned).arg("--workload-output").arg(&rehearsed);
            let summary = last_line(&self.run_on_device(&run)?)?;
            let workload = read_workload(&std::fs::read(&rehearsed).context("its workload")?)?;
            let plan = read_plan(&std::fs::read(&planned).context("its plan")?, &workload)?;
            let figures = figures(&summary, cuts(&workload, &plan))?;
            eprintln!(
                "  {} x {} ({}): predicted {:.1} ms, measured {:.1} ms",
                cell.policy, cell.jobs, cell.granularity, figures.predicted_ms, figures.measured_ms
            );
            records.add(cell, self.turn, figures)?;
        }
        self.testbed.stop(server).map(drop)
    }

    /// Runs the reference in these ways.
    fn refer(
        &self,
        program: &Path,
        ways: &[Cell],
        references: &mut Lines<Reference>,
    ) -> anyhow::Result<()> {
        if ways.is_empty() {
            return Ok(());
        }
        let model = self.block.subject.file(self.folder)?;
        let mut serve = Command::new(program);
        serve.arg("serve").arg(&model).args(["--listen", &self.address()]);
        let server = self.serve(&serve)?;
        for cell in ways {
            let Cell { policy: way, jobs, device_fraction, .. } = cell;
            let mut run = Command::new(program);
            run.arg(way).arg(&model).args(["--jobs", &jobs.to_string()]);
            run.args(["--device-fraction", &device_fraction.to_string()]);
            run.args(["--server", &self.address()]);
            let figures: Reference = last_line(&self.run_on_device(&run)?)?;
            eprintln!("  reference, {way} x {jobs}: measured {:.1} ms", figures.measured_ms);
            references.add(cell, self.turn, figures)?;
        }
        self.testbed.stop(server).map(drop)
    }

    fn address(&self) -> String {
        format!("{}:{PORT}", self.testbed.addresses.server)
    }

    /// A subcommand of `cutpoint` on the block's model.
    fn cutpoint(&self, subcommand: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(sibling("cutpoint", self.args.cutpoint.as_deref())?);
        command.arg(subcommand).args(self.block.subject.arguments(self.folder)?);
        command.args(["--threads", "1", "--engine", &self.args.engine.to_string()]);
        Ok(command)
    }

    /// The same for the device.
    fn device(&self, subcommand: &str) -> anyhow::Result<Command> {
        let mut command = self.cutpoint(subcommand)?;
        command.args(["--server", &self.address()]);
        command.args(["--device-fraction", &self.block.device_fraction.to_string()]);
        Ok(command)
    }

    /// How to start a command: both its outputs go to a file.
    fn start(&self, command: &Command, log: &str) -> anyhow::Result<Start> {
        let log = File::create(self.folder.join(log))?;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words = words.map(Into::into).collect();
        Ok(Start { words, stdout: log.try_clone()?.into(), stderr: log.into() })
    }

    /// Starts a server and waits until it listens.
    fn serve(&self, command: &Command) -> anyhow::Result<ChildGroup> {
        let start = self.start(command, "server.log")?;
        self.testbed.serve(start, Ready::Port(PORT), READY_LIMIT)
    }

    /// Runs a command on the device to its end; gives what it wrote.
    fn run_on_device(&self, command: &Command) -> anyhow::Result<String> {
        let status = self.testbed.run(self.start(command, DEVICE_LOG)?, RUN_LIMIT)?;
        let said = std::fs::read_to_string(self.folder.join(DEVICE_LOG)).unwrap_or_default();
        ensure!(status.success(), "the device's command ended with {status}:\n{said}");
        Ok(said)
    }
}

/// The last line of JSON that a command wrote.
fn last_line<T: DeserializeOwned>(said: &str) -> anyhow::Result<T> {
    let found = said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    found.with_context(|| format!("a command gave no summary:\n{said}"))
}

fn figures(summary: &Summary, cuts: String) -> anyhow::Result<Figures> {
    ensure!(summary.failures == 0, "failed jobs: {}", summary.failures);
    ensure!(
        summary.fallbacks == 0,
        "the server was lost; jobs finished on the device: {}",
        summary.fallbacks
    );
    let busiest = summary.machines.iter().max_by(|a, b| a.measured.total_cmp(&b.measured));
    Ok(Figures {
        predicted_ms: summary.predicted_ms,
        measured_ms: summary.measured_ms,
        lower_bound_ms: summary.lower_bound_ms,
        offloaded: summary.offloaded,
        cuts,
        bottleneck: busiest.map(|use_| use_.machine.clone()).unwrap_or_default(),
        busy: busiest.map_or(0.0, |use_| use_.measured),
        planned_busy: summary.machines.iter().map(|use_| use_.planned).reduce(f64::max),
        load_average: origin::load(),
    })
}
