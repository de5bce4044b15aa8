//! When tensors were on the uplink.
//!
//! A tensor has left when the system has taken it, which is at once if it is smaller than what a
//! socket holds; it crosses the link afterwards, behind those before it. So it is on the link from when
//! the last one was over it, for as long as its bytes take at the link's bandwidth, unless the server's
//! answer shows that it was there sooner, and at least until the system has taken it.

use cutpoint_plan::plan::Operation;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::JobId;

/// A tensor that has left.
pub(crate) struct Crossing {
    /// From its first byte until the system had taken its last one.
    pub(crate) operation: Operation,
    /// The time of its bytes at the link's bandwidth.
    pub(crate) foreseen: Time,
}

/// What was on the link, and when, one after the other. `over` says when the last tensor of a job was
/// over the link at the latest; of jobs that the server did not answer nothing is known but when the
/// system took their tensors. O(n log n).
pub(crate) fn crossed(
    mut crossings: Vec<Crossing>,
    over: impl Fn(JobId) -> Option<Time>,
) -> Vec<Operation> {
    crossings.sort_by_key(|crossing| (crossing.operation.start, crossing.operation.end));
    let mut free = Time::ZERO;
    let cross = |Crossing { operation, foreseen }| {
        let start = operation.start.max(free);
        let until = over(operation.job).map_or(start, |over| over.min(start + foreseen));
        free = operation.end.max(start).max(until);
        Operation { start, end: free, ..operation }
    };
    crossings.into_iter().map(cross).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::plan::Work;
    use cutpoint_plan::workload::TensorId;

    fn ms(value: u64) -> Time {
        Time::from_nanoseconds(value * 1_000_000)
    }

    /// Tensors of jobs 0, 1, ..., taken from and until when, each with what its bytes take; when each
    /// was on the link.
    fn on_link(taken: &[(u64, u64, u64)], over: &[Option<u64>]) -> Vec<(u64, u64)> {
        let crossing = |(job, &(start, end, foreseen)): (usize, &(u64, u64, u64))| Crossing {
            operation: Operation {
                job: JobId::at(job),
                work: Work::Transfer(TensorId(0)),
                start: ms(start),
                end: ms(end),
            },
            foreseen: ms(foreseen),
        };
        let crossings = taken.iter().enumerate().map(crossing).collect();
        let over = |job: JobId| over[job.index()].map(ms);
        let whole = |time: Time| time.nanoseconds() / 1_000_000;
        crossed(crossings, over).iter().map(|o| (whole(o.start), whole(o.end))).collect()
    }

    #[test]
    fn a_tensor_taken_at_once_crosses_behind_earlier_ones() {
        let taken = [(0, 1, 22), (1, 2, 22), (2, 50, 22), (90, 91, 22)];
        let over = [Some(30), Some(48), Some(70), Some(120)];
        assert_eq!(on_link(&taken, &over), [(0, 22), (22, 44), (44, 66), (90, 112)]);
    }

    #[test]
    fn tensors_taken_by_turns_early_and_late_cross_evenly() {
        let taken = [(0, 16, 22), (16, 45, 22), (45, 61, 22), (61, 90, 22)];
        let over = [Some(40); 4].map(|_| Some(200));
        assert_eq!(on_link(&taken, &over), [(0, 22), (22, 45), (45, 67), (67, 90)]);
    }

    #[test]
    fn crossing_times_lie_between_writes_and_answers() {
        assert_eq!(on_link(&[(0, 1, 22), (5, 6, 22)], &[Some(9), Some(15)]), [(0, 9), (9, 15)]);
        assert_eq!(on_link(&[(0, 40, 22)], &[Some(41)]), [(0, 40)]);
        assert_eq!(on_link(&[(0, 9, 22)], &[Some(3)]), [(0, 9)], "not before it was taken");
    }

    #[test]
    fn unanswered_jobs_cross_when_the_system_took_them() {
        assert_eq!(on_link(&[(0, 1, 22), (1, 3, 22)], &[None, Some(60)]), [(0, 1), (1, 23)]);
        assert_eq!(on_link(&[(0, 1, 22), (2, 3, 22)], &[Some(60), None]), [(0, 22), (22, 22)]);
    }
}
