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

#[cfg(test)]
mod tests;

pub use bound::{load_bound, simple_makespan};
pub use proof::proved_bound;

use crate::plan::{Machine, Operation, Plan, Work};
use crate::units::Time;
use crate::workload::Workload;
use std::fmt;

/// A rule that a plan breaks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: PlanRule,
    /// A path in plan.json, for example `schedule.uplink[3]`; lists of operations by start time.
    pub place: String,
    /// What was found and what was expected.
    pub message: String,
}

impl Violation {
    /// The stable code of the rule.
    pub fn code(&self) -> &'static str {
        self.rule.code()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}] {}", self.place, self.code(), self.message)
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident => $code:literal,)*) => {
        /// The rules of the cost model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum PlanRule {
            $($(#[$doc])* $name,)*
        }

        impl PlanRule {
            /// All rules.
            pub const ALL: &[PlanRule] = &[$(PlanRule::$name),*];

            /// The stable code; docs/errors.md has a paragraph on each.
            pub fn code(self) -> &'static str {
                match self {
                    $(PlanRule::$name => $code,)*
                }
            }
        }
    };
}

rules! {
    /// There is one partition and one completion for each job.
    OneEntryPerJob => "one-entry-per-job",
    /// Jobs, layers, tensors and encodings exist.
    KnownName => "known-name",
    /// An operation is in the list of the machine that does its kind of work.
    RightMachine => "right-machine",
    /// With a layer, every layer that it reads from is on the device.
    ClosedCut => "closed-cut",
    /// Every device layer runs on the device exactly once, and no other.
    LayersOnce => "layers-once",
    /// Every frontier tensor is in `uploads` exactly once, and no other.
    UploadsAreFrontier => "uploads-are-frontier",
    /// Every chosen encoding is made exactly once, and no other.
    EncodesOnce => "encodes-once",
    /// Every frontier tensor crosses the uplink exactly once, and no other.
    TransfersOnce => "transfers-once",
    /// A job with layers off the device has one server block, another none.
    SuffixOnce => "suffix-once",
    /// A job with outputs made on the server has one downlink block, where a downlink is modelled.
    DownloadOnce => "download-once",
    /// Nothing with a size crosses a link without bandwidth.
    PossibleTransfer => "possible-transfer",
    /// An operation takes as long as the workload says.
    Duration => "duration",
    /// An operation starts after what it needs.
    Precedence => "precedence",
    /// A machine does one thing at a time, the server as many as it has executors.
    OneAtATime => "one-at-a-time",
    /// Operations are listed by start time.
    Sorted => "sorted",
    /// A job's completion is when its last operation ends, results at the device.
    Completion => "completion",
    /// The makespan is the last completion.
    Makespan => "makespan",
    /// The lower bound is not above a makespan that can be reached.
    LowerBound => "lower-bound",
    /// A plan that is said to be optimal has no gap.
    Optimal => "optimal",
}

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

#[derive(Default)]
struct Report {
    violations: Vec<Violation>,
}

impl Report {
    fn add(&mut self, rule: PlanRule, place: impl FnOnce() -> String, message: impl Into<String>) {
        self.violations.push(Violation { rule, place: place(), message: message.into() });
    }
}

/// How far a time that went through milliseconds may be from where it was.
fn allowance(time: Time) -> Time {
    Time::from_nanoseconds(1 + (time.nanoseconds() >> 51))
}

/// Whether `a` is before `b` by more than rounding explains.
fn is_before(a: Time, b: Time) -> bool {
    b.saturating_sub(a) > allowance(b)
}

/// Whether `a` and `b` are the same time up to rounding.
fn is_equal(a: Time, b: Time) -> bool {
    !is_before(a, b) && !is_before(b, a)
}
