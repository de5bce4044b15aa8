//! `grid`: the experiments for real. For each network, link and device, in turns: models and link are
//! measured anew, then every policy is planned and executed, one after the other.
//!
//! Every run is a line in a file at once, and what is in the file is not run again, so that a grid may
//! be stopped and go on later.

mod cells;
mod cuts;
mod lines;
mod reference;
mod setting;

use crate::origin;
use crate::program::misuse;
use crate::testbed::host::interrupts::{Interrupts, Waited};
use crate::testbed::link_shape::LinkArgs;
use crate::testbed::session::{LinkKind, Ready, Settings, Side, Switch, Testbed, Turn, wait_ready};
use anyhow::{Context, bail, ensure};
use cells::{Block, Cell, Choice, Record, Records};
use cutpoint::engine::select::EngineChoice;
use cutpoint_plan::format::{read_plan, read_workload};
use cuts::cuts;
use reference::{Reference, References, Said};
use serde::Deserialize;
use setting::{GridLink, Subject};
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The port of the server in its namespace.
const PORT: u16 = 7_070;
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long one measurement or one run may take.
const RUN_LIMIT: Duration = Duration::from_secs(600);
/// The rate back to the device; results are small.
const DOWNLINK_MBPS: f64 = 40.0;

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

/// Runs what is missing; scripts/tables shows what the file has.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let choice = if args.smoke { Choice::smoke() } else { args.choice.clone() };
    let blocks = choice.blocks();
    if blocks.is_empty() {
        return Ok(misuse(&anyhow::anyhow!("nothing to run: a list of the grid is empty")));
    }
    let mut records = Records::open(&args.output)?;
    let references = args.output.with_extension("references.jsonl");
    let mut references =
        args.reference.as_ref().map(|_| References::open(&references)).transpose()?;
    let interrupts = Interrupts::new()?;
    let files = (&mut records, references.as_mut());
    let result = run_blocks(args, &blocks, &choice, files, &interrupts);
    if let (Err(error), Some(signal)) = (&result, interrupts.signal()) {
        eprintln!("error: {error:#}; the same command goes on from here");
        return Ok(ExitCode::from(128 + signal));
    }
    result?;
    eprintln!(
        "{} runs; `scripts/tables grid {}` shows them",
        records.all().len(),
        args.output.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Every turn of every block, so that a grid that is cut short has something of everything; then once
/// more the cells whose turns differ. Every second turn is backwards: no policy is always the last.
fn run_blocks(
    args: &Args,
    blocks: &[Block],
    choice: &Choice,
    (records, mut references): (&mut Records, Option<&mut References>),
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
                ways = reference::cells(block);
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
            let bench = Bench { args, block, folder: scratch.path(), interrupts };
            let place = || block.to_string();
            let model = bench.model()?;
            let session = Testbed::new(&bench.settings(), interrupts).with_context(place)?;
            if !missing.is_empty() {
                bench.run(&session, &model, &missing, turn, records).with_context(place)?;
            }
            if let Some(references) = &mut references {
                bench.refer(&session, &model, &ways, turn, references).with_context(place)?;
            }
        }
    }
    Ok(())
}

/// A testbed for one block.
struct Bench<'a> {
    args: &'a Args,
    block: &'a Block,
    folder: &'a Path,
    interrupts: &'a Interrupts,
}

