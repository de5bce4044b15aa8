//! Jobs whose tensors come in several messages. Pure: time comes in as an argument, and nothing
//! here knows of sockets.

use crate::encoding::Form;
use crate::limits::{ASSEMBLY_AGE_MAX, ASSEMBLY_BYTES_MAX, ASSEMBLY_JOBS_MAX, TENSORS_MAX};
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// One message of a job.
#[derive(Clone, Debug)]
pub(super) struct PartMessage {
    pub(super) id: String,
    pub(super) model: String,
    /// From 0.
    pub(super) part: u64,
    pub(super) parts: u64,
    pub(super) tensors: Vec<(String, Form)>,
}

/// The outcome of a message.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// More parts are needed.
    Waiting,
    /// The job is complete.
    Complete(Vec<(String, Form)>),
    /// The job has failed, for this reason; its other parts will be swallowed.
    Refused(String),
    /// The message belongs to a job that has failed before.
    Swallowed,
}

/// The jobs of one stream that lack some of their tensors.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    jobs: HashMap<String, Gathering>,
    bytes: usize,
}

#[derive(Debug)]
struct Gathering {
    model: String,
    parts: u64,
    seen: BTreeSet<u64>,
    tensors: Vec<(String, Form)>,
    bytes: usize,
    last: Instant,
    has_failed: bool,
}

impl Gathering {
    fn new(model: String, parts: u64, last: Instant) -> Gathering {
        let (seen, tensors) = (BTreeSet::new(), Vec::new());
        Gathering { model, parts, seen, tensors, bytes: 0, last, has_failed: false }
    }
}

impl Assembly {
    /// Adds a message.
    pub(super) fn handle_part(&mut self, now: Instant, message: PartMessage) -> Outcome {
        let size = message.tensors.iter().map(|(_, tensor)| tensor.bytes().len()).sum::<usize>();
        if message.id.is_empty() {
            return Outcome::Refused("a job in parts needs an id".into());
        }
        if message.parts == 0 || message.parts > TENSORS_MAX as u64 || message.part >= message.parts
        {
            let (part, parts) = (message.part, message.parts);
            let reason = format!("part {part} of {parts}: at most {TENSORS_MAX}, counted from 0");
            return self.refuse(now, message, reason);
        }
        if !self.jobs.contains_key(&message.id) && self.jobs.len() >= ASSEMBLY_JOBS_MAX {
            let limit = ASSEMBLY_JOBS_MAX;
            return Outcome::Refused(format!("more than {limit} incomplete jobs"));
        }
        if self.bytes + size > ASSEMBLY_BYTES_MAX {
            let limit = ASSEMBLY_BYTES_MAX;
            let reason = format!("incomplete jobs would hold more than {limit} bytes");
            return self.refuse(now, message, reason);
        }
        let job = self
            .jobs
            .entry(message.id.clone())
            .or_insert_with(|| Gathering::new(message.model.clone(), message.parts, now));
        if !job.has_failed && (job.model != message.model || job.parts != message.parts) {
            let reason = "the parts of a job name different models or counts of parts".to_owned();
            return self.refuse(now, message, reason);
        }
        if !job.seen.insert(message.part) && !job.has_failed {
            let reason = format!("part {} came twice", message.part);
            return self.refuse(now, message, reason);
        }
        job.last = now;
        let is_complete = job.seen.len() as u64 == job.parts;
        if !job.has_failed {
            job.bytes += size;
            self.bytes += size;
            job.tensors.extend(message.tensors);
        }
        if !is_complete {
            return if job.has_failed { Outcome::Swallowed } else { Outcome::Waiting };
        }
        match self.remove(&message.id) {
            Some(job) if !job.has_failed => Outcome::Complete(job.tensors),
            _ => Outcome::Swallowed,
        }
    }

    /// Fails a job because of one of its messages, for a reason found elsewhere. Returns whether
    /// it is the job's first failure.
    pub(super) fn fail(&mut self, now: Instant, message: PartMessage) -> bool {
        !matches!(self.refuse(now, message, String::new()), Outcome::Swallowed)
    }

    fn refuse(&mut self, now: Instant, message: PartMessage, reason: String) -> Outcome {
        let had_failed = self.jobs.get(&message.id).is_some_and(|job| job.has_failed);
        let parts = message.parts.clamp(1, TENSORS_MAX as u64);
        if self.jobs.contains_key(&message.id) || self.jobs.len() < ASSEMBLY_JOBS_MAX {
            let job = self.jobs.entry(message.id.clone());
            let job = job.or_insert_with(|| Gathering::new(message.model, parts, now));
            job.has_failed = true;
            job.last = now;
            job.seen.insert(message.part);
            job.tensors.clear();
            self.bytes -= std::mem::take(&mut job.bytes);
            if job.seen.len() as u64 >= job.parts {
                self.remove(&message.id);
            }
        }
        if had_failed { Outcome::Swallowed } else { Outcome::Refused(reason) }
    }

