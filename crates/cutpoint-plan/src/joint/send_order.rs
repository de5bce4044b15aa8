//! A plan in short: modes and the order of parcels, from which everything else follows.
//!
//! Given the order in which parcels are sent, it is best for the device to do, for each parcel in
//! turn, the work that this parcel still waits for, and to leave work that no parcel waits for to
//! the end: the start of a parcel on the uplink cannot come before all work for it and for the
//! parcels sent before it is done, and this order is never idle and does nothing else before.

use crate::cut::LayerSet;
use crate::cut::frontier::parents;
use crate::joint::after_uplink::{Visit, last_return};
use crate::options::Granularity;
use crate::plan::{Partition, Work};
use crate::problem::{Mode, Parcel, Problem};
use crate::simulate::Decision;
use crate::units::Time;
use crate::workload::{JobId, LayerId, ModelGraph};

/// A job of a [`Problem`]: its class and its position in the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub class: u32,
    pub position: u32,
}

/// Modes of all jobs and the order in which parcels are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// For each class, for each of its jobs, a position in the class's modes.
    pub modes: Vec<Vec<u32>>,
    /// Each parcel of each job.
    pub sends: Vec<(Member, u8)>,
    /// In which order suffixes start; `None` for the order of arrival.
    pub server: Option<Vec<Member>>,
}

impl Outline {
    fn mode<'p>(&self, problem: &'p Problem<'_>, member: Member) -> &'p Mode {
        let mode = self.modes[member.class as usize][member.position as usize];
        &problem.classes[member.class as usize].modes[mode as usize]
    }

    /// Every job in the order of the classes.
    fn members(&self) -> impl Iterator<Item = Member> + '_ {
        (0u32..).zip(&self.modes).flat_map(|(class, modes)| {
            (0u32..).zip(modes).map(move |(position, _)| Member { class, position })
        })
    }

    /// The makespan of this plan. O(n log n).
    pub(crate) fn makespan(&self, problem: &Problem<'_>) -> Time {
        let mut state: Vec<Vec<(usize, Time)>> =
            self.modes.iter().map(|m| vec![(0, Time::ZERO); m.len()]).collect();
        let (mut device, mut uplink) = (Time::ZERO, Time::ZERO);
        for &(member, parcel) in &self.sends {
            let mode = self.mode(problem, member);
            let (mask, arrival) = &mut state[member.class as usize][member.position as usize];
            let next = *mask | 1 << parcel;
            device += mode.before(next) - mode.before(*mask);
            uplink = uplink.max(device) + mode.parcels[parcel as usize].uplink;
            (*mask, *arrival) = (next, uplink + problem.half);
        }
        let visit = |member: Member| {
            let mode = self.mode(problem, member);
            let arrival = state[member.class as usize][member.position as usize].1;
            Visit { arrival, server: mode.server, download: mode.download }
        };
        let visits: Vec<Visit> = match &self.server {
            Some(order) => order.iter().map(|&m| visit(m)).collect(),
            None => {
                let mut visits: Vec<(Visit, JobId)> = (self.members())
                    .filter(|&m| self.mode(problem, m).has_suffix)
                    .map(|m| {
                        let class = &problem.classes[m.class as usize];
                        (visit(m), class.jobs[m.position as usize])
                    })
                    .collect();
                visits.sort_by_key(|&(visit, job)| (visit.arrival, job));
                visits.into_iter().map(|(visit, _)| visit).collect()
            }
        };
        let device: Time = self.members().map(|m| self.mode(problem, m).device).sum();
        device.max(last_return(&visits, problem.executors, problem.half))
    }

    /// The plan in full.
    pub(crate) fn decision(&self, problem: &Problem<'_>) -> Decision {
        let jobs = problem.jobs();
        let mut partitions: Vec<Option<Partition>> = vec![None; jobs];
        let mut masks: Vec<LayerSet> = Vec::new();
        let job_of = |m: Member| problem.classes[m.class as usize].jobs[m.position as usize];
        let mut started: Vec<bool> = vec![false; jobs];
        let (mut device, mut uplink) = (Vec::new(), Vec::with_capacity(self.sends.len()));
        masks.resize(jobs, LayerSet::empty());
        for member in self.members() {
            let mode = self.mode(problem, member);
            let partition = Partition { device_layers: mode.layers.clone(), uploads: Vec::new() };
            partitions[job_of(member).index()] = Some(partition);
        }
        for &(member, parcel) in &self.sends {
            let (job, mode) = (job_of(member), self.mode(problem, member));
            let model = problem.workload.model_of(job);
            if !started[job.index()] {
                started[job.index()] = true;
                masks[job.index()] = LayerSet::none(model);
            }
            let parcel = &mode.parcels[parcel as usize];
            let done = &mut masks[job.index()];
            prepare(problem, job, mode, parcel, done, &mut device);
            let partition = partitions[job.index()].as_mut().expect("every job has a mode");
            for &u in &parcel.uploads {
                let upload = &mode.uploads[u as usize];
                uplink.push((job, upload.tensor));
                partition.uploads.push(upload.clone());
            }
        }
        for member in self.members() {
            let (job, mode) = (job_of(member), self.mode(problem, member));
            let model = problem.workload.model_of(job);
            let left = |l: &LayerId| {
                mode.layers.contains(*l)
                    && !(started[job.index()] && masks[job.index()].contains(*l))
            };
            let rest = model.topological.iter().copied().filter(left);
            device.extend(rest.map(|l| (job, Work::Layer(l))));
        }
        Decision {
            partitions: partitions.into_iter().map(|p| p.expect("every job has a mode")).collect(),
            device,
            uplink,
            server: self.server.as_ref().map(|o| o.iter().map(|&m| job_of(m)).collect()),
            period: None,
        }
    }
}

/// Adds the device work that a parcel still waits for.
pub(crate) fn prepare(
    problem: &Problem<'_>,
    job: JobId,
    mode: &Mode,
    parcel: &Parcel,
    done: &mut LayerSet,
    device: &mut Vec<(JobId, Work)>,
) {
    let model = problem.workload.model_of(job);
    let wanted = match problem.granularity {
        Granularity::Job => mode.layers.clone(),
        Granularity::Layer => waited_for(model, mode, parcel, done),
    };
    let layers = model.topological.iter().copied().filter(|l| wanted.contains(*l));
    for layer in layers {
        if done.insert(layer) {
            device.push((job, Work::Layer(layer)));
        }
    }
    for &u in &parcel.uploads {
        let upload = &mode.uploads[u as usize];
        if upload.encoding.is_some() {
            device.push((job, Work::Encode(upload.tensor)));
        }
    }
}

/// The layers not yet done that the tensors of a parcel depend on.
fn waited_for(model: &ModelGraph, mode: &Mode, parcel: &Parcel, done: &LayerSet) -> LayerSet {
    let mut wanted = LayerSet::none(model);
    let mut open: Vec<LayerId> = (parcel.uploads.iter())
        .filter_map(|&u| model.tensors[mode.uploads[u as usize].tensor.index()].producer)
        .collect();
    while let Some(layer) = open.pop() {
        if !done.contains(layer) && wanted.insert(layer) {
            open.extend(parents(model, layer));
        }
    }
    wanted
}