impl Bench<'_> {
    /// Measures, then plans and executes each cell.
    fn run(
        &self,
        session: &Testbed,
        model: &Path,
        cells: &[Cell],
        turn: usize,
        records: &mut Records,
    ) -> anyhow::Result<()> {
        let mut serve = self.program()?;
        let listen = format!("{}:{PORT}", session.addresses().server);
        serve.extend(["serve".into(), model.into()]);
        serve.extend(["--listen", &listen, "--insecure"].map(OsString::from));
        serve.extend(self.engine());
        serve.extend(self.shape());
        let log = self.folder.join("server.log");
        let mut server =
            session.spawn(Side::Server, Turn::Waits, logged(&log, serve), Stdio::null())?;
        wait_ready(&mut server, Ready::Port(PORT), READY_LIMIT, self.interrupts)?;

        let workload = self.folder.join("workload.json");
        let mut measure: Vec<OsString> = vec!["profile".into(), model.into()];
        measure.extend(["--raw".into(), "-o".into(), workload.clone().into()]);
        self.device(session, measure)?;
        for cell in cells {
            let mut words: Vec<OsString> = vec!["run".into(), model.into()];
            words.push(format!("synthetic:{}", cell.jobs).into());
            words.extend(
                ["--policy", &cell.policy, "--granularity", &cell.granularity].map(OsString::from),
            );
            words.extend(["--rehearse".into(), self.args.rehearse.to_string().into()]);
            words.extend(["--repeat-ms".into(), self.args.repeat_ms.to_string().into()]);
            words.extend(["--format".into(), "json".into()]);
            // Outputs as text take longer to write than some models to compute.
            words.extend(["--output".into(), self.folder.join("outputs").into()]);
            words.extend(["--workload".into(), workload.clone().into()]);
            let [planned, rehearsed] =
                ["plan.json", "rehearsed.json"].map(|name| self.folder.join(name));
            words.extend(["--plan-output".into(), planned.clone().into()]);
            words.extend(["--workload-output".into(), rehearsed.clone().into()]);
            let said = self.device(session, words)?;
            let summary = said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
            let summary: Summary = summary.context("cutpoint run gave no summary")?;
            let rehearsed = read_workload(&std::fs::read(&rehearsed).context("its workload")?)?;
            let plan = read_plan(&std::fs::read(&planned).context("its plan")?, &rehearsed)?;
            let record = record(cell, turn, &summary, cuts(&rehearsed, &plan))?;
            eprintln!(
                "  {} x {} ({}): predicted {:.1} ms, measured {:.1} ms",
                cell.policy, cell.jobs, cell.granularity, record.predicted_ms, record.measured_ms
            );
            records.add(record)?;
        }
        server.stop(self.interrupts)?;
        Ok(())
    }

    /// Runs the reference in these ways.
    fn refer(
        &self,
        session: &Testbed,
        model: &Path,
        ways: &[Cell],
        turn: usize,
        references: &mut References,
    ) -> anyhow::Result<()> {
        let Some(program) = self.args.reference.as_ref().filter(|_| !ways.is_empty()) else {
            return Ok(());
        };
        let address = format!("{}:{PORT}", session.addresses().server);
        let words = |way: &str, further: &[&str]| -> Vec<OsString> {
            let mut words: Vec<OsString> = vec![program.into(), way.into(), model.into()];
            words.extend(further.iter().map(OsString::from));
            words
        };
        let log = self.folder.join("reference.log");
        let serve = logged(&log, words("serve", &["--listen", &address]));
        let mut server = session.spawn(Side::Server, Turn::Waits, serve, Stdio::null())?;
        wait_ready(&mut server, Ready::Port(PORT), READY_LIMIT, self.interrupts)?;
        for cell in ways {
            let Cell { policy: way, jobs, device_fraction, .. } = cell;
            let (jobs, fraction) = (jobs.to_string(), device_fraction.to_string());
            let further = ["--jobs", &jobs, "--device-fraction", &fraction, "--server", &address];
            let said = self.execute(session, words(way, &further))?;
            let said = said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
            let Said { makespan_ms: measured_ms } =
                said.context("the reference gave no figures")?;
            eprintln!("  reference, {way} x {jobs}: measured {measured_ms:.1} ms");
            let (cell, commit) = (cell.clone(), origin::commit());
            references.add(Reference { cell, turn, measured_ms, commit })?;
        }
        server.stop(self.interrupts)?;
        Ok(())
    }

    fn settings(&self) -> Settings {
        let (kind, uplink_mbps, rtt_ms) = match self.block.link {
            GridLink::Shaped { uplink_mbps, rtt_ms } => (LinkKind::Auto, uplink_mbps, rtt_ms),
            GridLink::Loopback => (LinkKind::Loopback, DOWNLINK_MBPS, 0.0),
        };
        let link = LinkArgs {
            uplink_mbps,
            downlink_mbps: DOWNLINK_MBPS,
            rtt_ms,
            queue_kib: self.args.queue_kib,
            loss: 0.0,
            jitter_ms: 0.0,
            seed: 1,
        };
        Settings {
            link,
            link_kind: kind,
            // The device is slowed by rests in its compute thread, which also hold for layers that
            // are shorter than the period of any quota.
            device_cores: 1.0,
            device_period_ms: 10,
            slow_start_after_idle: Switch::Off,
        }
    }

    /// The block's model as a file.
    fn model(&self) -> anyhow::Result<PathBuf> {
        let network = match &self.block.subject {
            Subject::File { path, .. } => return Ok(path.clone()),
            Subject::Zoo(network) => network,
        };
        let path = self.folder.join(format!("{network}.onnx"));
        if !path.exists() {
            std::fs::write(&path, network.to_onnx(0))?;
        }
        Ok(path)
    }

    fn shape(&self) -> Vec<OsString> {
        let shape = self.block.subject.shape();
        shape.map(|shape| vec!["--shape".into(), shape.into()]).unwrap_or_default()
    }

    fn program(&self) -> anyhow::Result<Vec<OsString>> {
        Ok(vec![crate::program::sibling("cutpoint", self.args.cutpoint.as_deref())?.into()])
    }

    fn engine(&self) -> Vec<OsString> {
        let engine = self.args.engine.to_string();
        ["--threads", "1", "--engine", &engine].map(OsString::from).into()
    }

    /// Runs `cutpoint` on the device to its end; gives what it wrote.
    fn device(&self, session: &Testbed, words: Vec<OsString>) -> anyhow::Result<String> {
        let mut command = self.program()?;
        command.extend(words);
        command.extend(self.engine());
        command.extend(self.shape());
        let server = format!("{}:{PORT}", session.addresses().server);
        command.extend(["--server".into(), server.into()]);
        let fraction = self.block.device_fraction.to_string();
        command.extend(["--device-fraction".into(), fraction.into()]);
        self.execute(session, command)
    }

    /// Runs a command on the device to its end; gives what it wrote.
    fn execute(&self, session: &Testbed, command: Vec<OsString>) -> anyhow::Result<String> {
        let log = self.folder.join("device.log");
        let mut device =
            session.spawn(Side::Device, Turn::Waits, logged(&log, command), Stdio::null())?;
        let mut files = vec![device.as_fd()];
        files.extend(session.emulator().map(|emulator| emulator.as_fd()));
        match self.interrupts.wait(&files, Instant::now() + RUN_LIMIT)? {
            Waited::Ready(0) => {}
            Waited::Ready(_) => bail!("the link emulator ended before the device's command"),
            Waited::TimeOver => bail!("the device's command takes longer than {RUN_LIMIT:?}"),
            Waited::Interrupted => self.interrupts.check()?,
        }
        let status = device.status()?.context("the device's command ended without a status")?;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        ensure!(status.success(), "the device's command ended with {status}:\n{said}");
        Ok(said)
    }
}

