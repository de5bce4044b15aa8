//! The rules of the cost model, and where a plan breaks one.

use crate::error::rules;
use crate::units::Time;
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

rules! {
    /// The rules of the cost model.
    PlanRule {
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
}

#[derive(Default)]
pub(super) struct Report {
    pub(super) violations: Vec<Violation>,
}

impl Report {
    pub(super) fn add(
        &mut self,
        rule: PlanRule,
        place: impl FnOnce() -> String,
        message: impl Into<String>,
    ) {
        self.violations.push(Violation { rule, place: place(), message: message.into() });
    }
}

/// How far a time that went through milliseconds may be from where it was.
fn allowance(time: Time) -> Time {
    Time::from_nanoseconds(1 + (time.nanoseconds() >> 51))
}

/// Whether `a` is before `b` by more than rounding explains.
pub(super) fn is_before(a: Time, b: Time) -> bool {
    b.saturating_sub(a) > allowance(b)
}

/// Whether `a` and `b` are the same time up to rounding.
pub(super) fn is_equal(a: Time, b: Time) -> bool {
    !is_before(a, b) && !is_before(b, a)
}
