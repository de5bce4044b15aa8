//! Tensors that wait for the uplink: put by the compute thread as they are made, taken by the
//! sender in the plan's order, bounded in bytes.

use crate::encoding::Form;
use cutpoint_plan::workload::{JobId, TensorId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard};

/// Tensors between the compute thread and the sender.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
    bytes_max: usize,
}

/// What the sender finds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Taken {
    /// The tensor, in the form in which it is to be sent.
    Tensor(Form),
    /// The job failed before it made the tensor; it never will.
    Abandoned,
    /// Nothing more is to be sent.
    Closed,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<(JobId, TensorId), Form>,
    abandoned: BTreeSet<JobId>,
    bytes: usize,
    is_sender_idle: bool,
    is_closed: bool,
}

impl Outbox {
    /// An empty one that holds back the compute thread above `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Outbox {
        Outbox { state: Mutex::default(), changed: Condvar::new(), bytes_max }
    }

    /// Puts a tensor; waits while too many bytes are waiting, unless the sender waits for a tensor
    /// that is not there: then waiting would never end. After [`Outbox::close`] it does nothing.
    pub(super) fn put(&self, job: JobId, tensor: TensorId, value: Form) {
        let size = value.bytes().len();
        let mut state = self.lock();
        while state.bytes + size > self.bytes_max
            && !state.waiting.is_empty()
            && !state.is_sender_idle
            && !state.is_closed
        {
            state = self.wait(state);
        }
        if !state.is_closed {
            state.bytes += size;
            state.waiting.insert((job, tensor), value);
            self.changed.notify_all();
        }
    }

    /// Takes a tensor, waiting until it is put, or will never be.
    pub(super) fn take(&self, job: JobId, tensor: TensorId) -> Taken {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return Taken::Closed;
            }
            if let Some(value) = state.waiting.remove(&(job, tensor)) {
                state.is_sender_idle = false;
                state.bytes -= value.bytes().len();
                self.changed.notify_all();
                return Taken::Tensor(value);
            }
            if state.abandoned.contains(&job) {
                state.is_sender_idle = false;
                return Taken::Abandoned;
            }
            state.is_sender_idle = true;
            self.changed.notify_all();
            state = self.wait(state);
        }
    }

    /// Says that a job has failed: tensors of it that are not there will never be.
    pub(super) fn abandon(&self, job: JobId) {
        self.lock().abandoned.insert(job);
        self.changed.notify_all();
    }

    /// Whether nothing more is to be sent.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Ends all waiting, now and later.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds this lock")
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).expect("no thread panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    fn tensor(count: usize) -> Form {
        Tensor::from_f32(vec![count], &vec![1.0; count]).expect("count fits").into()
    }

    #[test]
    fn tensors_are_taken_in_the_takers_order() {
        let outbox = Outbox::new(1 << 20);
        outbox.put(JobId(1), TensorId(0), tensor(1));
        outbox.put(JobId(0), TensorId(0), tensor(2));
        assert_eq!(outbox.take(JobId(0), TensorId(0)), Taken::Tensor(tensor(2)));
        assert_eq!(outbox.take(JobId(1), TensorId(0)), Taken::Tensor(tensor(1)));
    }

    #[test]
    fn a_full_outbox_lets_in_what_the_sender_waits_for() {
        // Room for one tensor; the sender wants the one that comes third.
        let outbox = Outbox::new(4);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| outbox.take(JobId(2), TensorId(0)));
            for job in 0..3 {
                outbox.put(JobId(job), TensorId(0), tensor(1));
            }
            assert_eq!(taker.join().expect("no panic"), Taken::Tensor(tensor(1)));
        });
    }

    #[test]
    fn closing_ends_the_waiting_on_both_sides() {
        let outbox = Outbox::new(4);
        outbox.put(JobId(0), TensorId(0), tensor(1));
        std::thread::scope(|scope| {
            let putter = scope.spawn(|| outbox.put(JobId(1), TensorId(0), tensor(1)));
            outbox.close();
            putter.join().expect("no panic");
        });
        assert_eq!(outbox.take(JobId(0), TensorId(0)), Taken::Closed);
    }

    #[test]
    fn the_sender_does_not_wait_for_a_job_that_failed() {
        let outbox = Outbox::new(4);
        outbox.abandon(JobId(0));
        assert_eq!(outbox.take(JobId(0), TensorId(0)), Taken::Abandoned);
    }
}
