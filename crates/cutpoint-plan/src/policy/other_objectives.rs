//! Plans for jobs that arrive over time, and plans that make the mean completion small.
//!
//! Jobs that arrive keep their order; what is chosen are the modes. Where all jobs are there from
//! the start, the order is chosen too, the job with the least work first to begin with. Each
//! policy's own modes are one start; for `joint` there are others, and the best are improved turn
//! by turn on the exact completions.
//!
//! Source: the stability condition of section 5.7; a periodic mix is spread evenly over the jobs,
//! so that no more than one job of each kind waits.

use crate::bound::LoadBound;
use crate::joint::best_mix::best_mix;
use crate::joint::job_order::{Goal, Turn, TurnSearch, Value};
use crate::joint::local_search::{balanced, first_choice, promising};
use crate::joint::send_order::Member;
use crate::options::Policy;
use crate::plan::Plan;
use crate::policy::budget::{IMPROVED_JOBS_MAX, IMPROVED_STARTS, TURNS};
use crate::policy::planner::{Found, Planner};
use crate::problem::{Class, Context, Counts, Problem};
use crate::simulate::{Decision, plan_of};
use crate::units::Time;

impl Planner<'_> {
    /// The plan of a policy toward a goal; `None` if a job cannot be done so.
    pub(super) fn toward(&self, goal: Goal, policy: Policy) -> Option<Plan> {
        let mut best: Option<(Value, Plan)> = None;
        let mut offer = |decision: Decision| {
            let plan = self.write_decision(goal, policy, decision);
            let value = goal.value(&plan.completions);
            if best.as_ref().is_none_or(|(b, _)| value < *b) {
                best = Some((value, plan));
            }
        };
        let policies = match policy {
            Policy::Joint => &Policy::ALL[..6],
            _ => std::slice::from_ref(&policy),
        };
        for &other in policies {
            let Some(found) = self.simple(other) else { continue };
            let search = TurnSearch::new(self.problem_of(&found), goal);
            offer(search.decision(&self.turns_of(&found, &search, other)));
        }
        if policy == Policy::Joint {
            let (search, turns) = self.improved(goal);
            offer(search.decision(&turns));
        }
        best.map(|(_, plan)| plan)
    }

    /// The jobs of a plan in the order of the goal, in the plan's modes.
    fn turns_of(&self, found: &Found<'_>, search: &TurnSearch<'_>, policy: Policy) -> Vec<Turn> {
        let turn = |member: Member| Turn {
            member,
            mode: found.outline.modes[member.class][member.position],
        };
        let mut turns: Vec<Turn> = found.outline.members().map(turn).collect();
        let keeps_order =
            matches!(policy, Policy::LocalOnly | Policy::ServerOnly | Policy::PartitionOnly);
        if keeps_order || search.goal.period.is_some() {
            turns.sort_by_key(|turn| search.job(turn));
        } else {
            self.sort_by_work(&mut turns, search);
        }
        turns
    }

    /// Least work first, at the prices of the bound.
    fn sort_by_work(&self, turns: &mut [Turn], search: &TurnSearch<'_>) {
        let work = |turn: &Turn| search.problem.load(search.mode(turn), self.bound.prices);
        turns.sort_by_key(|turn| (work(turn), search.job(turn)));
    }

    /// The best sequence that the search finds among all modes.
    fn improved(&self, goal: Goal) -> (TurnSearch<'_>, Vec<Turn>) {
        let problem = &self.problem;
        let mut search = TurnSearch::new(problem, goal);
        let tried = promising(problem, self.bound.prices);
        let mut starts: Vec<(Value, Vec<Turn>)> = Vec::new();
        for counts in self.starting_counts(&tried) {
            let mut turns = spread(problem, &counts);
            match goal.period {
                Some(_) => turns.sort_by_key(|turn| search.job(turn)),
                None => self.sort_by_work(&mut turns, &search),
            }
            starts.push((search.value(&turns), turns));
        }
        starts.sort_by_key(|(value, _)| *value);
        starts.dedup_by_key(|(value, _)| *value);
        if problem.jobs() <= IMPROVED_JOBS_MAX {
            starts.truncate(IMPROVED_STARTS);
            let mut all = tried;
            for (tried, class) in all.iter_mut().zip(&problem.classes) {
                let quickest = quickest(class, problem);
                if !tried.contains(&quickest) {
                    tried.push(quickest);
                }
            }
            let share = TURNS / starts.len() as u64;
            for (value, turns) in &mut starts {
                *value = search.improve(turns, &all, share);
            }
            starts.sort_by_key(|(value, _)| *value);
        }
        let (_, turns) = starts.swap_remove(0);
        (search, turns)
    }

    /// How many jobs take each mode, in different ways.
    fn starting_counts(&self, tried: &[Vec<usize>]) -> Vec<Counts> {
        let problem = &self.problem;
        let known = self.identical.as_ref().map(|(_, counts)| counts);
        let mut starts = vec![
            best_mix(problem, &self.bound, known).counts,
            balanced(problem),
            first_choice(problem, tried),
        ];
        let quickest = |class: &Class<'_>| class.all_in(quickest(class, problem));
        starts.push(problem.classes.iter().map(quickest).collect());
        if let [class] = problem.classes.as_slice() {
            starts.extend(tried[0].iter().map(|&mode| vec![class.all_in(mode)]));
        }
        starts
    }

    fn write_decision(&self, goal: Goal, policy: Policy, decision: Decision) -> Plan {
        let Context { workload, granularity, .. } = *self.context;
        let bound = self.bound_with_arrivals(goal.period);
        plan_of(workload, policy, granularity, goal.objective, decision, |_| bound)
    }

    /// No plan whose jobs arrive with this period has a smaller makespan: the jobs from any one on
    /// need their loads after it has arrived, and the last one its own time.
    fn bound_with_arrivals(&self, period: Option<Time>) -> Time {
        let (problem, LoadBound { time, prices }) = (&self.problem, self.bound);
        let Some(period) = period.filter(|_| problem.is_complete) else { return time };
        let mut jobs: Vec<(u32, u128, Time)> = Vec::with_capacity(problem.jobs());
        for class in &problem.classes {
            let load = problem.least_load(class, prices);
            let alone = problem.least_latency(class);
            jobs.extend(class.jobs.iter().map(|job| (job.0, load, alone)));
        }
        jobs.sort_unstable_by_key(|&(job, _, _)| std::cmp::Reverse(job));
        let (mut after, mut best) = (0u128, time);
        for (job, load, alone) in jobs {
            after += load;
            let arrival = period * u64::from(job);
            best = best.max(arrival + LoadBound::time_of(after)).max(arrival + alone);
        }
        best
    }
}

