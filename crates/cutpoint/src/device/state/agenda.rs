//! What is still to be done, in the plan's order: steps of the device, tensors to send, and the
//! tensors that wait for the uplink, bounded in bytes.
//!
//! The agenda is a state without threads; the monitor puts it behind a lock.

use crate::device::program::{Program, Send, Step};
use crate::encoding::Form;
use cutpoint_plan::workload::{JobId, TensorId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many of the next tensors are searched for the jobs that come next.
const SENDS_LOOKED_AT_MAX: usize = 64;

/// Steps, sends, and what waits between them.
#[derive(Debug)]
pub(crate) struct Agenda {
    /// The remaining steps of the device.
    pub(crate) steps: VecDeque<Step>,
    /// The tensors still to be sent.
    pub(crate) sends: VecDeque<Send>,
    waiting: BTreeMap<(JobId, TensorId), Form>,
    waiting_bytes: usize,
    bytes_max: usize,
    /// Whether the sender waits for a tensor that is not there.
    is_sender_idle: bool,
}

impl Agenda {
    /// An empty one that holds back the device above `bytes_max` of tensors that wait.
    pub(crate) fn new(bytes_max: usize) -> Agenda {
        Agenda {
            steps: VecDeque::new(),
            sends: VecDeque::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            bytes_max,
            is_sender_idle: false,
        }
    }

    /// Adds what a program has for `jobs`, after all that is there; what was there for them goes.
    pub(crate) fn plan(&mut self, program: Program, jobs: &BTreeSet<JobId>) {
        self.steps.retain(|step| !jobs.contains(&step.job));
        self.sends.retain(|send| !jobs.contains(&send.job));
        self.steps.extend(program.steps.into_iter().filter(|s| jobs.contains(&s.job)));
        self.sends.extend(program.sends.into_iter().filter(|s| jobs.contains(&s.job)));
    }

    /// Of the jobs for which `is_fresh` holds, those that come next: at most `count` on the device,
    /// and as many whose inputs leave as they are.
    pub(crate) fn coming(&self, count: usize, is_fresh: impl Fn(JobId) -> bool) -> Vec<JobId> {
        let sends = self.sends.iter().take(SENDS_LOOKED_AT_MAX).filter(|send| send.is_there);
        let device = first(self.steps.iter().map(|step| step.job).filter(|&j| is_fresh(j)), count);
        let uplink = first(sends.map(|send| send.job).filter(|&j| is_fresh(j)), count);
        let places = (0..count).flat_map(|place| [device.get(place), uplink.get(place)]);
        first(places.flatten().copied(), 2 * count)
    }

    /// Whether the tensor whose turn it is is there.
    pub(crate) fn can_send(&self) -> bool {
        self.sends.front().is_some_and(|next| {
            next.is_there || self.waiting.contains_key(&(next.job, next.tensor))
        })
    }

    /// The next tensor to send, and its form unless it is an input as it is; nothing while the
    /// tensor whose turn it is is not there.
    pub(crate) fn take_send(&mut self) -> Option<(Send, Option<Form>)> {
        let next = self.sends.front()?;
        let form = match next.is_there {
            true => None,
            false => {
                let Some(form) = self.waiting.remove(&(next.job, next.tensor)) else {
                    self.is_sender_idle = true;
                    return None;
                };
                self.waiting_bytes -= form.bytes().len();
                Some(form)
            }
        };
        self.is_sender_idle = false;
        self.sends.pop_front().map(|send| (send, form))
    }

    /// The sender waits, and not for a tensor.
    pub(crate) fn hold_sender_back(&mut self) {
        self.is_sender_idle = false;
    }

    /// Whether a tensor of `bytes` may wait now. Above the limit it may not, unless the sender
    /// waits for a tensor that is not there: then waiting would never end.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.waiting_bytes + bytes <= self.bytes_max
            || self.waiting.is_empty()
            || self.is_sender_idle
    }

    /// A tensor waits for the uplink from now on.
    pub(crate) fn put(&mut self, job: JobId, tensor: TensorId, form: Form) {
        self.waiting_bytes += form.bytes().len();
        self.waiting.insert((job, tensor), form);
    }

    /// Nothing more of these jobs is sent.
    pub(crate) fn drop_sends(&mut self, is_dropped: impl Fn(JobId) -> bool) {
        self.sends.retain(|send| !is_dropped(send.job));
        self.waiting.retain(|(job, _), _| !is_dropped(*job));
        self.waiting_bytes = self.waiting.values().map(|form| form.bytes().len()).sum();
    }

    /// Nothing more of a job is done or sent.
    pub(crate) fn drop_job(&mut self, job: JobId) {
        self.steps.retain(|step| step.job != job);
        self.drop_sends(|other| other == job);
    }
}

