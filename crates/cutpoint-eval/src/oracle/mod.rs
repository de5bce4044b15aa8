//! The smallest makespan on two machines, by integer programming.
//!
//! F2 || C_max with a choice of modes. A mode of a job is a cut; it is replaced by its segments
//! (at job granularity one, the whole job). All segments of all cuts of all jobs have one order, by
//! Johnson's rule, and the segments of any choice of cuts run best in that order. So the program
//! has no variables for the sequence, only for the cuts:
//!
//! ```text
//! minimise C, where for each model   the counts of its cuts add up to its jobs,
//!                   for each segment t   C >= sum of F before t + C of t + sum of G after t.
//! ```
//!
//! | theory | here      | meaning                                              |
//! |--------|-----------|------------------------------------------------------|
//! | F      | `device`  | device time of a segment                             |
//! | G      | `uplink`  | uplink time of a segment                             |
//! | C      | `alone`   | makespan of a segment that has both machines to itself |
//!
//! Nothing here is shared with the planner but the types of the workload: cuts are all sets of
//! layers that pass a test ([`cuts`]), segments come from all closed sets of a cut ([`segments`]), and
//! the search is that of a solver for mixed-integer programs ([`program`]).
//!
//! Paper: Thm 5 (ILP), Thm 7, Thm 8, LB3.

mod cuts;
mod program;
mod segment;
mod segments;

#[cfg(test)]
mod tests;

pub(crate) use program::Limits;

use anyhow::ensure;
use cutpoint_plan::options::Granularity;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{ModelId, Workload};
use segment::{Part, Segment};

/// A model with more layers has too many sets of layers to try them all.
const LAYERS_MAX: usize = 16;

/// The smallest makespan of all plans for a workload without server times, delays, downlink or
/// encodings; `None` if the limit came first.
///
/// # Errors
///
/// If the workload has anything else, no plan has the makespan that is said to be reached, or the
/// solver failed.
pub(crate) fn optimum(
    workload: &Workload,
    granularity: Granularity,
    limits: Limits,
) -> anyhow::Result<Option<Time>> {
    check_two_machines(workload)?;
    program::solve(&classes(workload, granularity, limits.reached), limits)
}

/// The jobs of each model, with the cuts that are worth choosing.
fn classes(
    workload: &Workload,
    granularity: Granularity,
    reached: Option<Time>,
) -> Vec<program::Class> {
    (0..workload.models().len())
        .map(|m| (m, workload.jobs().iter().filter(|&&id| id == ModelId::at(m)).count()))
        .filter(|&(_, jobs)| jobs > 0)
        .map(|(m, jobs)| program::Class { jobs, modes: modes(workload, m, granularity, reached) })
        .collect()
}

/// The segments of each cut that is worth choosing.
fn modes(
    workload: &Workload,
    model: usize,
    granularity: Granularity,
    reached: Option<Time>,
) -> Vec<Vec<Segment>> {
    let cuts = cuts::cuts(&workload.models()[model], &workload.link());
    let mut modes: Vec<Vec<Segment>> = match granularity {
        Granularity::Job => undominated(&cuts),
        Granularity::Layer => cuts.iter().map(segments::segments).collect(),
    };
    modes.sort();
    modes.dedup();
    if let Some(reached) = reached {
        modes.retain(|mode| program::length(mode) <= reached.nanoseconds());
    }
    modes
}

/// Each cut as one segment, without those that another beats on both machines: exchanging a mode
/// for one that is no longer on either machine makes no schedule longer.
fn undominated(cuts: &[cuts::Cut]) -> Vec<Vec<Segment>> {
    let mut times: Vec<(u64, u64)> = cuts.iter().map(|c| (c.device(), c.uplink())).collect();
    times.sort_unstable();
    let mut kept: Vec<(u64, u64)> = Vec::new();
    for (device, uplink) in times {
        if kept.last().is_none_or(|&(_, least)| uplink < least) {
            kept.push((device, uplink));
        }
    }
    let whole = |(device, uplink)| {
        let part = if device <= uplink { Part::First } else { Part::Last };
        vec![Segment { device, uplink, alone: device + uplink, part }]
    };
    kept.into_iter().map(whole).collect()
}

fn check_two_machines(workload: &Workload) -> anyhow::Result<()> {
    let (link, models) = (workload.link(), workload.models());
    let mut layers = models.iter().flat_map(|model| &model.layers);
    let mut tensors = models.iter().flat_map(|model| &model.tensors);
    let further = [
        (link.downlink.is_some(), "a downlink"),
        (link.round_trip > Time::ZERO, "a round trip"),
        (layers.any(|layer| layer.server > Time::ZERO), "server times"),
        (tensors.any(|tensor| !tensor.encodings.is_empty()), "encodings"),
    ];
    for (is_there, what) in further {
        ensure!(!is_there, "the workload has {what}, but the oracle knows device and uplink only");
    }
    let most = models.iter().map(|model| model.layers.len()).max().unwrap_or(0);
    ensure!(most <= LAYERS_MAX, "a model has {most} layers, the oracle tries at most {LAYERS_MAX}");
    Ok(())
}
