//! A batch: jobs that are all there from the start, under the plan that was prepared.

use super::arrivals::{Arrival, Arrivals};
use super::planner::Planned;
use super::prepared::Prepared;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Supply;
use cutpoint_plan::units::Time;

/// Jobs that arrive together at time 0, with their plan.
pub(crate) struct Batch<'s> {
    planned: Option<Planned>,
    supply: &'s dyn Supply,
}

impl<'s> Batch<'s> {
    /// The jobs of the plan that was prepared, on these inputs.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] unless there is one set of inputs for each job.
    pub(crate) fn new(prepared: &Prepared, supply: &'s dyn Supply) -> Result<Batch<'s>> {
        let program = prepared.program.clone();
        let (jobs, inputs) = (program.jobs.len(), supply.count());
        if inputs != jobs {
            let message = format!("the plan has {jobs} jobs, found inputs for {inputs}");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        Ok(Batch { planned: Some(Planned { program, makespan: Time::ZERO }), supply })
    }
}

impl<'s> Arrivals<'s> for Batch<'s> {
    fn poll(&mut self, _now: Time, has_room: bool) -> Arrival {
        if !has_room {
            return Arrival::Later(None);
        }
        self.planned.take().map_or(Arrival::End, Arrival::Planned)
    }

    fn supply(&self) -> Option<&'s dyn Supply> {
        Some(self.supply)
    }
}
