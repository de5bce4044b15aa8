//! The blocks of one row of the timeline: operations, joined where they could not be told apart.

use crate::trace::lanes;
use cutpoint_plan::plan::{Operation, Work};
use cutpoint_plan::units::Time;

/// A row has at most about this many blocks.
pub(super) const BLOCKS_MAX: u64 = 900;

/// More blocks than this that are shorter, on average, than one part in [`FINE`] of the axis are
/// joined: some printers paint every dot that a block touches, and would fill the row.
const SEEN_MAX: u64 = 300;
const FINE: u64 = 1000;

/// Blocks of one machine that run at the same time are drawn in at most this many lanes.
const LANES_MAX: usize = 6;

/// Operations drawn as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub start: Time,
    pub end: Time,
    /// How much of it is work.
    pub busy: Time,
    /// The operation that it begins with, and the one that it ends with.
    pub first: Operation,
    pub last: Operation,
    pub operations: usize,
    /// Operations of more than one job.
    pub is_mixed: bool,
    /// Which of the lanes of its row.
    pub lane: usize,
}

impl Block {
    fn of(operation: &Operation) -> Block {
        Block {
            start: operation.start,
            end: operation.end,
            busy: operation.end - operation.start,
            first: *operation,
            last: *operation,
            operations: 1,
            is_mixed: false,
            lane: 0,
        }
    }

    fn add(&mut self, operation: &Operation) {
        self.end = self.end.max(operation.end);
        self.busy += operation.end - operation.start;
        self.is_mixed |= operation.job != self.last.job;
        self.last = *operation;
        self.operations += 1;
    }

    /// Whether it is nothing but an encode.
    pub(super) fn is_encode(&self) -> bool {
        self.operations == 1 && matches!(self.first.work, Work::Encode(_))
    }
}

/// The blocks of `operations`, which are by start time, on an axis that ends at `end`; and how many
/// lanes they take. Successive layers of one job are one block. Where there are too many blocks, so
/// are all successive operations of one job, and then operations too short to be told apart.
pub(super) fn blocks(operations: &[Operation], end: Time) -> (Vec<Block>, usize) {
    let touching = end.nanoseconds() / 2000;
    let is_next = |block: &Block, next: &Operation| {
        block.last.job == next.job && next.start.saturating_sub(block.end).nanoseconds() <= touching
    };
    let is_layer = |o: &Operation| matches!(o.work, Work::Layer(_));
    let mut joined = join(operations, |block, next| {
        is_layer(&block.last) && is_layer(next) && is_next(block, next)
    });
    if joined.len() as u64 > BLOCKS_MAX {
        joined = join(operations, is_next);
    }
    let count = joined.len() as u64;
    let mean = busy(operations).nanoseconds() / count.max(1);
    let is_fine = count > SEEN_MAX && mean < end.nanoseconds() / FINE;
    if count <= BLOCKS_MAX && !is_fine {
        return in_lanes(joined, Time::from_nanoseconds(touching));
    }
    let least = end.nanoseconds() / if is_fine { SEEN_MAX } else { BLOCKS_MAX };
    let joined =
        join(operations, |block, next| next.end.saturating_sub(block.start).nanoseconds() <= least);
    (joined, 1)
}

fn join(operations: &[Operation], belongs: impl Fn(&Block, &Operation) -> bool) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for operation in operations {
        match blocks.last_mut() {
            Some(block) if belongs(block, operation) => block.add(operation),
            _ => blocks.push(Block::of(operation)),
        }
    }
    blocks
}

/// Gives blocks that overlap by more than `touching` different lanes.
fn in_lanes(mut blocks: Vec<Block>, touching: Time) -> (Vec<Block>, usize) {
    let lanes = lanes(blocks.iter().map(|b| (b.start, b.end)), touching, LANES_MAX);
    let count = lanes.iter().max().map_or(1, |last| last + 1);
    blocks.iter_mut().zip(lanes).for_each(|(block, lane)| block.lane = lane);
    (blocks, count)
}

