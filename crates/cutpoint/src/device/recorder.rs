//! The reports of a run's threads so far.

use super::event::Transferred;
use super::uplink_times::{Crossing, crossed};
use crate::tensor::Tensor;
use crate::trace::{Execution, RECORDED_JOBS_MAX, Waits};
use cutpoint_plan::plan::{Machine, Operation, Schedule};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::JobId;
use std::collections::BTreeMap;

/// A job that has not ended.
#[derive(Default)]
struct Partial {
    outputs: Vec<(String, Tensor)>,
    latest: Time,
}

/// The reports so far.
#[derive(Default)]
pub(crate) struct Recorder {
    /// How many jobs are listed at least.
    jobs: usize,
    partial: BTreeMap<JobId, Partial>,
    arrived: BTreeMap<JobId, Time>,
    crossings: Vec<Crossing>,
    /// When each job's last tensor was over the link at the latest.
    over: Vec<Option<Time>>,
    pub(crate) execution: Execution,
}

impl Recorder {
    /// Jobs that the execution lists even if they do not end.
    pub(crate) fn expect(&mut self, jobs: &[JobId]) {
        let count = jobs.iter().map(|job| job.index() + 1).max().unwrap_or(0);
        self.jobs = self.jobs.max(count);
    }

    /// A job has arrived, on its own.
    pub(crate) fn arrive(&mut self, job: JobId, arrived: Time) {
        self.arrived.insert(job, arrived);
    }

    /// A tensor has left whose bytes take so long at the link's bandwidth.
    pub(crate) fn transfer(&mut self, transferred: &Transferred, foreseen: Time) {
        let &Transferred { operation, raw, sent, .. } = transferred;
        self.execution.raw_bytes += raw;
        self.execution.sent_bytes += sent;
        if operation.job.index() < RECORDED_JOBS_MAX {
            self.crossings.push(Crossing { operation, foreseen });
        }
    }

    /// A job's last tensor was over the link by now.
    pub(crate) fn cross(&mut self, job: JobId, by: Time) {
        set(&mut self.over, job, Some(by));
    }

    /// A part of a job is done.
    pub(crate) fn part(&mut self, job: JobId, outputs: Vec<(String, Tensor)>, at: Time) {
        let partial = self.partial.entry(job).or_default();
        partial.outputs.extend(outputs);
        partial.latest = partial.latest.max(at);
    }

    /// All parts of a job are done; returns its outputs.
    pub(crate) fn end(&mut self, job: JobId) -> Vec<(String, Tensor)> {
        let Partial { outputs, latest } = self.partial.remove(&job).unwrap_or_default();
        self.execution.ended += 1;
        self.execution.makespan = self.execution.makespan.max(latest);
        self.complete(job, Some(latest));
        outputs
    }

    /// A job was cancelled.
    pub(crate) fn cancel(&mut self, job: JobId) {
        self.partial.remove(&job);
        self.complete(job, None);
        if self.execution.cancelled.len() < RECORDED_JOBS_MAX {
            self.execution.cancelled.push(job);
        }
    }

    /// A job has failed.
    pub(crate) fn fail(&mut self, job: JobId, cause: String) {
        self.partial.remove(&job);
        self.complete(job, None);
        self.execution.failure_count += 1;
        if self.execution.failures.len() < RECORDED_JOBS_MAX {
            self.execution.failures.push((job, cause));
        }
    }

    fn complete(&mut self, job: JobId, completion: Option<Time>) {
        let arrived = self.arrived.remove(&job);
        if job.index() >= RECORDED_JOBS_MAX {
            return;
        }
        set(&mut self.execution.completions, job, completion);
        if let Some((arrived, completion)) = arrived.zip(completion) {
            self.execution.latencies.push(completion.saturating_sub(arrived));
        }
    }

    /// A machine has done something.
    pub(crate) fn operation(&mut self, operation: Operation) {
        if operation.job.index() >= RECORDED_JOBS_MAX {
            return;
        }
        let schedule: &mut Schedule = &mut self.execution.schedule;
        match operation.work.machine() {
            Machine::Device => schedule.device.push(operation),
            Machine::Uplink => schedule.uplink.push(operation),
            Machine::Server => schedule.server.push(operation),
            Machine::Downlink => schedule.downlink.push(operation),
        }
    }