/// A command that writes to a file.
fn logged(log: &Path, command: Vec<OsString>) -> Vec<OsString> {
    let script = "log=$1; shift; exec \"$@\" >\"$log\" 2>&1";
    let mut words: Vec<OsString> = vec!["sh".into(), "-c".into(), script.into(), "sh".into()];
    words.push(log.into());
    words.extend(command);
    words
}

fn record(cell: &Cell, turn: usize, summary: &Summary, cuts: String) -> anyhow::Result<Record> {
    ensure!(summary.failures == 0, "{} jobs failed", summary.failures);
    ensure!(summary.fallbacks == 0, "the server was lost in {} jobs", summary.fallbacks);
    let busiest = summary.machines.iter().max_by(|a, b| a.measured.total_cmp(&b.measured));
    Ok(Record {
        cell: cell.clone(),
        turn,
        predicted_ms: summary.predicted_ms,
        measured_ms: summary.measured_ms,
        lower_bound_ms: summary.lower_bound_ms,
        offloaded: summary.offloaded,
        cuts,
        bottleneck: busiest.map(|use_| use_.machine.clone()).unwrap_or_default(),
        busy: busiest.map_or(0.0, |use_| use_.measured),
        planned_busy: summary.machines.iter().map(|use_| use_.planned).reduce(f64::max),
        load_average: origin::load(),
        commit: origin::commit(),
    })
}
