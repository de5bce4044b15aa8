//! Johnson's rule and the makespan of an order, for plain jobs and for composite ones.

use crate::units::Time;
use std::cmp::Reverse;

/// Where a job stands in Johnson's order: jobs whose uplink time is the longer go first, shortest
/// device time first; the others follow, longest uplink time first.
///
/// A total order on (device, uplink) pairs; sorting by it stably keeps equal jobs in input order.
/// Source: Johnson (1954), doi:10.1002/nav.3800010110.
pub(crate) fn johnson_key(device: Time, uplink: Time) -> (bool, Time, Reverse<Time>) {
    if device < uplink {
        (false, device, Reverse(uplink))
    } else {
        (true, Time::ZERO, Reverse(uplink))
    }
}

/// A block of jobs in sequence as the rest of the sequence sees it: device time, uplink time, and
/// makespan if it stood alone. Joining blocks is associative.
///
/// Paper: Thm 5 (fast evaluation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// F.
    pub device: Time,
    /// G.
    pub uplink: Time,
    /// C.
    pub alone: Time,
}

impl Block {
    /// One job.
    pub(crate) fn of(device: Time, uplink: Time) -> Block {
        Block { device, uplink, alone: device + uplink }
    }

    /// How long the uplink waits for it at least.
    pub(crate) fn lead(self) -> Time {
        self.alone - self.uplink
    }

    /// How long the uplink is busy at least after its device work.
    pub(crate) fn trail(self) -> Time {
        self.alone - self.device
    }

    /// `self`, then `next`.
    pub(crate) fn then(self, next: Block) -> Block {
        Block {
            device: self.device + next.device,
            uplink: self.uplink + next.uplink,
            alone: (self.alone + next.uplink).max(self.device + next.alone),
        }
    }

    /// `count` copies of `self` in sequence.
    ///
    /// The critical path leaves the device in some copy; its length is linear in which one, so
    /// only the first and the last copy matter.
    pub(crate) fn repeat(self, count: u64) -> Block {
        if count == 0 {
            return Block::default();
        }
        let longer = self.device.max(self.uplink);
        Block {
            device: self.device * count,
            uplink: self.uplink * count,
            alone: self.alone + longer * (count - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Time {
        Time::from_nanoseconds(n)
    }

    fn job((device, uplink): (u64, u64)) -> Block {
        Block::of(ms(device), ms(uplink))
    }

    fn makespan(jobs: &[(u64, u64)]) -> u64 {
        jobs.iter().map(|&j| job(j)).fold(Block::default(), Block::then).alone.nanoseconds()
    }

    /// The smallest makespan of all orders, by trying them all.
    fn best_of_all_orders(done: &mut Vec<(u64, u64)>, left: &mut Vec<(u64, u64)>) -> u64 {
        if left.is_empty() {
            return makespan(done);
        }
        let mut best = u64::MAX;
        for i in 0..left.len() {
            done.push(left.remove(i));
            best = best.min(best_of_all_orders(done, left));
            left.insert(i, done.pop().expect("pushed above"));
        }
        best
    }

    #[test]
    fn johnson_orders_the_textbook_example() {
        // (3,6) (7,2) (4,7) (5,3): first 3 and 4, then those with uplink 3 and 2. Device ends at
        // 3, 7, 12, 19; uplink at 9, 16, 19, 21.
        let mut jobs = vec![(3, 6), (7, 2), (4, 7), (5, 3)];
        jobs.sort_by_key(|&(f, g)| johnson_key(ms(f), ms(g)));
        assert_eq!(jobs, [(3, 6), (4, 7), (5, 3), (7, 2)]);
        assert_eq!(makespan(&jobs), 21);
    }

    proptest! {
        #[test]
        fn johnson_order_is_optimal(jobs in prop::collection::vec((0u64..12, 0u64..12), 0..6)) {
            let mut ordered = jobs.clone();
            ordered.sort_by_key(|&(f, g)| johnson_key(ms(f), ms(g)));
            prop_assert_eq!(makespan(&ordered), best_of_all_orders(&mut vec![], &mut jobs.clone()));
        }

        #[test]
        fn block_of_equal_jobs_is_its_copies_in_sequence(f in 0u64..9, g in 0u64..9, slack in 0u64..9, n in 0u64..9) {
            let alone = ms(f.max(g) + slack.min(f.min(g)));
            let block = Block { device: ms(f), uplink: ms(g), alone };
            let one_by_one = (0..n).fold(Block::default(), |b, _| b.then(block));
            prop_assert_eq!(block.repeat(n), one_by_one);
        }
    }
}
