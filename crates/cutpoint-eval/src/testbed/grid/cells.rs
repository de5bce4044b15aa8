//! What a grid consists of, and the file of what was run.

use anyhow::Context;
use cutpoint::zoo::Network;
use cutpoint_plan::plan::Policy;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Which cells there are: every combination.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Choice {
    /// Networks of the zoo.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "alexnet,resnet18,mobilenet-v2,squeezenet,googlenet,four-camera,fpn-detector"
    )]
    networks: Vec<Network>,

    /// Uplinks in Mbit/s, each with its round trip in ms.
    #[arg(
        long,
        value_name = "MBPS:MS",
        value_delimiter = ',',
        value_parser = parse_link,
        default_value = "18.88:5,5.85:50,1.1:100"
    )]
    links: Vec<(f64, f64)>,

    /// The device's speed as a fraction of the server's.
    #[arg(long, value_name = "FRACTION", value_delimiter = ',', default_value = "0.25")]
    device_fractions: Vec<f64>,

    /// Numbers of jobs.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_value = "20")]
    jobs: Vec<usize>,

    /// On links below 2 Mbit/s at most so many jobs, since raw inputs take seconds each.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    slow_jobs_max: usize,

    /// Policies.
    #[arg(
        long,
        value_name = "POLICY",
        value_delimiter = ',',
        default_value = "local-only,server-only,partition-only,schedule-only,joint"
    )]
    policies: Vec<Policy>,

    /// How often each cell is run; the report has medians.
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub(super) turns: usize,
}

/// Below this an uplink is slow.
const SLOW_MBPS: f64 = 2.0;

/// One combination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub network: String,
    pub uplink_mbps: f64,
    pub rtt_ms: f64,
    pub device_fraction: f64,
    pub jobs: usize,
    pub policy: String,
}

/// Cells that one testbed and one measurement serve.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub network: String,
    pub uplink_mbps: f64,
    pub rtt_ms: f64,
    pub device_fraction: f64,
    pub cells: Vec<Cell>,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Block { network, uplink_mbps, rtt_ms, device_fraction, .. } = self;
        write!(f, "{network}, {uplink_mbps} Mbit/s, {rtt_ms} ms, device at {device_fraction}")
    }
}

/// What came of a cell in one turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(flatten)]
    pub cell: Cell,
    pub turn: usize,
    pub predicted_ms: f64,
    pub measured_ms: f64,
    pub lower_bound_ms: f64,
    /// How many jobs sent something.
    pub offloaded: usize,
    /// The machine that was busy longest.
    pub bottleneck: String,
    /// The share of the makespan in which it was busy.
    pub busy: f64,
    /// Programs that wanted a processor at the end of the run.
    pub load_average: Option<f64>,
    pub commit: String,
}

fn parse_link(text: &str) -> Result<(f64, f64), String> {
    let parts = text.split_once(':').and_then(|(mbps, ms)| {
        let (mbps, ms): (f64, f64) = (mbps.parse().ok()?, ms.parse().ok()?);
        (mbps > 0.0 && mbps.is_finite() && ms >= 0.0 && ms.is_finite()).then_some((mbps, ms))
    });
    parts.ok_or_else(|| "expected MBPS:MS, for example 5.85:50".to_owned())
}

impl Choice {
    /// Two networks on a fast link, once.
    pub(super) fn smoke() -> Choice {
        Choice {
            networks: vec![Network::MobileNetV2, Network::FourCamera],
            links: vec![(18.88, 5.0)],
            device_fractions: vec![0.25],
            jobs: vec![6],
            slow_jobs_max: 5,
            policies: vec![
                Policy::LocalOnly,
                Policy::ServerOnly,
                Policy::PartitionOnly,
                Policy::Joint,
            ],
            turns: 1,
        }
    }