    fn remove(&mut self, id: &str) -> Option<Gathering> {
        let job = self.jobs.remove(id)?;
        self.bytes -= job.bytes;
        Some(job)
    }

    /// When the next job will have waited too long, if nothing comes.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.jobs.values().map(|job| job.last + ASSEMBLY_AGE_MAX).min()
    }

    /// Drops the jobs that have waited too long; returns the model and id of those that have not
    /// failed before.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(String, String)> {
        let is_old = |job: &Gathering| job.last + ASSEMBLY_AGE_MAX <= now;
        let old: Vec<String> =
            self.jobs.iter().filter(|(_, job)| is_old(job)).map(|(id, _)| id.clone()).collect();
        let mut expired = Vec::new();
        for id in old {
            if let Some(job) = self.remove(&id)
                && !job.has_failed
            {
                expired.push((job.model, id));
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{ElementType, Tensor};
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::time::Duration;

    fn tensor(size: usize) -> Form {
        Tensor::new(ElementType::U8, vec![size], Bytes::from(vec![0; size])).unwrap().into()
    }

    fn part(id: &str, part: u64, parts: u64) -> PartMessage {
        PartMessage {
            id: id.into(),
            model: "m".into(),
            part,
            parts,
            tensors: vec![(format!("t{part}"), tensor(3))],
        }
    }

    #[test]
    fn a_job_is_complete_with_its_last_part_in_any_order() {
        let mut assembly = Assembly::default();
        let now = Instant::now();
        assert_eq!(assembly.handle_part(now, part("a", 2, 3)), Outcome::Waiting);
        assert_eq!(assembly.handle_part(now, part("b", 0, 2)), Outcome::Waiting);
        assert_eq!(assembly.handle_part(now, part("a", 0, 3)), Outcome::Waiting);
        let Outcome::Complete(tensors) = assembly.handle_part(now, part("a", 1, 3)) else {
            panic!("all parts are here");
        };
        let names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["t2", "t0", "t1"]);
        assert_eq!((assembly.jobs.len(), assembly.bytes), (1, 3));
    }

    #[test]
    fn a_failed_job_is_refused_once_and_then_forgotten() {
        let mut assembly = Assembly::default();
        let now = Instant::now();
        assert_eq!(assembly.handle_part(now, part("a", 0, 3)), Outcome::Waiting);
        assert!(matches!(assembly.handle_part(now, part("a", 0, 3)), Outcome::Refused(_)));
        assert_eq!(assembly.bytes, 0);
        assert_eq!(assembly.handle_part(now, part("a", 1, 3)), Outcome::Swallowed);
        assert_eq!(assembly.handle_part(now, part("a", 2, 3)), Outcome::Swallowed);
        assert!(assembly.jobs.is_empty());
        assert_eq!(assembly.handle_part(now, part("a", 0, 3)), Outcome::Waiting);
    }

    #[test]
    fn a_job_that_waits_too_long_expires() {
        let mut assembly = Assembly::default();
        let now = Instant::now();
        assembly.handle_part(now, part("a", 0, 3));
        let later = now + ASSEMBLY_AGE_MAX / 2;
        assembly.handle_part(later, part("b", 0, 3));
        assert_eq!(assembly.next_expiry(), Some(now + ASSEMBLY_AGE_MAX));
        assert!(assembly.expire(now + ASSEMBLY_AGE_MAX - Duration::from_nanos(1)).is_empty());
        let expired = assembly.expire(now + ASSEMBLY_AGE_MAX);
        assert_eq!(expired, [("m".to_owned(), "a".to_owned())]);
        assert_eq!(assembly.bytes, 3);
    }

    #[test]
    fn the_number_of_incomplete_jobs_is_bounded() {
        let mut assembly = Assembly::default();
        let now = Instant::now();
        for index in 0..ASSEMBLY_JOBS_MAX {
            let outcome = assembly.handle_part(now, part(&index.to_string(), 0, 2));
            assert_eq!(outcome, Outcome::Waiting);
        }
        assert!(matches!(assembly.handle_part(now, part("one more", 0, 2)), Outcome::Refused(_)));
        assert_eq!(assembly.jobs.len(), ASSEMBLY_JOBS_MAX);
    }

    proptest! {
        #[test]
        fn the_byte_count_equals_the_bytes_held_after_any_sequence(
            messages in proptest::collection::vec((0u8..4, 0u64..5, 0u64..5, any::<bool>()), 0..60),
        ) {
            let mut assembly = Assembly::default();
            let mut now = Instant::now();
            for (id, index, parts, is_late) in messages {
                if is_late {
                    now += ASSEMBLY_AGE_MAX / 3;
                }
                assembly.expire(now);
                assembly.handle_part(now, part(["", "a", "b", "c"][usize::from(id)], index, parts));
                let held: usize =
                    assembly.jobs.values().flat_map(|j| &j.tensors).map(|(_, t)| t.bytes().len()).sum();
                prop_assert_eq!(assembly.bytes, held);
            }
        }
    }
}
