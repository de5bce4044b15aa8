//! The cells of a grid and the figures of their runs.

use super::link::GridLink;
use crate::subject::Subject;
use clap::Parser as _;
use cutpoint::zoo::Network;
use cutpoint_plan::options::{Granularity, Policy};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The cells of a grid: every combination of these.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Choice {
    /// Networks of the zoo. Without networks and models: seven of them.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    networks: Vec<Network>,

    /// Models in files, each with the shape of its input if the file leaves it open.
    #[arg(long, value_name = "FILE[:NAME=SHAPE]", value_delimiter = ',')]
    models: Vec<Subject>,

    /// Uplinks in Mbit/s, each with its round trip in ms; or `loopback`, which nothing slows down.
    #[arg(
        long,
        value_name = "MBPS:MS",
        value_delimiter = ',',
        default_value = "18.88:5,5.85:50,1.1:100"
    )]
    links: Vec<GridLink>,

    /// The device's speed as a fraction of the server's.
    #[arg(long, value_name = "FRACTION", value_delimiter = ',', default_value = "0.25")]
    device_fractions: Vec<f64>,

    /// The numbers of jobs.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_value = "20")]
    jobs: Vec<usize>,

    /// The most jobs on links below 2 Mbit/s, where each raw input takes seconds.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    slow_jobs_max: usize,

    /// The policies.
    #[arg(
        long,
        value_name = "POLICY",
        value_delimiter = ',',
        default_value = "local-only,server-only,partition-only,schedule-only,joint"
    )]
    policies: Vec<Policy>,

    /// When tensors may leave: layer, job, or both.
    #[arg(long, value_name = "GRANULARITY", value_delimiter = ',', default_value = "layer")]
    granularities: Vec<Granularity>,

    /// How often each cell is run; the report has medians.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(super) turns: usize,

    /// Cells whose turns differ by more than this, in what they took or in how far that was from the
    /// prediction, are run once more after all turns.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub(super) spread_max: f64,
}

/// A command line of its own, for grids that have a name.
#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    choice: Choice,
}

/// The networks of the default grid.
const NETWORKS: [Network; 7] = [
    Network::AlexNet,
    Network::ResNet18,
    Network::MobileNetV2,
    Network::SqueezeNet,
    Network::GoogLeNet,
    Network::MultiHead,
    Network::FpnDetector,
];

/// One combination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub model: String,
    pub link: GridLink,
    pub device_fraction: f64,
    pub jobs: usize,
    pub granularity: String,
    pub policy: String,
}

/// Cells that one testbed and one measurement serve.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub subject: Subject,
    pub link: GridLink,
    pub device_fraction: f64,
    pub cells: Vec<Cell>,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Block { subject, link, device_fraction, .. } = self;
        write!(f, "{}, {link}, device at {device_fraction}", subject.name())
    }
}

/// The figures of a cell's run under its policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    pub predicted_ms: f64,
    pub measured_ms: f64,
    pub lower_bound_ms: f64,
    /// How many jobs sent something.
    pub offloaded: usize,
    /// How many jobs are cut where, in the order in which they begin; empty in older files.
    #[serde(default)]
    pub cuts: String,
    /// The machine that was busy longest.
    pub bottleneck: String,
    /// The share of the makespan in which it was busy.
    pub busy: f64,
    /// The greatest share in which a machine was to be busy; older files have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_busy: Option<f64>,
    /// Programs that wanted a processor at the end of the run.
    pub load_average: Option<f64>,
}

impl Choice {
    /// Two networks on a fast link, once.
    pub(super) fn smoke() -> Choice {
        let words = "grid --networks=mobilenet-v2,four-camera --links=18.88:5 --jobs=6 --turns=1 \
                     --policies=local-only,server-only,partition-only,joint";
        Line::parse_from(words.split_whitespace()).choice
    }

    /// All cells, by what they share. The policies of a number of jobs follow each other, so that the
    /// machine is alike for all of them.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for subject in self.subjects() {
            for &link in &self.links {
                for &device_fraction in &self.device_fractions {
                    let subject = subject.clone();
                    let cells = self.cells(&subject.name(), link, device_fraction);
                    blocks.push(Block { subject, link, device_fraction, cells });
                }
            }
        }
        blocks.retain(|block| !block.cells.is_empty());
        blocks
    }

    fn subjects(&self) -> Vec<Subject> {
        let networks = match (&self.networks[..], &self.models[..]) {
            ([], []) => &NETWORKS,
            (networks, _) => networks,
        };
        networks.iter().copied().map(Subject::Network).chain(self.models.iter().cloned()).collect()
    }

    fn cells(&self, model: &str, link: GridLink, device_fraction: f64) -> Vec<Cell> {
        let most = if link.is_slow() { self.slow_jobs_max } else { usize::MAX };
        let mut counts: Vec<usize> = self.jobs.iter().map(|&jobs| jobs.min(most)).collect();
        counts.dedup();
        let mut cells = Vec::new();
        for jobs in counts {
            for policy in &self.policies {
                // Policies that send whole inputs or nothing are the same at both.
                let is_split = !matches!(
                    policy,
                    Policy::LocalOnly | Policy::ServerOnly | Policy::ScheduleOnly
                );
                let most = if is_split { usize::MAX } else { 1 };
                cells.extend(self.granularities.iter().take(most).map(|granularity| Cell {
                    model: model.to_owned(),
                    link,
                    device_fraction,
                    jobs,
                    granularity: granularity.to_string(),
                    policy: policy.name().to_owned(),
                }));
            }
        }
        cells
    }
}

impl Block {
    /// The cells of runs without Cutpoint: each way for each number of jobs, in the place of a policy.
    pub(super) fn without_cutpoint(&self, ways: &[&str]) -> Vec<Cell> {
        let mut settings: Vec<&Cell> = self.cells.iter().collect();
        settings.dedup_by_key(|cell| cell.jobs);
        let of = |cell: &Cell| {
            let way = |way: &&str| Cell { policy: (*way).to_owned(), ..cell.clone() };
            ways.iter().map(way).collect::<Vec<_>>()
        };
        settings.into_iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_links_have_few_jobs() {
        let choice = Choice {
            links: vec!["1.1:100".parse().unwrap(), "18.88:5".parse().unwrap()],
            jobs: vec![2, 8, 20],
            ..Choice::smoke()
        };
        let blocks = choice.blocks();
        let counts = |cells: &[Cell]| {
            let mut counts: Vec<usize> = cells.iter().map(|cell| cell.jobs).collect();
            counts.dedup();
            counts
        };
        assert_eq!(blocks.len(), 4);
        assert_eq!(counts(&blocks[0].cells), [2, 5]);
        assert_eq!(counts(&blocks[1].cells), [2, 8, 20]);
        let without = blocks[0].without_cutpoint(&["local", "offload"]);
        let ways: Vec<_> = without.iter().map(|cell| (cell.jobs, cell.policy.as_str())).collect();
        assert_eq!(ways, [(2, "local"), (2, "offload"), (5, "local"), (5, "offload")]);
    }
}