    /// All cells, by what they share. The policies of a number of jobs follow each other, so that the
    /// machine is alike for all of them.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for network in &self.networks {
            for &(uplink_mbps, rtt_ms) in &self.links {
                for &device_fraction in &self.device_fractions {
                    let network = network.name().to_owned();
                    let cells = self.cells(&network, uplink_mbps, rtt_ms, device_fraction);
                    blocks.push(Block { network, uplink_mbps, rtt_ms, device_fraction, cells });
                }
            }
        }
        blocks.retain(|block| !block.cells.is_empty());
        blocks
    }

    fn cells(&self, network: &str, mbps: f64, rtt_ms: f64, device_fraction: f64) -> Vec<Cell> {
        let most = if mbps < SLOW_MBPS { self.slow_jobs_max } else { usize::MAX };
        let mut counts: Vec<usize> = self.jobs.iter().map(|&jobs| jobs.min(most)).collect();
        counts.dedup();
        let cell = |jobs, policy: Policy| Cell {
            network: network.to_owned(),
            uplink_mbps: mbps,
            rtt_ms,
            device_fraction,
            jobs,
            policy: policy.name().to_owned(),
        };
        let of_count = |jobs| self.policies.iter().map(move |&policy| cell(jobs, policy));
        counts.into_iter().flat_map(of_count).collect()
    }
}

/// The file of all runs.
pub(super) struct Records {
    file: File,
    all: Vec<Record>,
}

impl Records {
    /// Opens or makes the file. A last line that was cut off is removed, and run again.
    pub(super) fn open(path: &Path) -> anyhow::Result<Records> {
        let place = || path.display().to_string();
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(place)?;
        let text = std::fs::read_to_string(path).with_context(place)?;
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        if whole.len() < text.len() {
            file.set_len(whole.len() as u64).with_context(place)?;
        }
        let mut all = Vec::new();
        for (number, line) in (1..).zip(whole.lines()) {
            let record = serde_json::from_str(line);
            all.push(record.with_context(|| format!("{}, line {number}", place()))?);
        }
        Ok(Records { file, all })
    }

    pub(super) fn all(&self) -> &[Record] {
        &self.all
    }

    pub(super) fn has(&self, cell: &Cell, turn: usize) -> bool {
        self.all.iter().any(|record| record.cell == *cell && record.turn == turn)
    }

    pub(super) fn add(&mut self, record: Record) -> anyhow::Result<()> {
        let line = serde_json::to_string(&record)? + "\n";
        self.file.write_all(line.as_bytes()).context("cannot write down a run")?;
        self.all.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(jobs: usize, turn: usize) -> Record {
        let cell = Choice::smoke().blocks().remove(0).cells.remove(0);
        Record {
            cell: Cell { jobs, ..cell },
            turn,
            predicted_ms: 10.0,
            measured_ms: 11.0,
            lower_bound_ms: 9.5,
            offloaded: 1,
            bottleneck: "uplink".into(),
            busy: 0.9,
            load_average: Some(1.5),
            commit: "abc".into(),
        }
    }

    #[test]
    fn what_was_run_is_there_when_the_grid_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.jsonl");
        let mut records = Records::open(&path).unwrap();
        records.add(record(3, 1)).unwrap();
        records.add(record(3, 2)).unwrap();
        drop(records);
        // A run that was killed while it wrote a line.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"network\":\"mob");
        std::fs::write(&path, text).unwrap();
        let mut records = Records::open(&path).unwrap();
        assert_eq!(records.all(), [record(3, 1), record(3, 2)]);
        records.add(record(4, 2)).unwrap();
        let records = Records::open(&path).unwrap();
        assert_eq!(records.all().len(), 3);
        assert!(records.has(&record(3, 1).cell, 2));
        assert!(!records.has(&record(4, 1).cell, 1));
    }

    #[test]
    fn slow_links_have_few_jobs() {
        let choice = Choice {
            links: vec![(1.1, 100.0), (18.88, 5.0)],
            jobs: vec![2, 8, 20],
            ..Choice::smoke()
        };
        let blocks = choice.blocks();
        let counts = |block: &Block| {
            let mut counts: Vec<usize> = block.cells.iter().map(|cell| cell.jobs).collect();
            counts.dedup();
            counts
        };
        assert_eq!(blocks.len(), 4);
        assert_eq!(counts(&blocks[0]), [2, 5]);
        assert_eq!(counts(&blocks[1]), [2, 8, 20]);
    }
}
