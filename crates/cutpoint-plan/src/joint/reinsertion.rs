//! From one sequence of jobs to a better one, where server and downlink take time.
//!
//! Each job's parcels stay together. A move puts a job elsewhere in the sequence or gives it
//! another mode; each is tried on the exact makespan.

use crate::joint::after_uplink::{Visit, last_return};
use crate::joint::send_order::{Member, Outline};
use crate::problem::Problem;
use crate::units::Time;

/// A job's class and mode.
type Choice = (usize, usize);

/// Improves the order and the modes of `start` until no single move helps or `budget` steps are
/// spent; a step is one job of one sequence tried. Gives the better plan, if there is one.
pub(crate) fn improve(
    problem: &Problem<'_>,
    tried: &[Vec<usize>],
    start: &Outline,
    best: Time,
    budget: u64,
) -> Option<(Time, Outline)> {
    let mut search = Search { problem, best, budget, visits: Vec::new() };
    let mut sequence = sequence_of(start);
    search.best = search.makespan(&sequence);
    loop {
        let before = search.best;
        search.reinsert(&mut sequence);
        search.change_modes(&mut sequence, tried);
        if search.best == before || search.budget == 0 {
            break;
        }
    }
    (search.best < best).then(|| (search.best, outline(problem, &sequence)))
}

/// The jobs of a plan in the order of their last parcels; those that send nothing come last.
fn sequence_of(outline: &Outline) -> Vec<Choice> {
    let mut is_placed: Vec<Vec<bool>> =
        outline.modes.iter().map(|m| vec![false; m.len()]).collect();
    let mut sequence = Vec::new();
    let mode = |class: usize, position: usize| outline.modes[class][position] as usize;
    for (member, _) in outline.sends.iter().rev() {
        let (class, position) = (member.class as usize, member.position as usize);
        if !std::mem::replace(&mut is_placed[class][position], true) {
            sequence.push((class, mode(class, position)));
        }
    }
    sequence.reverse();
    for (class, placed) in is_placed.iter().enumerate() {
        let rest = placed.iter().enumerate().filter(|(_, is_placed)| !**is_placed);
        sequence.extend(rest.map(|(position, _)| (class, mode(class, position))));
    }
    sequence
}

/// The plan that sends each job's parcels together in the order of a sequence.
fn outline(problem: &Problem<'_>, sequence: &[Choice]) -> Outline {
    let mut modes: Vec<Vec<u32>> = vec![Vec::new(); problem.classes.len()];
    let mut sends = Vec::new();
    let index = |n: usize| u32::try_from(n).expect("jobs and modes are numbered in 32 bits");
    for &(class, mode) in sequence {
        let member = Member { class: index(class), position: index(modes[class].len()) };
        modes[class].push(index(mode));
        let segments = &problem.classes[class].modes[mode].segments;
        sends.extend(segments.iter().flat_map(|s| &s.parcels).map(|&p| (member, p)));
    }
    Outline { modes, sends, server: None }
}

struct Search<'p> {
    problem: &'p Problem<'p>,
    best: Time,
    budget: u64,
    visits: Vec<Visit>,
}

impl Search<'_> {
    fn makespan(&mut self, sequence: &[Choice]) -> Time {
        self.budget = self.budget.saturating_sub(sequence.len() as u64);
        self.visits.clear();
        let (mut device, mut rest, mut uplink) = (Time::ZERO, Time::ZERO, Time::ZERO);
        for &(class, mode) in sequence {
            let mode = &self.problem.classes[class].modes[mode];
            if !mode.has_suffix {
                rest += mode.device;
                continue;
            }
            let mut arrival = Time::ZERO;
            for segment in mode.segments.iter().filter(|s| !s.parcels.is_empty()) {
                uplink = (uplink + segment.uplink).max(device + segment.alone);
                device += segment.device;
                arrival = uplink + self.problem.half;
            }
            rest += mode.rest();
            let (server, download) = (mode.server, mode.download);
            self.visits.push(Visit { arrival, server, download });
        }
        let returned = last_return(&self.visits, self.problem.executors, self.problem.half);
        returned.max(device + rest)
    }

    /// Takes each job out and puts it where the makespan is least.
    fn reinsert(&mut self, sequence: &mut [Choice]) {
        for from in 0..sequence.len() {
            if from > 0 && sequence[from] == sequence[from - 1] {
                // Moving either of two alike neighbours gives the same sequences.
                continue;
            }
            let moved = sequence[from];
            let mut to_best = None;
            let mut at = from;
            for to in (0..from).rev().chain(from + 1..sequence.len()) {
                if self.budget == 0 {
                    break;
                }
                let passed = sequence[to];
                carry(sequence, at, to);
                let is_back = (from + 1 == to) && at < from;
                at = to;
                if passed == moved && !is_back {
                    continue;
                }
                let makespan = self.makespan(sequence);
                if makespan < self.best {
                    (self.best, to_best) = (makespan, Some(to));
                }
            }
            carry(sequence, at, to_best.unwrap_or(from));
        }
    }

    fn change_modes(&mut self, sequence: &mut [Choice], tried: &[Vec<usize>]) {
        for i in 0..sequence.len() {
            let is_inside = i > 0
                && i + 1 < sequence.len()
                && sequence[i] == sequence[i - 1]
                && sequence[i] == sequence[i + 1];
            if is_inside {
                // Jobs are exchanged by moves; of a run of alike ones the ends are enough.
                continue;
            }
            for &mode in &tried[sequence[i].0] {
                if self.budget == 0 {
                    return;
                }
                if mode == sequence[i].1 {
                    continue;
                }
                let old = std::mem::replace(&mut sequence[i].1, mode);
                let makespan = self.makespan(sequence);
                if makespan < self.best {
                    self.best = makespan;
                } else {
                    sequence[i].1 = old;
                }
            }
        }
    }
}

/// Moves one element to another position; those between close up.
pub(crate) fn carry<T>(sequence: &mut [T], from: usize, to: usize) {
    if from < to {
        sequence[from..=to].rotate_left(1);
    } else {
        sequence[to..=from].rotate_right(1);
    }
}
