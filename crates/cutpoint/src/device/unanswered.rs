//! How much the device still holds of what it has sent: the server may be lost, so a job's tensors
//! stay until its answer is there.

use cutpoint_plan::workload::JobId;
use std::collections::BTreeMap;

/// The bytes of the tensors that were sent, by the jobs that have not ended.
#[derive(Debug)]
pub(super) struct Unanswered {
    bytes: BTreeMap<JobId, usize>,
    sum: usize,
    bytes_max: usize,
}

impl Unanswered {
    /// Nothing yet; holds back the sender above `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Unanswered {
        Unanswered { bytes: BTreeMap::new(), sum: 0, bytes_max }
    }

    /// Whether another tensor of so many bytes may leave. Where the server owes no answer, or has a
    /// part of the job, it must: waiting would never end.
    pub(super) fn has_room(&self, job: JobId, bytes: usize, owes_answers: bool) -> bool {
        !owes_answers
            || self.bytes.contains_key(&job)
            || self.sum.saturating_add(bytes) <= self.bytes_max
    }

    /// A tensor of a job leaves.
    pub(super) fn add(&mut self, job: JobId, bytes: usize) {
        let of_job = self.bytes.entry(job).or_default();
        *of_job = of_job.saturating_add(bytes);
        self.sum = self.sum.saturating_add(bytes);
    }

    /// A job has ended; its tensors go.
    pub(super) fn end(&mut self, job: JobId) {
        self.sum = self.sum.saturating_sub(self.bytes.remove(&job).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_holds_back_other_jobs_until_it_is_answered() {
        let mut unanswered = Unanswered::new(10);
        assert!(unanswered.has_room(JobId(0), 11, false), "the server owes nothing");
        unanswered.add(JobId(0), 4);
        unanswered.add(JobId(1), 5);
        assert!(unanswered.has_room(JobId(2), 1, true));
        assert!(!unanswered.has_room(JobId(2), 2, true));
        assert!(unanswered.has_room(JobId(1), 2, true), "the rest of a job may follow");
        unanswered.end(JobId(0));
        unanswered.end(JobId(7));
        assert!(unanswered.has_room(JobId(2), 5, true));
        unanswered.add(JobId(1), 3);
        assert!(!unanswered.has_room(JobId(2), 3, true));
        unanswered.end(JobId(1));
        assert!(unanswered.has_room(JobId(2), 10, true));
    }
}
