//! The integer program, and its solution as a makespan.
//!
//! Jobs of one model are interchangeable, so the variables are counts: how many of them take each
//! cut. Copies of a segment follow one another; x of them are a block with device time x F, uplink
//! time x G, and makespan C + (x - 1) max(F, G), since the critical path leaves the device in some
//! copy and its length is linear in which one.
//!
//! *The row of a segment t.* With y = 1 if its cut is taken at all and 0 otherwise:
//!
//! ```text
//! makespan >= sum of F x before t + (C - max(F, G)) y + max(F, G) x + sum of G x after t.
//! ```
//!
//! If the cut is taken (x >= 1, y = 1) this is the length of the path that leaves the device within
//! the block of t; the makespan is the longest of these paths. If it is not (x = y = 0), what is
//! left is the device time before t and the uplink time after t. That is no longer than the path
//! through the last taken block before t, since a block's makespan is not below its device time;
//! or, if there is none before, than the path through the first one, since a block's makespan is
//! not below its uplink time. So such a row holds anyway. Were x alone in the row, C - max(F, G)
//! would remain at x = 0 and could exclude the optimum. The only other row for y is x <= jobs y: a
//! y of 1 that is not needed only makes the makespan longer. For a single job y is x.

use super::segment::Segment;
use anyhow::{anyhow, bail, ensure};
use cutpoint_plan::units::Time;
use microlp::{ComparisonOp, Error, OptimizationDirection, Problem, Variable};
use microlp::{SolutionStatus, SolveOptions, SolveOutcome};

/// The smallest tolerance that the solver accepts.
const FEASIBILITY_MIN: f64 = 1e-10;

/// The solver's own tolerance.
const FEASIBILITY_MAX: f64 = 1e-7;

/// How much work the oracle may take upon itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Nodes of the branch and bound.
    pub nodes: u64,
    /// A makespan that is known to be reached; nothing longer is looked at.
    pub reached: Option<Time>,
}

/// Interchangeable jobs.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// How many.
    pub jobs: usize,
    /// The segments of each cut they may take.
    pub modes: Vec<Vec<Segment>>,
}

/// Copies of a segment in Johnson's order.
#[derive(Clone, Copy, Debug)]
struct Block {
    segment: Segment,
    /// Which count says how many copies there are.
    mode: usize,
}

/// How many jobs take one cut.
struct Count {
    count: Variable,
    /// 1 if any job does; for a single job the count itself.
    is_taken: Variable,
}

/// The makespan of one job alone.
pub(super) fn length(mode: &[Segment]) -> u64 {
    makespan(mode.iter().map(|&segment| (segment, 1)))
}

/// The makespan of blocks of copies in sequence.
fn makespan(blocks: impl Iterator<Item = (Segment, u64)>) -> u64 {
    let (mut device, mut uplink) = (0, 0);
    for (Segment { device: f, uplink: g, alone, .. }, copies) in blocks {
        for _ in 0..copies {
            uplink = (uplink + g).max(device + alone);
            device += f;
        }
    }
    uplink
}

/// All segments of all cuts in Johnson's order. The sort is stable, so equal segments of one job
/// stay in their order.
fn blocks(classes: &[Class]) -> Vec<Block> {
    let modes = classes.iter().flat_map(|class| &class.modes).enumerate();
    let mut blocks: Vec<Block> = modes
        .flat_map(|(mode, segments)| segments.iter().map(move |&segment| Block { segment, mode }))
        .collect();
    blocks.sort_by_key(|block| block.segment.key());
    blocks
}

