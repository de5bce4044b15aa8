//! A sharper bound for few jobs: every job takes one mode as a whole.
//!
//! The load bound lets a class divide its jobs among its modes at will. Here jobs are given their
//! modes one by one, and only the sums of their loads are kept, together with the least heads and
//! tails of what is sent: enough for a bound on every plan with these modes. Sums that cannot stay
//! below a known makespan are dropped; where too many are left, sums close together are replaced
//! by the least of each, which keeps the bound valid (a relaxed decision diagram).
//!
//! Paper: section 5.6, load bound. Source: Andersen, Hadzic, Hooker, Tiedemann (2007).

use crate::bound::loads::{LoadBound, PARTS};
use crate::bound::lower_bound::all_local;
use crate::problem::{Class, Counts, Loads, Mode, Problem, Times, loads, weighted};
use crate::units::Time;
use std::cmp::Reverse;

/// Sums kept after each job, for few jobs.
const WIDTH_MAX: usize = 600;

/// Sums that may be made over all jobs: with more jobs and more modes fewer are kept after each.
const SUMS_MAX: usize = 100_000;

/// With fewer sums than this kept after each job nothing is gained.
const WIDTH_MIN: usize = 16;

/// With more choices of a mode for a job than this nothing is looked for.
pub(crate) const CHOICES_MAX: usize = SUMS_MAX / WIDTH_MIN;

/// Sums closer than one part in this of the makespan are the first to be replaced by one.
const FINEST: u64 = 1 << 12;

/// And not farther apart than this, unless they are too many all the same.
const COARSE: u64 = 8;

/// At most this many mixes are given.
const MIXES_MAX: usize = 6;

/// Prices, in sixteenths of [`PARTS`], for weighing sums in addition to those of the load bound.
const PRICES: [Loads; 7] = [
    [16, 0, 0, 0],
    [0, 16, 0, 0],
    [0, 0, 16, 0],
    [0, 0, 0, 16],
    [8, 8, 0, 0],
    [0, 8, 8, 0],
    [6, 5, 5, 0],
];

/// How many prices there are.
const PRICED: usize = PRICES.len() + 1;

/// The result of giving jobs their modes one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct WholeJobs {
    /// No plan is shorter.
    pub bound: Time,
    /// Mixes whose loads leave room for a plan shorter than the one known, the best first.
    pub mixes: Vec<Counts>,
}

/// A bound below or equal to `makespan`, the makespan of a plan, and mixes that may be better;
/// nothing where it would take too long. O(jobs x sums kept x modes).
pub(crate) fn whole_jobs(problem: &Problem<'_>, bound: &LoadBound, makespan: Time) -> WholeJobs {
    let made: usize = problem.classes.iter().map(|c| c.modes.len() * c.jobs.len()).sum();
    let width = WIDTH_MAX.min(SUMS_MAX / made.max(1));
    match problem.is_complete && width >= WIDTH_MIN {
        true => within(problem, bound, makespan, width),
        false => WholeJobs::default(),
    }
}

/// The same for all cuts, with at most `width` sums at a time.
pub(crate) fn within(
    problem: &Problem<'_>,
    bound: &LoadBound,
    makespan: Time,
    width: usize,
) -> WholeJobs {
    let mut found = Diagram::new(problem, bound, makespan).run(width);
    if let Some(local) = all_local(problem) {
        found.bound = found.bound.min(local);
    }
    found
}

/// For each machine, times whose minimum over all jobs counts; [`u64::MAX`] for those of no job.
#[derive(Clone, Copy, Debug)]
struct Least {
    /// Before it can start.
    heads: Loads,
    /// From the end of its work to completion.
    tails: Loads,
}

impl Least {
    /// Of no job.
    const NONE: Least = Least { heads: [u64::MAX; 4], tails: [u64::MAX; 4] };

    fn of(mode: &Times, half: Time) -> Least {
        let Times { device, lead, server, has_suffix, .. } = *mode;
        let is_sent = mode.parcel_count > 0;
        let arrival = mode.arrival(half);
        // A job whose last parcel waits for all of its device work goes on after that.
        let is_waited_for = is_sent && mode.rest() == Time::ZERO;
        let end = if is_waited_for { mode.trail + mode.tail(half) } else { Time::ZERO };
        let back = mode.download.unwrap_or_default() + half;
        let ends = [
            (device > Time::ZERO).then_some((Time::ZERO, end)),
            is_sent.then_some((lead, mode.tail(half))),
            has_suffix.then_some((arrival, back)),
            mode.download.filter(|_| has_suffix).map(|_| (arrival + server, half)),
        ];
        let nanoseconds = |time: Option<Time>| time.map_or(u64::MAX, Time::nanoseconds);
        Least {
            heads: ends.map(|ends| nanoseconds(ends.map(|(head, _)| head))),
            tails: ends.map(|ends| nanoseconds(ends.map(|(_, tail)| tail))),
        }
    }

