//! Does a plan keep every rule of the cost model?
//!
//! Everything is worked out again from the workload: frontiers, lengths of operations, arrival
//! times, completions. Nothing is taken from the planner or the simulator, so that a mistake there
//! shows here.
//!
//! Files hold milliseconds, so a time may be off by one nanosecond. Beyond 2^51 ns (26 days) not
//! every nanosecond has a floating-point number of milliseconds, and the allowance grows with it.
//!
//! What a checker cannot see is whether a claimed lower bound holds for *all* plans. A bound above
//! the makespan of some plan is refused; [`proved_bound`] works a bound out by other means than the
//! planner, and a claim that is not above it is proved.

mod bound;
mod job;
mod machines;
mod proof;
mod rule;
mod transfer;

#[cfg(test)]
mod tests;

pub use bound::{load_bound, simple_makespan};
pub use proof::proved_bound;
pub use rule::{PlanRule, Violation};

use crate::plan::{Machine, Operation, Plan, Work};
use crate::units::Time;
use crate::workload::Workload;
use rule::{Report, is_before, is_equal};

/// All rules that `plan` breaks, by place; none for a valid plan. O(operations x log).
pub fn check_plan(workload: &Workload, plan: &Plan) -> Vec<Violation> {
    let mut report = Report::default();
    let (found, expected) = (plan.partitions.len(), workload.jobs.len());
    for (what, found) in [("partitions", found), ("completions", plan.completions.len())] {
        if found != expected {
            let message = format!("{found} {what} for {expected} jobs");
            report.add(PlanRule::OneEntryPerJob, || "jobs".into(), message);
        }
    }
    let is_known = operations_are_known(workload, plan, &mut report);
    if !report.violations.is_empty() || !is_known {
        return report.violations;
    }
    job::check_jobs(workload, plan, &mut report);
    machines::check_machines(workload, plan, &mut report);
    check_numbers(workload, plan, &mut report);
    report.violations
}

/// Whether every operation is on its machine and names what its workload has: the rest relies on
/// it.
fn operations_are_known(workload: &Workload, plan: &Plan, report: &mut Report) -> bool {
    let mut is_known = true;
    for machine in Machine::ALL {
        for (i, op) in plan.schedule.on(machine).iter().enumerate() {
            let place = || format!("schedule.{}[{i}]", machine.name());
            if op.work.machine() != machine {
                let message = format!("{:?} belongs to the {}", op.work, op.work.machine().name());
                report.add(PlanRule::RightMachine, place, message);
                is_known = false;
            } else if !is_known_operation(workload, op) {
                let message = format!("the workload has no {:?} of job {}", op.work, op.job.0);
                report.add(PlanRule::KnownName, place, message);
                is_known = false;
            }
        }
    }
    is_known
}

fn is_known_operation(workload: &Workload, op: &Operation) -> bool {
    let Some(model) = workload.jobs.get(op.job.index()) else { return false };
    let model = &workload.models[model.index()];
    match op.work {
        Work::Layer(layer) => layer.index() < model.layers.len(),
        Work::Encode(tensor) | Work::Transfer(tensor) => tensor.index() < model.tensors.len(),
        Work::Suffix | Work::Download => true,
    }
}

fn check_numbers(workload: &Workload, plan: &Plan, report: &mut Report) {
    let last = plan.completions.iter().copied().max().unwrap_or(Time::ZERO);
    if !is_equal(plan.makespan, last) {
        let message = format!("the last completion is {last}, not {}", plan.makespan);
        report.add(PlanRule::Makespan, || "makespan_ms".into(), message);
    }
    let bound = plan.lower_bound;
    let place = || "lower_bound_ms".to_string();
    if is_before(plan.makespan, bound) {
        let message = format!("{bound} is above the makespan of this plan, {}", plan.makespan);
        report.add(PlanRule::LowerBound, place, message);
    } else {
        // When all jobs have arrived, a trivial plan can begin.
        let jobs = workload.jobs.len().saturating_sub(1) as u64;
        let all_there = plan.period.map_or(Time::ZERO, |period| period * jobs);
        let simple = all_there + simple_makespan(workload);
        if is_before(simple, bound) {
            let message = format!("{bound} is above what a trivial plan reaches, {simple}");
            report.add(PlanRule::LowerBound, place, message);
        }
    }
    if plan.optimal && !is_equal(plan.makespan, bound) {
        let message = format!("optimal, but the lower bound leaves a gap of {}", plan.gap());
        report.add(PlanRule::Optimal, || "optimal".into(), message);
    }
}