/// The smallest makespan of all choices of cuts; `None` if the limit came first.
pub(super) fn solve(classes: &[Class], limits: Limits) -> anyhow::Result<Option<Time>> {
    let blocks = blocks(classes);
    let not_reached = || {
        let time = limits.reached.unwrap_or_default();
        anyhow!("no plan has a makespan of {time} or less")
    };
    if classes.iter().any(|class| class.modes.is_empty()) {
        return Err(not_reached());
    }
    // Times are scaled so that the longest is 1: the solver's tolerances are absolute.
    let longest = blocks.iter().map(|b| b.segment.alone).max().unwrap_or(0).max(1) as f64;
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    // The makespan reached is itself allowed, with room for rounding.
    let most = limits.reached.map_or(f64::INFINITY, |t| (t.nanoseconds() as f64 + 0.25) / longest);
    let whole = problem.add_var(1.0, (0.0, most));
    let counts =
        add_counts(&mut problem, classes, |problem, most| problem.add_integer_var(0.0, (0, most)));
    add_rows(&mut problem, &blocks, &counts, whole, longest);

    let mut options = SolveOptions::default();
    options.node_limit = Some(limits.nodes);
    // A tenth of a nanosecond, so that what is optimal within the tolerance is optimal; with times
    // of seconds the solver cannot be that exact, and the comparison below decides.
    options.tolerances.feasibility = (0.1 / longest).clamp(FEASIBILITY_MIN, FEASIBILITY_MAX);
    let solution = match problem.solve_with(options) {
        Ok(SolveOutcome::Solution(solution)) => solution,
        Ok(SolveOutcome::Interrupted(_)) => return Ok(None),
        Err(Error::Infeasible) if limits.reached.is_some() => return Err(not_reached()),
        Err(error) => bail!("the integer program failed: {error}"),
    };
    if solution.status() != SolutionStatus::Optimal {
        return Ok(None);
    }
    let copies = |mode: usize| solution.var_value(counts[mode].count).round() as u64;
    let exact = makespan(blocks.iter().map(|block| (block.segment, copies(block.mode))));
    let claimed = solution.objective() * longest;
    ensure!(
        (claimed - exact as f64).abs() <= 0.5,
        "the cuts of the integer program have a makespan of {exact} ns, it claims {claimed} ns"
    );
    Ok(Some(Time::from_nanoseconds(exact)))
}

/// The value of the program if jobs may be divided among cuts, in nanoseconds.
///
/// Paper: LB3.
#[cfg(test)]
pub(super) fn relaxation(classes: &[Class]) -> f64 {
    let blocks = blocks(classes);
    let longest = blocks.iter().map(|b| b.segment.alone).max().unwrap_or(0).max(1) as f64;
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let whole = problem.add_var(1.0, (0.0, f64::INFINITY));
    let counts = add_counts(&mut problem, classes, |problem, most| {
        problem.add_var(0.0, (0.0, f64::from(most)))
    });
    add_rows(&mut problem, &blocks, &counts, whole, longest);
    match problem.solve() {
        Ok(SolveOutcome::Solution(solution)) => solution.objective() * longest,
        other => panic!("every job has a cut, and there is no limit: {other:?}"),
    }
}

/// A count for each cut of each class, made by `add` from the most that it may be; those of a class
/// add up to its jobs.
fn add_counts(
    problem: &mut Problem,
    classes: &[Class],
    add: impl Fn(&mut Problem, i32) -> Variable,
) -> Vec<Count> {
    let mut counts = Vec::new();
    for class in classes {
        let first = counts.len();
        let jobs = i32::try_from(class.jobs).expect("far fewer jobs than 2^31");
        for _ in &class.modes {
            let count = add(problem, jobs);
            let is_taken = if jobs == 1 { count } else { add(problem, 1) };
            if jobs > 1 {
                let row = [(count, 1.0), (is_taken, -f64::from(jobs))];
                problem.add_constraint(row, ComparisonOp::Le, 0.0);
            }
            counts.push(Count { count, is_taken });
        }
        let all = counts[first..].iter().map(|c| (c.count, 1.0));
        problem.add_constraint(all, ComparisonOp::Eq, f64::from(jobs));
    }
    counts
}

/// For each segment: the makespan is at least the path that leaves the device there.
fn add_rows(
    problem: &mut Problem,
    blocks: &[Block],
    counts: &[Count],
    whole: Variable,
    longest: f64,
) {
    // What each copy adds to the path: at first all blocks are after it.
    let mut added = vec![0u64; counts.len()];
    blocks.iter().for_each(|b| added[b.mode] += b.segment.uplink);
    for block in blocks {
        let Segment { device, uplink, alone, .. } = block.segment;
        let copy = device.max(uplink);
        added[block.mode] = added[block.mode] - uplink + copy;
        let mut row: Vec<(Variable, f64)> = vec![(whole, 1.0)];
        for (mode, (count, &time)) in counts.iter().zip(&added).enumerate() {
            let once = if mode == block.mode { alone - copy } else { 0 };
            let is_single = count.count == count.is_taken;
            let each = if is_single { time + once } else { time };
            row.push((count.count, -(each as f64 / longest)));
            if once > 0 && !is_single {
                row.push((count.is_taken, -(once as f64 / longest)));
            }
        }
        row.retain(|&(_, coefficient)| coefficient != 0.0);
        problem.add_constraint(row, ComparisonOp::Ge, 0.0);
        added[block.mode] = added[block.mode] - copy + device;
    }
}