    fn and(self, other: Least) -> Least {
        Least { heads: least(self.heads, other.heads), tails: least(self.tails, other.tails) }
    }

    /// Each machine's unavoidable idle time. Device and downlink may have nothing to do.
    fn idle(&self) -> Loads {
        let [device, uplink, server, downlink] =
            std::array::from_fn(|m| self.heads[m].saturating_add(self.tails[m]));
        let if_used = |idle: u64| if idle == u64::MAX { 0 } else { idle };
        [if_used(device), uplink, server, if_used(downlink)]
    }
}

/// The smaller of each two numbers.
fn least<T: Copy + Ord, const N: usize>(a: [T; N], b: [T; N]) -> [T; N] {
    std::array::from_fn(|i| a[i].min(b[i]))
}

/// The sums over the modes of some jobs.
#[derive(Clone, Copy, Debug)]
struct Piece {
    loads: Loads,
    least: Least,
    /// The longest time of a job alone.
    alone: u64,
}

/// A choice of modes for the jobs that have one.
#[derive(Clone, Copy, Debug)]
struct Sum {
    piece: Piece,
    /// The mode of the job before, of the same class: jobs alike take modes in order.
    mode: usize,
    /// The last step of a choice of modes with these sums, or with some close to them.
    step: usize,
}

/// A job of a class takes a mode, after another step.
#[derive(Clone, Copy, Debug)]
struct Step {
    class: usize,
    mode: usize,
    before: usize,
}

impl Sum {
    fn with(&self, piece: &Piece, mode: usize) -> Sum {
        let all = &self.piece;
        let piece = Piece {
            loads: std::array::from_fn(|m| all.loads[m] + piece.loads[m]),
            least: all.least.and(piece.least),
            alone: all.alone.max(piece.alone),
        };
        Sum { piece, mode, step: self.step }
    }

    /// The least of both.
    fn or(&self, other: &Sum) -> Sum {
        let (a, b) = (&self.piece, &other.piece);
        let piece = Piece {
            loads: least(a.loads, b.loads),
            least: a.least.and(b.least),
            alone: a.alone.min(b.alone),
        };
        Sum { piece, mode: self.mode.min(other.mode), step: self.step }
    }
}

/// The least that some jobs take.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// For each of the prices.
    weighted: [u128; PRICED],
    least: Least,
}

impl Rest {
    const NONE: Rest = Rest { weighted: [0; PRICED], least: Least::NONE };

    fn of(piece: &Piece, prices: &[Loads; PRICED]) -> Rest {
        Rest { weighted: prices.map(|p| weighted(p, piece.loads)), least: piece.least }
    }

    /// The cheaper of both at each price.
    fn or(self, other: &Rest) -> Rest {
        let weighted = least(self.weighted, other.weighted);
        Rest { weighted, least: self.least.and(other.least) }
    }

    /// These jobs and `count` others.
    fn and(mut self, count: u64, other: &Rest) -> Rest {
        if count == 0 {
            return self;
        }
        let sums = self.weighted.iter_mut().zip(other.weighted);
        sums.for_each(|(a, b)| *a += u128::from(count) * b);
        Rest { least: self.least.and(other.least), ..self }
    }
}

/// A class of jobs and what they can take.
#[derive(Clone, Debug)]
struct Jobs {
    /// The class, as the problem numbers it.
    class: usize,
    count: u64,
    pieces: Vec<Piece>,
    /// For each mode, what one job takes at least that takes it or one after it.
    from: Vec<Rest>,
    /// The least that all jobs of later classes take.
    after: Rest,
}

struct Diagram {
    /// Those with large jobs first: what comes late is rounded least often.
    classes: Vec<Jobs>,
    prices: [Loads; PRICED],
    makespan: u64,
    steps: Vec<Step>,
}

impl Diagram {
    fn new(problem: &Problem<'_>, bound: &LoadBound, makespan: Time) -> Diagram {
        let half = problem.half;
        let piece = |mode: &Mode| Piece {
            loads: loads(mode, problem.executors),
            least: Least::of(mode, half),
            alone: mode.latency(half).nanoseconds(),
        };
        let fixed = PRICES.map(|p| p.map(|part| part * PARTS / 16));
        let mut prices = [bound.prices; PRICED];
        prices[1..].copy_from_slice(&fixed);
        let jobs = |(class, c): (usize, &Class<'_>)| {
            let pieces: Vec<Piece> = c.modes.iter().map(piece).collect();
            let mut from: Vec<Rest> = pieces.iter().map(|p| Rest::of(p, &prices)).collect();
            for m in (1..from.len()).rev() {
                from[m - 1] = from[m - 1].or(&from[m]);
            }
            Jobs { class, count: c.count(), pieces, from, after: Rest::NONE }
        };
        let mut classes: Vec<Jobs> = problem.classes.iter().enumerate().map(jobs).collect();
        let largest = |p: &Piece| p.loads[0].max(p.loads[1]);
        classes.sort_by_key(|c| Reverse(c.pieces.iter().map(largest).max()));
        for c in (1..classes.len()).rev() {
            classes[c - 1].after = classes[c].after.and(classes[c].count, &classes[c].from[0]);
        }
        let makespan = makespan.nanoseconds();
        Diagram { classes, prices, makespan, steps: Vec::new() }
    }

