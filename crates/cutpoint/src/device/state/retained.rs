//! How much the device still holds of what it has sent: the server may be lost, so a job's tensors
//! stay until its answer is there.

use cutpoint_plan::workload::JobId;
use std::collections::BTreeMap;

/// The bytes of the tensors that were sent, by the jobs that have not ended.
#[derive(Debug)]
pub(crate) struct Retained {
    bytes: BTreeMap<JobId, usize>,
    sum: usize,
    bytes_max: usize,
}

impl Retained {
    /// Nothing yet; holds back the sender above `bytes_max`.
    pub(crate) fn new(bytes_max: usize) -> Retained {
        Retained { bytes: BTreeMap::new(), sum: 0, bytes_max }
    }

    /// Whether another tensor of this size may leave. Where the server owes no answer, or has a
    /// part of the job, it must: waiting would never end.
    pub(crate) fn has_room(&self, job: JobId, bytes: usize, owes_answers: bool) -> bool {
        !owes_answers
            || self.bytes.contains_key(&job)
            || self.sum.saturating_add(bytes) <= self.bytes_max
    }

    /// A tensor of a job leaves.
    pub(crate) fn add(&mut self, job: JobId, bytes: usize) {
        let of_job = self.bytes.entry(job).or_default();
        *of_job = of_job.saturating_add(bytes);
        self.sum = self.sum.saturating_add(bytes);
    }

    /// A job has ended; its tensors go.
    pub(crate) fn end(&mut self, job: JobId) {
        self.sum = self.sum.saturating_sub(self.bytes.remove(&job).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retained_bytes_hold_back_other_jobs_until_answered() {
        let mut retained = Retained::new(10);
        assert!(retained.has_room(JobId(0), 11, false), "the server owes nothing");
        retained.add(JobId(0), 4);
        retained.add(JobId(1), 5);
        assert!(retained.has_room(JobId(2), 1, true));
        assert!(!retained.has_room(JobId(2), 2, true));
        assert!(retained.has_room(JobId(1), 2, true), "the rest of a job may follow");
        retained.end(JobId(0));
        retained.end(JobId(7));
        assert!(retained.has_room(JobId(2), 5, true));
        retained.add(JobId(1), 3);
        assert!(!retained.has_room(JobId(2), 3, true));
        retained.end(JobId(1));
        assert!(retained.has_room(JobId(2), 10, true));
    }
}
