//! The time of every operation if decisions are carried out as early as possible.
//!
//! A decision says what each machine does and in which order; the simulation starts every
//! operation as soon as its machine is free and what it waits for is there. No schedule with the
//! same orders has anything earlier.

pub(crate) mod after_uplink;

use crate::options::{Granularity, Objective, Policy};
use crate::plan::{Operation, Partition, Plan, Schedule, Upload, Work};
use crate::problem::download_time;
use crate::simulate::after_uplink::{Visit, returns};
use crate::units::Time;
use crate::workload::{JobId, TensorId, Workload};

/// A plan without times: cuts, what is sent, and the order on each machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where each job is cut.
    pub partitions: Vec<Partition>,
    /// Every device layer and encode of every job, in the order they run; a layer after the
    /// layers that it reads from, an encode after the layer that writes its tensor.
    pub device: Vec<(JobId, Work)>,
    /// Every upload of every job, in the order they are sent.
    pub uplink: Vec<(JobId, TensorId)>,
    /// In which order jobs start on the server; `None` for the order of arrival.
    pub server: Option<Vec<JobId>>,
    /// The time between the arrivals of two jobs; `None` if all are there from the start.
    pub period: Option<Time>,
}

impl Decision {
    fn arrival(&self, job: JobId) -> Time {
        self.period.unwrap_or_default() * u64::from(job.0)
    }
}

/// Carries out `decision` as early as possible and writes it down as a plan; `bound` gives a lower
/// bound on the makespan of any plan, from the makespan of this one.
/// O(operations x uploads of a job + n log n).
///
/// # Panics
///
/// If a transfer never ends or an order leaves something out: decisions are made by the planner,
/// which chooses neither.
pub fn plan_of(
    workload: &Workload,
    policy: Policy,
    granularity: Granularity,
    objective: Objective,
    decision: Decision,
    bound: impl FnOnce(Time) -> Time,
) -> Plan {
    let mut run = Run::new(workload, &decision);
    run.device();
    run.uplink(granularity);
    run.after_uplink();
    let Run { schedule, completions, .. } = run;
    let makespan = completions.iter().copied().max().unwrap_or_default();
    let lower_bound = bound(makespan).min(makespan);
    Plan {
        policy,
        granularity,
        objective,
        period: decision.period,
        partitions: decision.partitions,
        schedule,
        completions,
        makespan,
        lower_bound,
        optimal: makespan == lower_bound,
    }
}

struct Run<'a> {
    workload: &'a Workload,
    decision: &'a Decision,
    schedule: Schedule,
    completions: Vec<Time>,
    /// For each job, when each of its uploads is ready to be sent.
    ready: Vec<Vec<Time>>,
    /// For each job with a suffix, when everything has arrived.
    arrived: Vec<Option<Time>>,
}

