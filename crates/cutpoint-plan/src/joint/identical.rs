//! The case of one model on two machines, where counts alone decide (see `flow_shop::identical`).

use crate::flow_shop::identical::{Choices, Solution, Stages, best};
use crate::joint::mix::Counts;
use crate::joint::problem::Problem;
use crate::units::Time;

/// The best counts of a class alone on two machines, if each of its modes is a single segment;
/// otherwise nothing.
///
/// Paper: Cor 1.
pub(crate) fn identical(problem: &Problem<'_>) -> Option<(Solution, Counts)> {
    let [class] = problem.classes.as_slice() else { return None };
    if !problem.is_two_machine() || class.modes.iter().any(|m| m.segments.len() > 1) {
        return None;
    }
    let sending: Vec<usize> =
        (0..class.modes.len()).filter(|&m| class.modes[m].has_suffix).collect();
    let stages =
        |&m: &usize| Stages { device: class.modes[m].device, uplink: class.modes[m].uplink };
    let local = class.local();
    let choices = Choices {
        cuts: sending.iter().map(stages).collect(),
        local: local.map(|l| class.modes[l].device),
        tail: if sending.is_empty() { Time::ZERO } else { problem.half + problem.half },
        jobs: class.count(),
    };
    let solution = best(&choices)?;
    let mut counts = vec![0; class.modes.len()];
    for (&mode, &count) in sending.iter().zip(&solution.counts) {
        counts[mode] = count;
    }
    if let Some(local) = local {
        counts[local] += solution.local;
    }
    Some((solution, vec![counts]))
}
