//! How to plan: policy, objective, granularity and arrivals.

use crate::error::UnknownName;
use crate::units::Time;
use std::fmt;
use std::str::FromStr;

/// A way to make a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Policy {
    /// Every layer of every job on the device.
    LocalOnly,
    /// Every layer of every job on the server.
    ServerOnly,
    /// Every job at its own latency-optimal cut, in arrival order.
    PartitionOnly,
    /// Each job wholly on the device or wholly on the server, the best assignment and order.
    ScheduleOnly,
    /// One cut for all jobs of a model, chosen for the makespan.
    BestSingle,
    /// The two adjacent cut points around equal stage times, the best split between them.
    Adjacent,
    /// Cuts and order together; never worse than any of the above.
    Joint,
    /// Every choice tried: the optimum, for small instances only.
    Exhaustive,
}

impl Policy {
    /// All policies, simplest first.
    pub const ALL: [Policy; 8] = [
        Policy::LocalOnly,
        Policy::ServerOnly,
        Policy::PartitionOnly,
        Policy::ScheduleOnly,
        Policy::BestSingle,
        Policy::Adjacent,
        Policy::Joint,
        Policy::Exhaustive,
    ];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Policy::LocalOnly => "local-only",
            Policy::ServerOnly => "server-only",
            Policy::PartitionOnly => "partition-only",
            Policy::ScheduleOnly => "schedule-only",
            Policy::BestSingle => "best-single",
            Policy::Adjacent => "adjacent",
            Policy::Joint => "joint",
            Policy::Exhaustive => "exhaustive",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Policy {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Policy, UnknownName> {
        UnknownName::find("policy", &Policy::ALL, Policy::name, name)
    }
}

/// The time that a plan minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Objective {
    /// The last completion.
    #[default]
    Makespan,
    /// The mean of all completions.
    MeanCompletion,
}

impl Objective {
    /// All objectives.
    pub const ALL: [Objective; 2] = [Objective::Makespan, Objective::MeanCompletion];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Objective::Makespan => "makespan",
            Objective::MeanCompletion => "mean-completion",
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Objective {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Objective, UnknownName> {
        UnknownName::find("objective", &Objective::ALL, Objective::name, name)
    }
}

/// When a tensor may start to cross the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// As soon as the layer that writes it (or its encode) has ended.
    #[default]
    Layer,
    /// After the last device layer of its job: the chain model of the paper.
    Job,
}

impl Granularity {
    /// Both granularities.
    pub const ALL: [Granularity; 2] = [Granularity::Layer, Granularity::Job];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Granularity::Layer => "layer",
            Granularity::Job => "job",
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Granularity {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Granularity, UnknownName> {
        UnknownName::find("granularity", &Granularity::ALL, Granularity::name, name)
    }
}

/// Options of a plan, apart from workload and policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanOptions {
    /// When transfers may start.
    pub granularity: Granularity,
    /// The time to minimise.
    pub objective: Objective,
    /// If jobs arrive one after the other, in the order of the workload: the time between two.
    pub period: Option<Time>,
    /// The share of the device-only time that a `joint` plan must save; otherwise it keeps
    /// every job on the device. 0 for whatever the search finds. It does not apply where jobs
    /// arrive one after the other.
    pub least_gain: f64,
}

/// The least gain, unless something else is asked for: about what predictions are off by.
///
/// A plan with a server in it hangs on more that is predicted than one without: both sides' times,
/// the link's, and that nothing fails. If it promises hardly more than the device alone, it is as
/// likely to be slower as faster.
pub const LEAST_GAIN: f64 = 0.03;

impl Default for PlanOptions {
    fn default() -> PlanOptions {
        let (granularity, objective) = (Granularity::default(), Objective::default());
        PlanOptions { granularity, objective, period: None, least_gain: LEAST_GAIN }
    }
}

impl PlanOptions {
    /// The smallest makespan of jobs that are all there from the start.
    pub fn at(granularity: Granularity) -> PlanOptions {
        PlanOptions { granularity, ..PlanOptions::default() }
    }

    /// The same without a least gain: what the search finds, however little it saves.
    pub fn raw(granularity: Granularity) -> PlanOptions {
        PlanOptions { least_gain: 0.0, ..PlanOptions::at(granularity) }
    }
}