/// How long at least one of `operations`, which are by start time, runs.
pub(super) fn busy(operations: &[Operation]) -> Time {
    let (mut busy, mut until) = (Time::ZERO, Time::ZERO);
    for operation in operations {
        busy += operation.end.saturating_sub(operation.start.max(until));
        until = until.max(operation.end);
    }
    busy
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::workload::{JobId, LayerId};

    fn operation(job: u32, work: Work, start: u64, end: u64) -> Operation {
        let [start, end] = [start, end].map(Time::from_nanoseconds);
        Operation { job: JobId(job), work, start, end }
    }

    fn layer(job: u32, layer: u32, start: u64, end: u64) -> Operation {
        operation(job, Work::Layer(LayerId(layer)), start, end)
    }

    #[test]
    fn successive_layers_of_a_job_are_one_block() {
        let row = [layer(0, 0, 0, 5), layer(0, 1, 5, 9), layer(1, 0, 9, 12), layer(0, 2, 12, 15)];
        let (blocks, lanes) = blocks(&row, Time::from_nanoseconds(100));
        let spans: Vec<_> =
            blocks.iter().map(|b| (b.first.job.0, b.start.nanoseconds(), b.operations)).collect();
        assert_eq!((spans, lanes), (vec![(0, 0, 2), (1, 9, 1), (0, 12, 1)], 1));
        assert_eq!(blocks[0].busy, Time::from_nanoseconds(9));
    }

    #[test]
    fn a_row_of_very_many_jobs_has_a_bounded_number_of_blocks() {
        let row: Vec<_> =
            (0..10_000).map(|j| layer(j, 0, u64::from(j) * 10, u64::from(j) * 10 + 8)).collect();
        let (blocks, _) = blocks(&row, Time::from_nanoseconds(100_000));
        assert!(blocks.len() as u64 <= BLOCKS_MAX + 100, "{} blocks", blocks.len());
        assert_eq!(blocks.iter().map(|b| b.operations).sum::<usize>(), 10_000);
        assert_eq!(blocks.iter().map(|b| b.busy).sum::<Time>(), Time::from_nanoseconds(80_000));
    }

    #[test]
    fn many_transfers_of_one_job_are_joined() {
        let transfer = |i: u32| {
            let tensor = cutpoint_plan::workload::TensorId(i % 4);
            let start = u64::from(i) * 10;
            operation(i / 4, Work::Transfer(tensor), start, start + 10)
        };
        let row: Vec<_> = (0..1000).map(transfer).collect();
        let (joined, _) = blocks(&row, Time::from_nanoseconds(10_000));
        assert_eq!(joined.len(), 250);
        assert!(joined.iter().all(|b| !b.is_mixed && b.operations == 4));
        // Fewer are drawn one by one.
        assert_eq!(blocks(&row[..400], Time::from_nanoseconds(10_000)).0.len(), 400);
    }

    #[test]
    fn many_short_operations_are_joined_and_keep_their_density() {
        let row: Vec<_> = (0..400)
            .map(|j| operation(j, Work::Suffix, u64::from(j) * 1000, u64::from(j) * 1000 + 50))
            .collect();
        let (joined, lanes) = blocks(&row, Time::from_nanoseconds(400_000));
        // 1333 ns, one part in 300, hold two operations, 1050 ns apart from start to end.
        assert_eq!((joined.len(), lanes), (200, 1));
        let [busy, length] = [joined[0].busy, joined[0].end - joined[0].start];
        assert_eq!([busy, length].map(Time::nanoseconds), [100, 1050]);
    }

    #[test]
    fn operations_that_overlap_have_lanes_of_their_own() {
        let row = [
            operation(0, Work::Suffix, 0, 10),
            operation(1, Work::Suffix, 5, 12),
            operation(2, Work::Suffix, 10, 14),
        ];
        let (found, lanes) = blocks(&row, Time::from_nanoseconds(14));
        assert_eq!((found.iter().map(|b| b.lane).collect::<Vec<_>>(), lanes), (vec![0, 1, 0], 2));
        assert_eq!(busy(&row), Time::from_nanoseconds(14));
    }
}
