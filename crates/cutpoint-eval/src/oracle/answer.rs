//! The oracle's limits, answers and errors.

use cutpoint_plan::units::Time;
use std::fmt;

/// A model with more layers has too many sets of layers to try them all.
pub(super) const LAYERS_MAX: usize = 16;

/// How much work the oracle may take upon itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Nodes of the branch and bound.
    pub nodes: u64,
    /// A makespan that is known to be reached; nothing longer is looked at.
    pub reached: Option<Time>,
}

/// The oracle's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The smallest makespan of all plans.
    Optimum(Time),
    /// The limit came first.
    Undecided,
}

/// Why the oracle cannot judge a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OracleError {
    /// The workload has more than the two machines, or encodings.
    NotTwoMachines(&'static str),
    /// A model has more layers than can be tried.
    TooManyLayers(usize),
    /// A makespan was said to be reached that no plan reaches.
    NotReached(Time),
    /// The solver failed, or contradicts itself.
    Solver(String),
}

impl fmt::Display for OracleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OracleError::NotTwoMachines(what) => {
                write!(f, "the workload has {what}, but the oracle knows device and uplink only")
            }
            OracleError::TooManyLayers(layers) => {
                write!(f, "a model has {layers} layers, and the oracle tries at most {LAYERS_MAX}")
            }
            OracleError::NotReached(time) => write!(f, "no plan has a makespan of {time} or less"),
            OracleError::Solver(message) => write!(f, "the integer program failed: {message}"),
        }
    }
}

impl std::error::Error for OracleError {}
