//! The workload in the planner's terms: classes of interchangeable jobs and their modes.

use crate::cost::{Mode, Pricing};
use crate::partition::ModeSet;
use crate::plan::Granularity;
use crate::units::Time;
use crate::workload::{JobId, Model, ModelId, Workload};

/// Jobs of one model.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub model: ModelId,
    /// In the order of the workload; never empty.
    pub jobs: Vec<JobId>,
    /// What they may choose from; never empty.
    pub modes: Vec<Mode>,
}

impl Class {
    pub(crate) fn count(&self) -> u64 {
        self.jobs.len() as u64
    }

    /// The mode that uses the device alone, if it is among the choices.
    pub(crate) fn local(&self) -> Option<usize> {
        self.modes.iter().position(|m| !m.has_suffix)
    }
}

/// Everything the search for a plan needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Problem<'w> {
    pub workload: &'w Workload,
    pub granularity: Granularity,
    pub classes: Vec<Class>,
    /// Propagation time of one direction.
    pub half: Time,
    /// How many jobs the server computes at a time; `None` if none ever waits.
    pub executors: Option<u64>,
    /// Whether some best plan uses only the modes listed.
    pub is_complete: bool,
}

impl<'w> Problem<'w> {
    /// The problem of choosing from `modes` of each model; `None` if some job has no mode.
    pub(crate) fn new(
        workload: &'w Workload,
        granularity: Granularity,
        mut modes: impl FnMut(&Model, Pricing) -> ModeSet,
    ) -> Option<Problem<'w>> {
        let mut jobs: Vec<Vec<JobId>> = vec![Vec::new(); workload.models.len()];
        for (j, model) in workload.jobs.iter().enumerate() {
            jobs[model.index()].push(JobId::at(j));
        }
        let count = workload.jobs.len() as u64;
        let pricing = Pricing { link: workload.link, granularity, jobs: count };
        let mut classes = Vec::new();
        let mut is_complete = true;
        for (m, jobs) in jobs.into_iter().enumerate().filter(|(_, jobs)| !jobs.is_empty()) {
            let set = modes(&workload.models[m], pricing);
            if set.modes.is_empty() {
                return None;
            }
            is_complete &= set.is_complete;
            classes.push(Class { model: ModelId::at(m), jobs, modes: set.modes });
        }
        let executors = workload.server.executors.map(|k| u64::from(k.get()));
        Some(Problem {
            workload,
            granularity,
            classes,
            half: workload.link.round_trip.half(),
            executors: executors.filter(|&k| k < count),
            is_complete,
        })
    }

    pub(crate) fn jobs(&self) -> usize {
        self.classes.iter().map(|c| c.jobs.len()).sum()
    }

    /// Every (class, mode).
    pub(crate) fn all_modes(&self) -> impl Iterator<Item = (usize, &Mode)> + '_ {
        self.classes
            .iter()
            .enumerate()
            .flat_map(|(c, class)| class.modes.iter().map(move |m| (c, m)))
    }

    /// Whether server and downlink take no time in any mode: the two-machine model, apart from a
    /// fixed delay on everything that is sent.
    pub(crate) fn is_two_machine(&self) -> bool {
        self.all_modes().all(|(_, m)| {
            m.server == Time::ZERO
                && m.download.unwrap_or_default() == Time::ZERO
                && (!m.has_suffix || !m.parcels.is_empty())
        })
    }
}