/// The mode in which a job alone is complete soonest.
fn quickest(class: &Class<'_>, problem: &Problem<'_>) -> usize {
    let latency = |&m: &usize| class.modes[m].latency(problem.half);
    (0..class.modes.len()).min_by_key(latency).expect("a class has modes")
}

/// The jobs of each class in modes that take turns as evenly as their counts allow.
fn spread(problem: &Problem<'_>, counts: &Counts) -> Vec<Turn> {
    let mut turns = Vec::with_capacity(problem.jobs());
    for (class, by_mode) in counts.iter().enumerate() {
        let jobs: u64 = by_mode.iter().sum();
        let mut taken = vec![0u64; by_mode.len()];
        for (position, of_jobs) in (1..=jobs).enumerate() {
            // The mode that is furthest behind its share, in units of 1 / jobs.
            let behind = |&mode: &usize| {
                let share = i128::from(by_mode[mode]) * i128::from(of_jobs);
                (share - i128::from(taken[mode]) * i128::from(jobs), std::cmp::Reverse(mode))
            };
            let open = (0..by_mode.len()).filter(|&mode| taken[mode] < by_mode[mode]);
            let mode = open.max_by_key(behind).expect("counts add up to the jobs");
            taken[mode] += 1;
            turns.push(Turn { member: Member { class, position }, mode });
        }
    }
    turns
}

#[cfg(test)]
mod tests;
