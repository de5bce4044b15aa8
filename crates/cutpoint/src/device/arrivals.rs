//! Where jobs come from, and how they are held back.

use super::planner::Planned;
use crate::input::{Inputs, Supply};
use crate::trace::Waits;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::ModelId;

/// The most jobs that are in work at a time; others that arrive wait outside and hold no tensors. A
/// batch comes in as a whole, as its inputs are loaded shortly before each job begins.
pub(crate) const JOBS_IN_SYSTEM_MAX: usize = 16;

/// Where the jobs of a run come from.
pub trait Arrivals<'s> {
    /// The next arrival by `now`, if there is room for it. Without room the source only takes note of
    /// what arrives.
    fn poll(&mut self, now: Time, has_room: bool) -> Arrival;

    /// The inputs of the jobs that arrive with a plan.
    fn supply(&self) -> Option<&'s dyn Supply> {
        None
    }
}

/// What has arrived.
#[derive(Debug)]
pub enum Arrival {
    /// A job, which the planner plans.
    Job {
        /// Its model.
        model: ModelId,
        /// When it arrived.
        arrived: Time,
        /// Its inputs.
        inputs: Inputs,
    },
    /// Jobs with a plan. The inputs of the plan's job `i` are those of number `i` in the supply.
    Planned(Planned),
    /// Nothing that may be taken now; the source is to be asked again by then, if a time is known.
    Later(Option<Time>),
    /// No more jobs will come.
    End,
}

/// No jobs but those that are submitted.
impl Arrivals<'_> for () {
    fn poll(&mut self, _now: Time, _has_room: bool) -> Arrival {
        Arrival::End
    }
}

/// Lets jobs in while there is room, and counts those that had to wait.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) waits: Waits,
    /// When the system was last seen to be full.
    full_at: Option<Time>,
}

impl Gate {
    /// Whether there is room for another job at `now`, with `in_system` jobs in work.
    pub(crate) fn has_room(&mut self, in_system: usize, now: Time) -> bool {
        let has_room = in_system < JOBS_IN_SYSTEM_MAX;
        if !has_room {
            self.full_at = Some(now);
        }
        has_room
    }

    /// A job is let in at `now` that arrived before.
    pub(crate) fn let_in(&mut self, arrived: Time, now: Time) {
        if self.full_at.is_some_and(|full_at| full_at >= arrived) {
            let wait = now.saturating_sub(arrived);
            self.waits.jobs += 1;
            self.waits.total += wait;
            self.waits.longest = self.waits.longest.max(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jobs_that_found_the_system_full_have_waited() {
        let at = Time::from_nanoseconds;
        let mut gate = Gate::default();
        assert!(gate.has_room(0, at(10)));
        gate.let_in(at(5), at(10));
        assert_eq!(gate.waits, Waits::default());
        assert!(!gate.has_room(JOBS_IN_SYSTEM_MAX, at(20)));
        assert!(gate.has_room(JOBS_IN_SYSTEM_MAX - 1, at(50)));
        gate.let_in(at(15), at(50));
        gate.let_in(at(30), at(51));
        assert_eq!(gate.waits, Waits { jobs: 1, total: at(35), longest: at(35) });
    }
}
