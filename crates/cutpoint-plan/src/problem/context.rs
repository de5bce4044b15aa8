//! The workload in the planner's terms: classes of interchangeable jobs and their modes.

use crate::flow_shop::johnson::Block;
use crate::options::Granularity;
use crate::problem::loads::{Loads, loads, weighted};
use crate::problem::mode::{Mode, ModeSet, Times};
use crate::problem::pricer::{Pricer, Pricing};
use crate::units::{Bandwidth, Time};
use crate::workload::{JobId, ModelGraph, Workload};

/// The exact search is tried for at most this many jobs, if server or downlink count.
pub(crate) const EXACT_JOBS_MAX: usize = 12;

/// Whether nothing takes any time after the uplink.
fn ends_with_uplink(workload: &Workload) -> bool {
    let is_free = |model: &ModelGraph| {
        let mut decodes = model.tensors.iter().flat_map(|t| &t.encodings).map(|e| e.decode);
        model.layers.iter().all(|l| l.server == Time::ZERO) && decodes.all(|d| d == Time::ZERO)
    };
    workload.link.downlink.is_none() && workload.models.iter().all(is_free)
}

/// The parts that all problems of a workload share.
#[derive(Clone, Debug)]
pub(crate) struct Context<'w> {
    pub workload: &'w Workload,
    pub granularity: Granularity,
    /// How many jobs the server computes at a time; `None` if none ever waits.
    pub executors: Option<u64>,
    /// For each model with jobs, in the order of the models: the model, ready to price its cuts,
    /// and the jobs.
    classes: Vec<(Pricer<'w>, Vec<JobId>)>,
}

impl<'w> Context<'w> {
    pub(crate) fn new(workload: &'w Workload, granularity: Granularity) -> Context<'w> {
        let mut jobs: Vec<Vec<JobId>> = vec![Vec::new(); workload.models.len()];
        for (j, model) in workload.jobs.iter().enumerate() {
            jobs[model.index()].push(JobId::at(j));
        }
        let count = workload.jobs.len() as u64;
        let is_apart = workload.jobs.len() <= EXACT_JOBS_MAX && !ends_with_uplink(workload);
        let pricing = Pricing { link: workload.link, granularity, jobs: count, is_apart };
        let used = jobs.into_iter().enumerate().filter(|(_, jobs)| !jobs.is_empty());
        let classes = used.map(|(m, jobs)| (Pricer::new(&workload.models[m], pricing), jobs));
        let executors = workload.executors.map(|k| u64::from(k.get()));
        Context {
            workload,
            granularity,
            executors: executors.filter(|&k| k < count),
            classes: classes.collect(),
        }
    }

    /// The same jobs at job granularity; cuts are listed once for both.
    pub(crate) fn by_job(&self) -> Context<'w> {
        let classes = self.classes.iter().map(|(pricer, jobs)| (pricer.by_job(), jobs.clone()));
        Context { granularity: Granularity::Job, classes: classes.collect(), ..*self }
    }

    /// The model and the number of its jobs, if no other model has jobs.
    pub(crate) fn only_class(&self) -> Option<(&Pricer<'w>, usize)> {
        match self.classes.as_slice() {
            [(pricer, jobs)] => Some((pricer, jobs.len())),
            _ => None,
        }
    }

    /// Prices cuts at another bandwidth of the uplink from now on.
    pub(crate) fn set_uplink(&mut self, uplink: Bandwidth) {
        self.classes.iter_mut().for_each(|(pricer, _)| pricer.set_uplink(uplink));
    }

    /// The problem of choosing from `modes` of each class; `None` if some class has no mode.
    pub(crate) fn problem(
        &self,
        mut modes: impl FnMut(usize, &Pricer<'w>) -> ModeSet,
    ) -> Option<Problem<'_>> {
        let mut classes = Vec::with_capacity(self.classes.len());
        for (c, (pricer, jobs)) in self.classes.iter().enumerate() {
            let ModeSet { modes, is_complete } = modes(c, pricer);
            if modes.is_empty() {
                return None;
            }
            classes.push(Class { jobs, modes, is_complete, pricer });
        }
        Some(Problem {
            workload: self.workload,
            granularity: self.granularity,
            half: self.workload.link.round_trip.half(),
            executors: self.executors,
            is_complete: classes.iter().all(|c| c.is_complete),
            classes,
            behind: Backlog::default(),
        })
    }
}