    /// The measured execution.
    pub(crate) fn into_execution(mut self, waits: Waits) -> Execution {
        let schedule = &mut self.execution.schedule;
        let over = |job: JobId| self.over.get(job.index()).copied().flatten();
        schedule.uplink = crossed(std::mem::take(&mut self.crossings), over);
        for operations in [&mut schedule.device, &mut schedule.server, &mut schedule.downlink] {
            operations.sort_by_key(|o| (o.start, o.end));
        }
        one_after_the_other(&mut schedule.downlink);
        self.execution.failures.sort_by_key(|(job, _)| *job);
        let jobs = self.jobs.min(RECORDED_JOBS_MAX).max(self.execution.completions.len());
        self.execution.completions.resize(jobs, None);
        self.execution.waits = waits;
        self.execution
    }
}

/// When results came is known, and when they left is reckoned: not before the last ones had come.
fn one_after_the_other(downlink: &mut [Operation]) {
    let mut free = Time::ZERO;
    for operation in downlink {
        operation.start = operation.start.max(free).min(operation.end);
        free = free.max(operation.end);
    }
}

/// Sets what is known of a job, unless it is beyond those that are recorded.
fn set(times: &mut Vec<Option<Time>>, job: JobId, time: Option<Time>) {
    if job.index() >= RECORDED_JOBS_MAX {
        return;
    }
    if times.len() <= job.index() {
        times.resize(job.index() + 1, None);
    }
    times[job.index()] = time;
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::plan::Work;
    use cutpoint_plan::workload::{LayerId, TensorId};

    #[test]
    fn the_record_of_a_stream_is_bounded() {
        let mut recorder = Recorder::default();
        let jobs = RECORDED_JOBS_MAX + 1_000;
        for number in 0..jobs {
            let job = JobId::at(number);
            let start = Time::from_nanoseconds(number as u64);
            recorder.arrive(job, start);
            for work in [Work::Layer(LayerId(0)), Work::Suffix, Work::Download] {
                let operation = Operation { job, work, start, end: start };
                recorder.operation(operation);
            }
            let work = Work::Transfer(TensorId(0));
            let operation = Operation { job, work, start, end: start };
            let left = Transferred { operation, connection: 0, raw: 2, sent: 1 };
            recorder.transfer(&left, Time::ZERO);
            recorder.cross(job, start);
            recorder.part(job, Vec::new(), start);
            assert_eq!(recorder.end(job), []);
        }
        assert!(recorder.partial.is_empty() && recorder.arrived.is_empty());
        assert_eq!(recorder.over.len(), RECORDED_JOBS_MAX);
        let execution = recorder.into_execution(Waits::default());
        assert_eq!(execution.ended, jobs as u64);
        assert_eq!((execution.raw_bytes, execution.sent_bytes), (2 * jobs as u64, jobs as u64));
        assert_eq!(execution.completions.len(), RECORDED_JOBS_MAX);
        assert_eq!(execution.latencies.len(), RECORDED_JOBS_MAX);
        let Schedule { device, uplink, server, downlink } = &execution.schedule;
        for operations in [device, uplink, server, downlink] {
            assert_eq!(operations.len(), RECORDED_JOBS_MAX);
        }
        // As docs/formats.md has it.
        assert_eq!(2 * size_of::<Option<Time>>() + size_of::<Time>(), 40);
        assert_eq!(size_of::<Operation>(), 32);
        assert_eq!(size_of::<Crossing>(), 40);
    }

    #[test]
    fn downloads_do_not_overlap() {
        let at = |start: u64, end: u64| {
            let [start, end] = [start, end].map(Time::from_nanoseconds);
            Operation { job: JobId(0), work: Work::Download, start, end }
        };
        let mut downlink = [at(0, 27), at(10, 37), at(12, 36), at(90, 117)];
        one_after_the_other(&mut downlink);
        assert_eq!(downlink, [at(0, 27), at(27, 37), at(36, 36), at(90, 117)]);
    }
}
