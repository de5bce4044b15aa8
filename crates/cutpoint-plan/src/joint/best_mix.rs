//! The best mix that local search finds from the bound's prices, under each rule for the order.

use crate::bound::LoadBound;
use crate::joint::local_search::{balanced, first_choice, improve, promising};
use crate::joint::mix::{Line, Mix, Rule, RuledMix};
use crate::problem::{Counts, EXACT_JOBS_MAX, Problem};
use crate::units::Time;

/// Evaluations of a mix that a search may spend, whatever the number of classes.
const EVALUATIONS: u64 = 4_000;

/// Further evaluations of a mix that a search may spend for each class.
const EVALUATIONS_EACH: u64 = 200;

/// Evaluations of a mix that a search may spend if it starts near the bound.
const EVALUATIONS_NEAR: u64 = 1_000;

/// A plan that exceeds the bound by less than one part in this is not searched for a better one.
const CLOSE: u64 = 2_000;

/// The same for more jobs than [`SEQUENCE_JOBS_MAX`] / 4.
const CLOSE_MANY: u64 = 1_000;

/// A mix that exceeds the bound by less than one part in this is the only one to start from.
const NEAR: u64 = 20;

/// A sequence of more jobs than this is not searched.
pub(crate) const SEQUENCE_JOBS_MAX: usize = 200;

/// A makespan that is not worth improving: the bound itself where the exact search may follow, and
/// little more where there are more jobs.
pub(crate) fn close_to(bound: Time, jobs: usize) -> Time {
    if jobs <= EXACT_JOBS_MAX {
        return bound;
    }
    let close = if jobs > SEQUENCE_JOBS_MAX / 4 { CLOSE_MANY } else { CLOSE };
    bound + share(bound, close)
}

/// One of this many parts of a time.
pub(crate) fn share(time: Time, parts: u64) -> Time {
    Time::from_nanoseconds(time.nanoseconds() / parts)
}

/// The orders worth trying for a problem.
pub(crate) fn rules(problem: &Problem<'_>) -> Vec<Rule> {
    if problem.is_two_machine() { vec![Rule::TwoMachine] } else { Rule::ALL.to_vec() }
}

/// The best mix found from the bound's prices, by any rule; `known` is a mix to start from.
pub(crate) fn best_mix(
    problem: &Problem<'_>,
    bound: &LoadBound,
    known: Option<&Counts>,
) -> RuledMix {
    let each = EVALUATIONS_EACH * problem.classes.len() as u64;
    best_mix_within(problem, bound, known, (EVALUATIONS + each, EVALUATIONS_NEAR + each))
}

/// The same with a limit of evaluations for each start: in general, and if `known` is near the bound.
pub(crate) fn best_mix_within(
    problem: &Problem<'_>,
    bound: &LoadBound,
    known: Option<&Counts>,
    (evaluations, evaluations_near): (u64, u64),
) -> RuledMix {
    let enough = close_to(bound.time, problem.jobs());
    let mut best = known.map(|counts| RuledMix::new(problem, counts.clone(), Rule::TwoMachine));
    if let Some(best) = best.take_if(|b| b.makespan <= enough) {
        return best;
    }
    let tried = promising(problem, bound.prices);
    let mut starts: Vec<Counts> = known.cloned().into_iter().collect();
    let near = bound.time + share(bound.time, NEAR);
    let is_near = best.as_ref().is_some_and(|b| b.makespan <= near);
    if !is_near {
        starts.extend([balanced(problem), first_choice(problem, &tried)]);
    }
    let budget = if is_near { evaluations_near } else { evaluations };
    for rule in rules(problem) {
        let line = Line::new(problem, rule);
        for start in &starts {
            if best.as_ref().is_some_and(|b| b.makespan <= enough) {
                break;
            }
            let mut mix = Mix::new(&line, start.clone());
            let makespan = improve(&mut mix, &tried, enough, budget);
            if best.as_ref().is_none_or(|b| makespan < b.makespan) {
                best = Some(RuledMix { counts: mix.counts, rule, makespan });
            }
        }
    }
    best.expect("there is at least one rule")
}
