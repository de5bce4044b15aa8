//! Cuts and order together, starting from the best of all other policies.

use crate::bound::load_sums::{WholeJobs, whole_jobs};
use crate::joint::best_mix::{SEQUENCE_JOBS_MAX, best_mix, close_to, rules, share};
use crate::joint::local_search::promising;
use crate::joint::mix::Line;
use crate::joint::send_order::Outline;
use crate::joint::{exact, reinsertion};
use crate::options::Policy;
use crate::policy::budget::{
    EXACT_JOBS_MAX_TWO_MACHINES, NEAR_ENOUGH, STARTS_MAX, STEPS, nodes_for,
};
use crate::policy::planner::{Found, Planner};
use crate::problem::EXACT_JOBS_MAX;
use crate::units::Time;

impl<'c> Planner<'c> {
    /// Cuts and order together, starting from the best of all other policies.
    pub(super) fn joint(&self, nodes: u64) -> Found<'c> {
        let problem = &self.problem;
        let counts = self.identical.as_ref().map(|(_, counts)| counts);
        let outline = best_mix(problem, &self.bound, counts).outline(problem);
        let mut best = Found::new(outline.makespan(problem), outline, None);
        for policy in Policy::ALL {
            if matches!(policy, Policy::Joint | Policy::Exhaustive) || self.is_reached(&best) {
                break;
            }
            if let Some(found) = self.simple(policy).filter(|f| f.makespan < best.makespan) {
                best = found;
            }
        }
        if !self.is_reached(&best) && !problem.is_two_machine() {
            self.search_sequences(&mut best);
        }
        let exact_jobs_max = match problem.is_two_machine() {
            true => EXACT_JOBS_MAX_TWO_MACHINES,
            false => EXACT_JOBS_MAX,
        };
        let is_close = best.makespan <= close_to(self.bound.time, problem.jobs());
        if !is_close && problem.jobs() <= exact_jobs_max {
            let nodes = nodes_for(nodes, problem.jobs() as u64);
            let exact = exact::search(problem, best.makespan, self.bound.time, nodes);
            if let Some((makespan, outline)) = exact.better {
                best = Found::new(makespan, outline, None);
            }
            best.is_proved = exact.is_proved;
        }
        best.is_proved |= self.is_reached(&best);
        let is_near = best.makespan <= self.bound.time + share(self.bound.time, NEAR_ENOUGH);
        if !best.is_proved && !is_near {
            self.try_whole_jobs(&mut best);
        }
        best
    }

    fn search_sequences(&self, best: &mut Found<'c>) {
        let jobs = self.problem.jobs();
        if best.makespan <= close_to(self.bound.time, jobs) || jobs > SEQUENCE_JOBS_MAX {
            return;
        }
        let problem = self.problem_of(best);
        let tried = promising(problem, self.bound.prices);
        let better = reinsertion::improve(problem, &tried, &best.outline, best.makespan, STEPS);
        if let Some((makespan, outline)) = better {
            (best.makespan, best.outline) = (makespan, outline);
        }
    }

    /// A sharper bound, and the mixes that it leaves room for.
    fn try_whole_jobs(&self, best: &mut Found<'c>) {
        let problem = &self.problem;
        let WholeJobs { bound, mixes } = whole_jobs(problem, &self.bound, best.makespan);
        let mut starts: Vec<(Time, Outline)> = Vec::new();
        for rule in rules(problem) {
            let line = Line::new(problem, rule);
            let outlines = mixes.iter().map(|counts| line.outline(counts));
            starts.extend(outlines.map(|o| (o.makespan(problem), o)));
        }
        starts.sort_by_key(|&(makespan, _)| makespan);
        starts.dedup_by_key(|&mut (makespan, _)| makespan);
        let tried = promising(problem, self.bound.prices);
        for (makespan, outline) in starts.into_iter().take(STARTS_MAX) {
            let better = reinsertion::improve(problem, &tried, &outline, makespan, STEPS);
            let (makespan, outline) = better.unwrap_or((makespan, outline));
            if makespan < best.makespan {
                (best.makespan, best.outline, best.problem) = (makespan, outline, None);
            }
        }
        best.lower_bound = bound;
        best.is_proved = best.makespan <= bound;
    }
}
