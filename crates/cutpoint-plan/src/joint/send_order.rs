//! A plan in short: modes and the order of parcels, from which everything else follows.
//!
//! Given the order in which parcels are sent, it is best for the device to do, for each parcel in
//! turn, the work that this parcel still waits for, and to leave work that no parcel waits for to
//! the end: the start of a parcel on the uplink cannot come before all work for it and for the
//! parcels sent before it is done, and this order is never idle and does nothing else before.

use crate::cut::LayerSet;
use crate::cut::frontier::parents;
use crate::options::Granularity;
use crate::plan::{Partition, Upload, Work};
use crate::problem::{Mode, Parcel, Problem};
use crate::simulate::Decision;
use crate::simulate::after_uplink::{Visit, last_return};
use crate::units::Time;
use crate::workload::{JobId, LayerId, ModelGraph, TensorId};

/// A job of a [`Problem`]: its class and its position in the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub class: usize,
    pub position: usize,
}

impl Member {
    /// The job of the workload.
    pub(crate) fn job(self, problem: &Problem<'_>) -> JobId {
        problem.classes[self.class].jobs[self.position]
    }
}

/// Modes of all jobs and the order in which parcels are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// For each class, for each of its jobs, a position in the class's modes.
    pub modes: Vec<Vec<usize>>,
    /// Each parcel of each job.
    pub sends: Vec<(Member, usize)>,
    /// In which order suffixes start; `None` for the order of arrival.
    pub server: Option<Vec<Member>>,
}

impl Outline {
    /// The plan that sends each job's parcels together, jobs in the order of a sequence of their
    /// classes and modes.
    pub(crate) fn in_sequence(
        problem: &Problem<'_>,
        sequence: impl Iterator<Item = (usize, usize)>,
    ) -> Outline {
        let mut modes: Vec<Vec<usize>> = vec![Vec::new(); problem.classes.len()];
        let mut sends = Vec::new();
        for (class, mode) in sequence {
            let member = Member { class, position: modes[class].len() };
            modes[class].push(mode);
            let parcels = problem.classes[class].modes[mode].parcels_in_order();
            sends.extend(parcels.map(|parcel| (member, parcel)));
        }
        Outline { modes, sends, server: None }
    }

    fn mode<'p>(&self, problem: &'p Problem<'_>, member: Member) -> &'p Mode {
        &problem.classes[member.class].modes[self.modes[member.class][member.position]]
    }

    /// Every job in the order of the classes.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.modes.iter().enumerate().flat_map(|(class, modes)| {
            (0..modes.len()).map(move |position| Member { class, position })
        })
    }

    /// The makespan of this plan. O(n log n).
    pub(crate) fn makespan(&self, problem: &Problem<'_>) -> Time {
        let mut state: Vec<Vec<(usize, Time)>> =
            self.modes.iter().map(|m| vec![(0, Time::ZERO); m.len()]).collect();
        let (mut device, mut uplink) = (Time::ZERO, Time::ZERO);
        for &(member, parcel) in &self.sends {
            let mode = self.mode(problem, member);
            let (mask, arrival) = &mut state[member.class][member.position];
            let next = *mask | 1 << parcel;
            device += mode.before(next) - mode.before(*mask);
            uplink = uplink.max(device) + mode.parcels[parcel].uplink;
            (*mask, *arrival) = (next, uplink + problem.half);
        }
        let visit = |member: Member| {
            let (_, arrival) = state[member.class][member.position];
            Visit::new(self.mode(problem, member), arrival, member.job(problem))
        };
        let visits: Vec<Visit> = match &self.server {
            Some(order) => order.iter().map(|&m| visit(m)).collect(),
            None => {
                let served = self.members().filter(|&m| self.mode(problem, m).has_suffix);
                let mut visits: Vec<Visit> = served.map(visit).collect();
                visits.sort_by_key(|visit| (visit.arrival, visit.job));
                visits
            }
        };
        let device: Time = self.members().map(|m| self.mode(problem, m).device).sum();
        device.max(last_return(visits.iter(), problem.executors, problem.half))
    }

    /// The plan in full.
    pub(crate) fn decision(&self, problem: &Problem<'_>) -> Decision {
        let mut draft = Draft::new(problem);
        draft.uplink.reserve(self.sends.len());
        for &(member, parcel) in &self.sends {
            draft.send(member.job(problem), self.mode(problem, member), parcel);
        }
        for member in self.members() {
            draft.finish(member.job(problem), self.mode(problem, member));
        }
        let members = self.server.as_ref();
        let server = members.map(|order| order.iter().map(|m| m.job(problem)).collect());
        Decision { server, ..draft.decision() }
    }
}

/// A decision that is being written down, parcel by parcel.
pub(crate) struct Draft<'p> {
    problem: &'p Problem<'p>,
    /// For each job that has sent something: its layers so far, and what it has sent.
    sent: Vec<Option<(LayerSet, Vec<Upload>)>>,
    partitions: Vec<Option<Partition>>,
    device: Vec<(JobId, Work)>,
    uplink: Vec<(JobId, TensorId)>,
}

impl<'p> Draft<'p> {
    pub(crate) fn new(problem: &'p Problem<'_>) -> Draft<'p> {
        let jobs = problem.jobs();
        let (device, uplink) = (Vec::new(), Vec::new());
        Draft { problem, sent: vec![None; jobs], partitions: vec![None; jobs], device, uplink }
    }

    /// Sends a parcel, after the device work that it still waits for.
    pub(crate) fn send(&mut self, job: JobId, mode: &Mode, parcel: usize) {
        let model = self.problem.workload.model_of(job);
        let parcel = &mode.parcels[parcel];
        let sent = &mut self.sent[job.index()];
        let (done, uploads) = sent.get_or_insert_with(|| (LayerSet::none(model), Vec::new()));
        let wanted = match self.problem.granularity {
            Granularity::Job => mode.layers.clone(),
            Granularity::Layer => waited_for(model, mode, parcel, done),
        };
        for layer in model.topological.iter().copied().filter(|l| wanted.contains(*l)) {
            if done.insert(layer) {
                self.device.push((job, Work::Layer(layer)));
            }
        }
        for &u in &parcel.uploads {
            let upload = &mode.uploads[u as usize];
            if upload.encoding.is_some() {
                self.device.push((job, Work::Encode(upload.tensor)));
            }
            self.uplink.push((job, upload.tensor));
            uploads.push(upload.clone());
        }
    }

    /// Does the device work of a job that nothing sent has waited for.
    pub(crate) fn finish(&mut self, job: JobId, mode: &Mode) {
        let model = self.problem.workload.model_of(job);
        let (done, uploads) = self.sent[job.index()].take().unzip();
        let is_done = |l: &LayerId| done.as_ref().is_some_and(|done| done.contains(*l));
        let rest = model.topological.iter().filter(|l| mode.layers.contains(**l) && !is_done(l));
        self.device.extend(rest.map(|&l| (job, Work::Layer(l))));
        let (device_layers, uploads) = (mode.layers.clone(), uploads.unwrap_or_default());
        self.partitions[job.index()] = Some(Partition { device_layers, uploads });
    }

    /// The decision, once every job is finished.
    pub(crate) fn decision(self) -> Decision {
        let partitions = self.partitions.into_iter().map(|p| p.expect("every job is finished"));
        Decision {
            partitions: partitions.collect(),
            device: self.device,
            uplink: self.uplink,
            server: None,
            period: None,
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