/// The first `count` jobs, each once.
fn first(jobs: impl Iterator<Item = JobId>, count: usize) -> Vec<JobId> {
    let mut found = Vec::with_capacity(count);
    for job in jobs {
        if found.len() == count {
            break;
        }
        if !found.contains(&job) {
            found.push(job);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::program::StepWork;
    use crate::tensor::Tensor;
    use std::sync::Arc;

    fn tensor(count: usize) -> Form {
        Tensor::from_f32(vec![count], &vec![1.0; count]).expect("count fits").into()
    }

    fn send(job: u32, is_there: bool) -> Send {
        Send { job: JobId(job), tensor: TensorId(0), part: 0, parts: 1, is_there }
    }

    fn step(job: u32) -> Step {
        Step {
            job: JobId(job),
            work: StepWork::Layers { segments: vec![0], layers: vec![] },
            departs: vec![TensorId(0)],
            drops: vec![],
            is_last: true,
        }
    }

    /// One step and one send of each job.
    fn program(jobs: &[u32], is_there: bool) -> Program {
        Program {
            segments: Arc::new(vec![]),
            steps: jobs.iter().map(|&job| step(job)).collect(),
            sends: jobs.iter().map(|&job| send(job, is_there)).collect(),
            jobs: vec![],
        }
    }

    fn agenda(jobs: &[u32], bytes_max: usize) -> Agenda {
        let mut agenda = Agenda::new(bytes_max);
        agenda.plan(program(jobs, false), &jobs.iter().map(|&job| JobId(job)).collect());
        agenda
    }

    fn sent(agenda: &mut Agenda) -> Vec<u32> {
        std::iter::from_fn(|| agenda.take_send()).map(|(send, _)| send.job.0).collect()
    }

    #[test]
    fn tensors_leave_in_the_plans_order() {
        let mut agenda = agenda(&[0, 1], 1 << 20);
        agenda.put(JobId(1), TensorId(0), tensor(1));
        assert_eq!(sent(&mut agenda), [0u32; 0]);
        agenda.put(JobId(0), TensorId(0), tensor(2));
        assert_eq!(sent(&mut agenda), [0, 1]);
    }

    #[test]
    fn a_full_agenda_admits_the_tensor_that_the_sender_waits_for() {
        // Room for one tensor of four bytes.
        let mut agenda = agenda(&[2, 0, 1], 4);
        assert!(agenda.has_room(8), "nothing waits");
        agenda.put(JobId(0), TensorId(0), tensor(1));
        assert!(!agenda.has_room(4));
        assert_eq!(agenda.take_send(), None);
        assert!(agenda.has_room(4), "the sender waits for job 2");
        agenda.put(JobId(2), TensorId(0), tensor(1));
        assert_eq!(sent(&mut agenda), [2, 0]);
        agenda.put(JobId(1), TensorId(0), tensor(1));
        assert_eq!(sent(&mut agenda), [1]);
    }

    #[test]
    fn a_new_plan_replaces_what_is_left_of_the_jobs_that_it_is_for() {
        let mut agenda = agenda(&[0, 1, 2], 1 << 20);
        assert_eq!(agenda.steps.pop_front().map(|step| step.job), Some(JobId(0)));
        // The plan was made before job 0 began; it is not for job 0 any more.
        let fresh = [1, 2].map(JobId).into();
        agenda.plan(program(&[2, 0, 1], true), &fresh);
        let steps: Vec<u32> =
            std::iter::from_fn(|| agenda.steps.pop_front()).map(|step| step.job.0).collect();
        assert_eq!(steps, [2, 1]);
        assert_eq!(sent(&mut agenda), [0u32; 0], "job 0 is still first");
        agenda.put(JobId(0), TensorId(0), tensor(1));
        assert_eq!(sent(&mut agenda), [0, 2, 1]);
    }

    #[test]
    fn the_jobs_that_come_next_are_those_of_both_machines_in_turn() {
        let mut agenda = Agenda::new(4);
        let mut program = program(&[0, 0, 1, 2, 3], false);
        program.sends = [7, 2, 6, 5].map(|job| send(job, true)).into();
        program.sends.insert(0, send(4, false));
        agenda.plan(program, &(0..8).map(JobId).collect());
        let coming = |count| -> Vec<u32> {
            agenda.coming(count, |job| job != JobId(1)).into_iter().map(|job| job.0).collect()
        };
        assert_eq!(coming(0), [0u32; 0]);
        assert_eq!(coming(1), [0, 7]);
        // Job 1 has begun, job 4 waits for the device, and job 2 comes next on both.
        assert_eq!(coming(3), [0, 7, 2, 3, 6]);
    }

    #[test]
    fn the_sender_does_not_wait_for_a_job_that_is_dropped() {
        let mut agenda = agenda(&[0, 1], 4);
        agenda.put(JobId(1), TensorId(0), tensor(1));
        agenda.drop_job(JobId(0));
        assert_eq!(agenda.steps.pop_front().map(|step| step.job), Some(JobId(1)));
        assert_eq!(sent(&mut agenda), [1]);
        assert!(agenda.steps.is_empty());
    }
}
