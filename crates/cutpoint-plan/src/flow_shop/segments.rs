//! One job's parcels as composite jobs: in what order, and where may other jobs come between?
//!
//! With the cut fixed, running device work and then releasing a parcel first raises and then lowers
//! a cumulative cost: device time spent minus uplink time released. A *segment* is a run of
//! parcels that brings the cost down to a new low at the least peak. Some optimal schedule of any
//! batch runs each job's segments in this order and merges all jobs' segments by Johnson's rule on
//! (alone - uplink, alone - device).
//!
//! The states are sets of parcels with exactly the device work that they wait for; nothing is
//! gained by doing more work before a release. Cost: segments x parcels x 2^parcels.

use crate::units::Time;

/// A run of parcels, or the device work that no parcel waits for, as a composite job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its parcels in the order they are sent; empty for the device work at the end.
    pub parcels: Vec<u8>,
    /// Device time.
    pub device: Time,
    /// Uplink time.
    pub uplink: Time,
    /// Makespan if it stood alone.
    pub alone: Time,
    /// Whether it is of the first group of Johnson's rule. Where device and uplink time are equal
    /// the times do not tell: it goes with the segments of its job beside which it was found.
    pub is_front: bool,
}

/// The times of one job's parcels.
pub(crate) struct ParcelTimes<'p> {
    /// Device time that must precede each set of parcels, by bit mask.
    pub before: &'p [Time],
    /// Uplink time of each parcel.
    pub uplink: Vec<Time>,
    /// Device time of the whole job.
    pub device: Time,
}

/// The segments of a job, in their order.
///
/// Paper: Thm 7.
pub(crate) fn segments(job: &ParcelTimes<'_>) -> Vec<Segment> {
    let mut found = match job.uplink.len() {
        0 => Vec::new(),
        1 => {
            let (device, uplink) = (job.before[1], job.uplink[0]);
            let alone = device + uplink;
            vec![Segment { parcels: vec![0], device, uplink, alone, is_front: device < uplink }]
        }
        _ => Decomposition::new(job).run(),
    };
    let rest = job.device - job.before[(1 << job.uplink.len()) - 1];
    if found.is_empty() || rest > Time::ZERO {
        found.push(Segment {
            parcels: vec![],
            device: rest,
            uplink: Time::ZERO,
            alone: rest,
            is_front: false,
        });
    }
    found
}

/// Costs in signed nanoseconds of every set of parcels.
struct Decomposition {
    parcels: usize,
    /// Device time before each set.
    device: Vec<i128>,
    /// Uplink time of each set.
    uplink: Vec<i128>,
}

impl Decomposition {
    fn new(job: &ParcelTimes<'_>) -> Decomposition {
        let parcels = job.uplink.len();
        let sets = 0..1usize << parcels;
        let device = sets.clone().map(|s| signed(job.before[s])).collect();
        let uplink = sets
            .map(|s| (0..parcels).filter(|p| s >> p & 1 == 1).map(|p| signed(job.uplink[p])).sum());
        Decomposition { parcels, device, uplink: uplink.collect() }
    }

    /// Device time spent minus uplink time released once `set` has left.
    fn net(&self, set: usize) -> i128 {
        self.device[set] - self.uplink[set]
    }

    /// Forward while there is a lower net to reach, then backward from the end.
    fn run(&self) -> Vec<Segment> {
        let full = (1 << self.parcels) - 1;
        let (mut front, mut from) = (Vec::new(), 0);
        while let Some((to, order)) = self.next_segment(from, full, Direction::Forward) {
            front.push(Segment { is_front: true, ..self.segment(from, to, order) });
            from = to;
        }
        let (mut back, mut to) = (Vec::new(), full);
        while to != from {
            let (start, mut order) = self
                .next_segment(to, from, Direction::Backward)
                .expect("the least net is reached, so walking back to it never raises it");
            order.reverse();
            back.push(self.segment(start, to, order));
            to = start;
        }
        front.extend(back.into_iter().rev());
        front
    }

    /// The next set to reach from `from` on the way to `limit`: no higher net than now, least peak,
    /// then least net, then largest. Backward, time is reversed: the net counted from the end.
    fn next_segment(&self, from: usize, limit: usize, way: Direction) -> Option<(usize, Vec<u8>)> {
        let between = from ^ limit;
        let mut peaks: Vec<Option<(i128, u8)>> = vec![None; 1 << self.parcels];
        let mut best: Option<(i128, i128, u32, usize)> = None;
        let start = self.net(from);
        // Subsets of `between` in increasing order, so that every set comes after its subsets.
        let mut added = 0usize;
        loop {
            added = added.wrapping_sub(between) & between;
            if added == 0 {
                break;
            }
            let set = from ^ added;
            let last = (0..self.parcels).filter(|p| added >> p & 1 == 1).map(|p| {
                let previous = added ^ (1 << p);
                let so_far = if previous == 0 { start } else { peaks[previous].expect("subset").0 };
                let step = self.step_peak(from ^ previous, set, way);
                (so_far.max(step), u8::try_from(p).expect("parcels are few"))
            });
            let (peak, p) = last.min().expect("a set that is not empty has a last parcel");
            peaks[added] = Some((peak, p));
            let level = self.net(set);
            let rank = (peak, level, u32::MAX - added.count_ones(), added);
            if level <= start && best.is_none_or(|b| rank < b) {
                best = Some(rank);
            }
        }
        let (_, _, _, added) = best?;
        let mut order = Vec::new();
        let mut left = added;
        while left != 0 {
            let (_, p) = peaks[left].expect("every subset has been visited");
            order.push(p);
            left ^= 1 << p;
        }
        order.reverse();
        Some((from ^ added, order))
    }

    /// The highest net while going from one set to the next.
    fn step_peak(&self, from: usize, to: usize, way: Direction) -> i128 {
        match way {
            Direction::Forward => self.device[to] - self.uplink[from],
            Direction::Backward => self.device[from] - self.uplink[to],
        }
    }

    fn segment(&self, from: usize, to: usize, order: Vec<u8>) -> Segment {
        let (mut set, mut device, mut uplink) = (from, 0i128, 0i128);
        for &p in &order {
            let next = set | 1 << p;
            device += self.device[next] - self.device[set];
            uplink = uplink.max(device) + self.uplink[next] - self.uplink[set];
            set = next;
        }
        Segment {
            parcels: order,
            device: unsigned(self.device[to] - self.device[from]),
            uplink: unsigned(self.uplink[to] - self.uplink[from]),
            alone: unsigned(uplink),
            is_front: false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

fn signed(time: Time) -> i128 {
    i128::from(time.nanoseconds())
}

fn unsigned(nanoseconds: i128) -> Time {
    let whole = u64::try_from(nanoseconds).expect("sets grow, and times are never negative");
    Time::from_nanoseconds(whole)
}