    /// No plan that sends something and begins with these sums is shorter.
    fn bound(&self, sum: &Sum, rest: &Rest) -> u64 {
        let Piece { loads, least, alone } = sum.piece;
        let idle = least.and(rest.least).idle();
        let all: Loads = std::array::from_fn(|m| loads[m].saturating_add(idle[m]));
        let priced = self.prices.iter().zip(&rest.weighted);
        let best = priced.map(|(&prices, &rest)| weighted(prices, all) + rest).max();
        let time = best.unwrap_or(0).div_ceil(u128::from(PARTS));
        u64::try_from(time).unwrap_or(u64::MAX).max(alone)
    }

    /// Gives all jobs their modes, keeping no more than `width` sums at a time.
    fn run(mut self, width: usize) -> WholeJobs {
        let nothing = Piece { loads: [0; 4], least: Least::NONE, alone: 0 };
        let start = Sum { piece: nothing, mode: 0, step: usize::MAX };
        let mut sums = vec![start];
        for class in 0..self.classes.len() {
            for left in (0..self.classes[class].count).rev() {
                sums = self.narrow(self.next(&sums, class, left), width);
                for sum in &mut sums {
                    let step = Step { class, mode: sum.mode, before: sum.step };
                    sum.step = self.steps.len();
                    self.steps.push(step);
                }
            }
            sums.iter_mut().for_each(|sum| sum.mode = 0);
            sums = self.narrow(sums, width);
        }
        let mut ends: Vec<(u64, usize)> =
            sums.iter().map(|sum| (self.bound(sum, &Rest::NONE), sum.step)).collect();
        ends.sort_unstable();
        let least = ends.first().map_or(self.makespan, |&(bound, _)| bound.min(self.makespan));
        let mixes = ends.iter().take(MIXES_MAX).map(|&(_, step)| self.mix(step)).collect();
        WholeJobs { bound: Time::from_nanoseconds(least), mixes }
    }

    /// The sums with one more job of a class, if they may stay below the makespan.
    fn next(&self, sums: &[Sum], class: usize, left: u64) -> Vec<Sum> {
        let Jobs { pieces, from, after, .. } = &self.classes[class];
        let rests: Vec<Rest> = from.iter().map(|from| after.and(left, from)).collect();
        let mut next = Vec::new();
        for sum in sums {
            for (mode, piece) in pieces.iter().enumerate().skip(sum.mode) {
                let sum = sum.with(piece, mode);
                if self.bound(&sum, &rests[mode]) < self.makespan {
                    next.push(sum);
                }
            }
        }
        next
    }

    /// At most `width` sums; for each sum there is one that exceeds it in nothing.
    fn narrow(&self, mut sums: Vec<Sum>, width: usize) -> Vec<Sum> {
        let mut size = (self.makespan / FINEST).max(1);
        while sums.len() > width {
            // Where even that is too fine, jobs may go back to earlier modes.
            let is_coarse = size > self.makespan / COARSE;
            let cell = |sum: &Sum| {
                (if is_coarse { 0 } else { sum.mode }, sum.piece.loads.map(|load| load / size))
            };
            sums.sort_unstable_by_key(cell);
            let mut kept: Vec<Sum> = Vec::with_capacity(sums.len());
            for sum in &sums {
                match kept.last_mut() {
                    Some(last) if cell(last) == cell(sum) => *last = last.or(sum),
                    _ => kept.push(*sum),
                }
            }
            sums = kept;
            size = size.saturating_mul(if sums.len() > 4 * width { 4 } else { 2 });
        }
        sums
    }

    /// The modes taken up to a step.
    fn mix(&self, step: usize) -> Counts {
        let mut counts = vec![Vec::new(); self.classes.len()];
        for jobs in &self.classes {
            counts[jobs.class] = vec![0; jobs.pieces.len()];
        }
        let mut next = self.steps.get(step);
        while let Some(&Step { class, mode, before }) = next {
            counts[self.classes[class].class][mode] += 1;
            next = self.steps.get(before);
        }
        counts
    }
}
