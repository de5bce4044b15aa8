//! The interface from the runtime to a planner: a program for the jobs that have not begun.
//!
//! The runtime carries out plans and makes none. When the link has changed, or the server is lost
//! or back, or jobs have arrived, it asks a [`Planner`] for a program for the jobs that are left.

use super::program::{Program, Segments};
use crate::error::Result;
use cutpoint_plan::plan::Partition;
use cutpoint_plan::replan::Backlog;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, ModelId, Workload};
use std::sync::Arc;

/// The circumstances of a plan for some jobs.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The bandwidth of the uplink; `None` without a connection.
    pub(crate) uplink: Option<Bandwidth>,
    /// The machines' remaining work for jobs that have begun.
    pub(crate) backlog: Backlog,
    /// How each of the jobs is cut so far; empty if they are new.
    pub(crate) cuts: Vec<Arc<Partition>>,
}

/// A program for some jobs.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The program; it names exactly the requested jobs.
    pub program: Program,
    /// When these jobs are complete by the plan, from now on.
    pub makespan: Time,
}

impl Planned {
    /// A program that keeps jobs on the device.
    pub(crate) fn local(
        segments: &Segments,
        workload: &Workload,
        jobs: &[(JobId, ModelId)],
    ) -> Planned {
        let time = |&(_, model): &(JobId, ModelId)| -> Time {
            workload.models()[model.index()].layers.iter().map(|layer| layer.device).sum()
        };
        let makespan = jobs.iter().map(time).sum();
        Planned { program: Program::local(segments, workload, jobs), makespan }
    }
}

/// Makes plans for jobs that have not begun, from what is loaded.
pub(crate) trait Planner {
    /// A program for these jobs; `None` if every one needs more than is loaded.
    ///
    /// # Errors
    /// As [`Program::new`].
    fn plan(&mut self, jobs: &[(JobId, ModelId)], standing: &Standing) -> Result<Option<Planned>>;
}