/// Jobs of one model.
#[derive(Clone, Debug)]
pub(crate) struct Class<'c> {
    /// In the order of the workload; never empty.
    pub jobs: &'c [JobId],
    /// The modes they may choose from; never empty.
    pub modes: Vec<Mode>,
    /// Whether some best plan uses only these modes.
    pub is_complete: bool,
    pub pricer: &'c Pricer<'c>,
}

impl Class<'_> {
    pub(crate) fn count(&self) -> u64 {
        self.jobs.len() as u64
    }

    /// All jobs in one mode.
    pub(crate) fn all_in(&self, mode: usize) -> Vec<u64> {
        let mut counts = vec![0; self.modes.len()];
        counts[mode] = self.count();
        counts
    }

    /// The mode that uses the device alone, if it is among the choices.
    pub(crate) fn local(&self) -> Option<usize> {
        self.modes.iter().position(|m| !m.has_suffix)
    }
}

/// Everything the search for a plan needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Problem<'c> {
    pub workload: &'c Workload,
    pub granularity: Granularity,
    pub classes: Vec<Class<'c>>,
    /// Propagation time of one direction.
    pub half: Time,
    /// How many jobs the server computes at a time; `None` if none ever waits.
    pub executors: Option<u64>,
    /// Whether some best plan uses only the modes listed.
    pub is_complete: bool,
    /// The work that the machines do first.
    pub behind: Backlog,
}

/// Work that the machines must finish before they turn to the jobs that are planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// On the device.
    pub device: Time,
    /// On the uplink.
    pub uplink: Time,
    /// On each executor of the server.
    pub server: Time,
}

impl Problem<'_> {
    /// Leaves out modes that another one of their class replaces on two machines without making
    /// the makespan longer: both are one segment, and neither device nor uplink time nor the time
    /// of the segment alone is longer.
    ///
    /// Other goals than the makespan may need what is left out. O(modes x kept).
    pub(crate) fn leave_out_longer_segments(&mut self) {
        if !self.is_two_machine() {
            return;
        }
        for class in &mut self.classes {
            let mut kept: Vec<[Time; 4]> = Vec::new();
            class.modes.retain(|mode| {
                let mut sending = mode.sending_segments();
                let (Some(one), None) = (sending.next(), sending.next()) else { return true };
                let Block { device, uplink, alone } = one.block;
                let times = [mode.device, device, uplink, alone];
                let is_beaten = kept.iter().any(|k| k.iter().zip(times).all(|(&k, t)| k <= t));
                if !is_beaten {
                    kept.push(times);
                }
                !is_beaten
            });
        }
    }

    /// The loads of one job in a mode, weighted by prices.
    pub(crate) fn load(&self, times: &Times, prices: Loads) -> u128 {
        weighted(prices, loads(times, self.executors))
    }

    /// The weighted loads of one job of a class in its cheapest mode.
    pub(crate) fn least_load(&self, class: &Class<'_>, prices: Loads) -> u128 {
        class.modes.iter().map(|mode| self.load(mode, prices)).min().unwrap_or(0)
    }

    /// When a job of a class alone completes at the earliest.
    pub(crate) fn least_latency(&self, class: &Class<'_>) -> Time {
        class.modes.iter().map(|mode| mode.latency(self.half)).min().unwrap_or_default()
    }

    /// The segments that send something in Johnson's order: class, mode, and position in the mode.
    pub(crate) fn segments_in_order(&self) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        for (c, class) in self.classes.iter().enumerate() {
            for (m, mode) in class.modes.iter().enumerate() {
                let sending = mode.segments.iter().enumerate().filter(|(_, s)| s.sends());
                found.extend(sending.map(|(s, segment)| (segment.key(), c, m, s)));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, c, m, s)| (c, m, s)).collect()
    }

    pub(crate) fn jobs(&self) -> usize {
        self.classes.iter().map(|c| c.jobs.len()).sum()
    }

    /// Every (class, mode).
    pub(crate) fn all_modes(&self) -> impl Iterator<Item = (usize, &Mode)> + '_ {
        let classes = self.classes.iter().enumerate();
        classes.flat_map(|(c, class)| class.modes.iter().map(move |m| (c, m)))
    }

    /// Whether server and downlink take no time in any mode, and all machines are free: the
    /// two-machine model, apart from a fixed delay on everything that is sent.
    pub(crate) fn is_two_machine(&self) -> bool {
        let is_free = self.behind == Backlog::default();
        is_free
            && self.all_modes().all(|(_, m)| {
                m.server == Time::ZERO
                    && m.download.unwrap_or_default() == Time::ZERO
                    && (!m.has_suffix || !m.parcels.is_empty())
            })
    }
}