impl<'a> Run<'a> {
    fn new(workload: &'a Workload, decision: &'a Decision) -> Run<'a> {
        let jobs = workload.jobs.len();
        let partitions = &decision.partitions;
        let arrival = |j: usize| decision.arrival(JobId::at(j));
        let has_suffix = |j: usize| {
            let layers = workload.model_of(JobId::at(j)).layers.len();
            partitions[j].device_layers.count() < layers
        };
        Run {
            workload,
            decision,
            schedule: Schedule::default(),
            completions: (0..jobs).map(arrival).collect(),
            ready: (0..jobs).map(|j| vec![arrival(j); partitions[j].uploads.len()]).collect(),
            arrived: (0..jobs).map(|j| has_suffix(j).then_some(arrival(j))).collect(),
        }
    }

    fn device(&mut self) {
        let mut now = Time::ZERO;
        self.schedule.device.reserve(self.decision.device.len());
        for &(job, work) in &self.decision.device {
            let model = self.workload.model_of(job);
            let uploads = &self.decision.partitions[job.index()].uploads;
            now = now.max(self.decision.arrival(job));
            let start = now;
            let ready = &mut self.ready[job.index()];
            match work {
                Work::Layer(layer) => {
                    now += model.layers[layer.index()].device;
                    self.completions[job.index()] = now;
                    for (u, upload) in uploads.iter().enumerate() {
                        if model.tensors[upload.tensor.index()].producer == Some(layer) {
                            ready[u] = now;
                        }
                    }
                }
                Work::Encode(tensor) => {
                    let u = position(uploads, tensor);
                    let form = uploads[u].encoding.expect("raw uploads are not encoded");
                    now += model.tensors[tensor.index()].encodings[form].encode;
                    ready[u] = now;
                }
                Work::Transfer(_) | Work::Suffix | Work::Download => {
                    unreachable!("the device only runs layers and encodes")
                }
            }
            self.schedule.device.push(Operation { job, work, start, end: now });
        }
    }

    fn uplink(&mut self, granularity: Granularity) {
        let link = &self.workload.link;
        let mut free = Time::ZERO;
        self.schedule.uplink.reserve(self.decision.uplink.len());
        for &(job, tensor) in &self.decision.uplink {
            let uploads = &self.decision.partitions[job.index()].uploads;
            let u = position(uploads, tensor);
            let tensor_sent = &self.workload.model_of(job).tensors[tensor.index()];
            let transfer = link.uplink.transfer_time(tensor_sent.sent_bytes(uploads[u].encoding));
            let transfer = transfer.expect("only what gets through is sent");
            let mut ready = self.ready[job.index()][u];
            if granularity == Granularity::Job {
                ready = ready.max(self.completions[job.index()]);
            }
            let start = free.max(ready);
            free = start + transfer + link.message_overhead;
            let work = Work::Transfer(tensor);
            self.schedule.uplink.push(Operation { job, work, start, end: free });
            let arrived = self.arrived[job.index()].as_mut().expect("only jobs with a suffix send");
            *arrived = (*arrived).max(free + link.round_trip.half());
        }
    }

    /// The work of the server and the downlink.
    fn after_uplink(&mut self) {
        let arrived = |job: JobId| Some((self.arrived[job.index()]?, job));
        let mut by_arrival: Vec<(Time, JobId)> =
            (0..self.arrived.len()).filter_map(|j| arrived(JobId::at(j))).collect();
        by_arrival.sort();
        if let Some(order) = &self.decision.server {
            by_arrival = order.iter().filter_map(|&job| arrived(job)).collect();
        }
        let visit = |(arrival, job)| Visit {
            arrival,
            server: self.server_time(job),
            download: self.download_time(job),
            job,
        };
        let visits: Vec<Visit> = by_arrival.into_iter().map(visit).collect();
        let executors = self.workload.executors.map(|k| u64::from(k.get()));
        let half = self.workload.link.round_trip.half();
        returns(visits.iter(), executors, |&Visit { server, download, job, .. }, end, returned| {
            let work = Work::Suffix;
            self.schedule.server.push(Operation { job, work, start: end - server, end });
            if let Some(time) = download {
                let (start, work) = (returned - time, Work::Download);
                self.schedule.downlink.push(Operation { job, work, start, end: returned });
            }
            let completion = &mut self.completions[job.index()];
            *completion = (*completion).max(returned + half);
        });
        self.schedule.server.sort_by_key(|op| (op.start, op.end, op.job));
    }

    fn server_time(&self, job: JobId) -> Time {
        let model = self.workload.model_of(job);
        let partition = &self.decision.partitions[job.index()];
        let layers: Time = (model.layers.iter().enumerate())
            .filter(|(l, _)| !partition.device_layers.contains(crate::workload::LayerId::at(*l)))
            .map(|(_, layer)| layer.server)
            .sum();
        let decodes: Time = (partition.uploads.iter())
            .filter_map(|u| Some(model.tensors[u.tensor.index()].encodings[u.encoding?].decode))
            .sum();
        layers + decodes
    }

    /// How long a job's results take on the downlink; `None` without a downlink or results to send.
    fn download_time(&self, job: JobId) -> Option<Time> {
        let model = self.workload.model_of(job);
        let layers = &self.decision.partitions[job.index()].device_layers;
        let time = download_time(&self.workload.link, model, layers);
        time.expect("only what gets through is brought back")
    }
}

fn position(uploads: &[Upload], tensor: TensorId) -> usize {
    let found = uploads.iter().position(|upload| upload.tensor == tensor);
    found.expect("only uploads are encoded and sent")
}
