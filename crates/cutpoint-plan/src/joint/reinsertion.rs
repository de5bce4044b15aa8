//! From one sequence of jobs to a better one, where server and downlink take time.
//!
//! Each job's parcels stay together. A move puts a job elsewhere in the sequence or gives it
//! another mode; each is tried on the exact makespan.

use crate::joint::send_order::{Member, Outline};
use crate::joint::sequence::{SequenceSearch, Turn};
use crate::problem::Problem;
use crate::simulate::after_uplink::{Visit, last_return};
use crate::units::Time;
use crate::workload::JobId;
use std::collections::BTreeMap;

/// A job by its class, and its mode.
type Choice = Turn<usize>;

/// Improves the order and the modes of `start` until no single move helps or `budget` steps are
/// spent; a step is one job of one sequence tried. Gives the better plan, if there is one.
pub(crate) fn improve(
    problem: &Problem<'_>,
    tried: &[Vec<usize>],
    start: &Outline,
    best: Time,
    budget: u64,
) -> Option<(Time, Outline)> {
    let mut sequence = sequence_of(start);
    let mut visits = Vec::new();
    let mut value = |sequence: &[Choice]| makespan(problem, sequence, &mut visits);
    let start = value(&sequence);
    let budget = budget.saturating_sub(sequence.len() as u64);
    let mut search = SequenceSearch { value, best: start, budget };
    loop {
        let before = search.best;
        for from in 0..sequence.len() {
            search.reinsert(&mut sequence, from, &[]);
        }
        for i in 0..sequence.len() {
            let tried = &tried[sequence[i].member];
            search.change_mode(&mut sequence, i, tried);
        }
        if search.best == before || search.budget == 0 {
            break;
        }
    }
    let jobs = sequence.iter().map(|turn| (turn.member, turn.mode));
    (search.best < best).then(|| (search.best, Outline::in_sequence(problem, jobs)))
}

/// The jobs of a plan in the order of their last parcels; those that send nothing come last.
fn sequence_of(outline: &Outline) -> Vec<Choice> {
    let sends = outline.sends.iter().enumerate();
    let last: BTreeMap<Member, usize> = sends.map(|(at, &(member, _))| (member, at)).collect();
    let mut members: Vec<Member> = outline.members().collect();
    members.sort_by_key(|member| last.get(member).copied().unwrap_or(usize::MAX));
    let choice = |Member { class, position }| {
        let mode = outline.modes[class][position];
        Choice { member: class, mode }
    };
    members.into_iter().map(choice).collect()
}

fn makespan(problem: &Problem<'_>, sequence: &[Choice], visits: &mut Vec<Visit>) -> Time {
    visits.clear();
    let (mut device, mut rest, mut uplink) = (Time::ZERO, Time::ZERO, Time::ZERO);
    for &Turn { member: class, mode } in sequence {
        let mode = &problem.classes[class].modes[mode];
        if !mode.has_suffix {
            rest += mode.device;
            continue;
        }
        let mut arrival = Time::ZERO;
        for segment in mode.sending_segments() {
            uplink = (uplink + segment.block.uplink).max(device + segment.block.alone);
            device += segment.block.device;
            arrival = uplink + problem.half;
        }
        rest += mode.rest();
        visits.push(Visit::new(mode, arrival, JobId::at(visits.len())));
    }
    last_return(visits.iter(), problem.executors, problem.half).max(device + rest)
}
