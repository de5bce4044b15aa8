//! A complete plan: where each job is cut and when each operation runs.

use crate::cut::LayerSet;
use crate::options::{Granularity, Objective, Policy};
use crate::units::{TIME_MAX, Time};
use crate::workload::{JobId, LayerId, TensorId};

/// A resource that does one thing at a time (the server: as many as it has executors).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Machine {
    /// The weak computer the jobs start on.
    Device,
    /// The link from device to server.
    Uplink,
    /// The strong computer.
    Server,
    /// The link from server to device, where its cost is modelled.
    Downlink,
}

impl Machine {
    /// All machines, in the order a job visits them.
    pub const ALL: [Machine; 4] =
        [Machine::Device, Machine::Uplink, Machine::Server, Machine::Downlink];

    /// The name in files and charts.
    pub fn name(self) -> &'static str {
        match self {
            Machine::Device => "device",
            Machine::Uplink => "uplink",
            Machine::Server => "server",
            Machine::Downlink => "downlink",
        }
    }
}

/// The work of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// One layer, on the device.
    Layer(LayerId),
    /// Bringing one frontier tensor into its encoding, on the device.
    Encode(TensorId),
    /// Sending one frontier tensor, on the uplink.
    Transfer(TensorId),
    /// All layers that are not on the device, and the decodes, on the server.
    Suffix,
    /// All model outputs made on the server, on the downlink.
    Download,
}

impl Work {
    /// The machine that does this kind of work.
    pub fn machine(self) -> Machine {
        match self {
            Work::Layer(_) | Work::Encode(_) => Machine::Device,
            Work::Transfer(_) => Machine::Uplink,
            Work::Suffix => Machine::Server,
            Work::Download => Machine::Downlink,
        }
    }
}

/// One piece of one job on one machine, planned or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The job it belongs to.
    pub job: JobId,
    /// The work done.
    pub work: Work,
    /// When it starts.
    pub start: Time,
    /// When it ends, and its machine is free again.
    pub end: Time,
}

/// When each operation runs, by machine, each list by start time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Layers and encodes.
    pub device: Vec<Operation>,
    /// Transfers.
    pub uplink: Vec<Operation>,
    /// Suffixes.
    pub server: Vec<Operation>,
    /// Downloads.
    pub downlink: Vec<Operation>,
}

impl Schedule {
    /// The operations of one machine.
    pub fn on(&self, machine: Machine) -> &[Operation] {
        match machine {
            Machine::Device => &self.device,
            Machine::Uplink => &self.uplink,
            Machine::Server => &self.server,
            Machine::Downlink => &self.downlink,
        }
    }
}

/// One tensor that crosses the link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upload {
    /// The tensor.
    pub tensor: TensorId,
    /// Its position in the tensor's encodings; `None` for raw.
    pub encoding: Option<usize>,
}

/// Where one job is cut, and how its tensors cross the link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    /// The layers that stay on the device: a downward-closed set.
    pub device_layers: LayerSet,
    /// Every frontier tensor once, in the order they are sent.
    pub uploads: Vec<Upload>,
}

/// Partitions and schedule together.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The policy that made it.
    pub policy: Policy,
    /// When transfers may start.
    pub granularity: Granularity,
    /// The objective that it minimises.
    pub objective: Objective,
    /// If jobs arrive one after the other: the time between two arrivals. Job k arrives after k
    /// periods; without a period all are there from the start.
    pub period: Option<Time>,
    /// One for each job.
    pub partitions: Vec<Partition>,
    /// When each operation runs.
    pub schedule: Schedule,
    /// When each job is complete.
    pub completions: Vec<Time>,
    /// The last completion.
    pub makespan: Time,
    /// No plan for this workload (at this granularity, with these arrivals) has a smaller makespan
    /// than this.
    pub lower_bound: Time,
    /// Whether the makespan is proved to be the smallest possible.
    pub optimal: bool,
}

impl Plan {
    /// When a job arrives.
    pub(crate) fn arrival(&self, job: JobId) -> Time {
        self.period.unwrap_or_default() * u64::from(job.0)
    }

    /// The jobs in the order in which they begin, on the device or the uplink. O(n log n).
    pub fn jobs_in_order(&self) -> Vec<JobId> {
        let mut begins = vec![TIME_MAX; self.partitions.len()];
        for operation in self.schedule.device.iter().chain(&self.schedule.uplink) {
            let begin = &mut begins[operation.job.index()];
            *begin = (*begin).min(operation.start);
        }
        let mut jobs: Vec<JobId> = (0..begins.len()).map(JobId::at).collect();
        jobs.sort_by_key(|j| begins[j.index()]);
        jobs
    }

    /// How long each job takes from its arrival to its completion.
    pub fn latencies(&self) -> impl Iterator<Item = Time> + '_ {
        let jobs = self.completions.iter().enumerate();
        jobs.map(|(j, completion)| completion.saturating_sub(self.arrival(JobId::at(j))))
    }

    /// How far above the lower bound the makespan is: `(makespan - bound) / bound`; 0 for nothing
    /// to do.
    pub fn gap(&self) -> f64 {
        let bound = self.lower_bound.nanoseconds() as f64;
        let over = self.makespan.saturating_sub(self.lower_bound).nanoseconds() as f64;
        if over > 0.0 { over / bound.max(1.0) } else { 0.0 }
    }
}
