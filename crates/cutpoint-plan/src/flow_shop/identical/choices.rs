//! The cuts that identical jobs choose from, and the counts chosen.

use crate::units::Time;

/// A cut's time on device and uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stages {
    pub device: Time,
    pub uplink: Time,
}

/// A cut that sends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub stages: Stages,
    /// Device time that some transfer waits for; at most the whole.
    pub sending: Time,
    /// Device time before the first transfer can start.
    pub lead: Time,
    /// Uplink time after the last device work that a transfer waits for.
    pub trail: Time,
    /// The time from the end of the last transfer to completion.
    pub tail: Time,
    /// Where its first and its last segment are in an order of the segments of all cuts that is
    /// best for any counts, if there is one.
    pub places: Option<(u32, u32)>,
}

impl Cut {
    /// A cut whose transfers wait for all its device work.
    pub(crate) fn in_sequence(stages: Stages, tail: Time) -> Cut {
        let Stages { device, uplink } = stages;
        Cut { stages, sending: device, lead: device, trail: uplink, tail, places: None }
    }

    /// Whether every transfer waits for all device work.
    pub(super) fn is_in_sequence(&self) -> bool {
        Cut { places: None, ..*self } == Cut::in_sequence(self.stages, self.tail)
    }

    /// No job with this cut is complete sooner.
    pub(super) fn alone(&self) -> Time {
        let sent = (self.lead + self.stages.uplink).max(self.sending + self.trail);
        self.stages.device.max(sent + self.tail)
    }
}

/// The choices of identical jobs.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    /// Cuts that send something.
    pub cuts: Vec<Cut>,
    /// Device time of a job that sends nothing, if that is possible.
    pub local: Option<Time>,
    /// How many jobs there are.
    pub jobs: u64,
    /// How many leaves the search for counts may visit, over all pairs of first and last cut.
    pub leaves: u64,
}

/// How often each cut is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Solution {
    /// The makespan if every cut is in sequence and all tails are equal; else a bound on it.
    pub makespan: Time,
    /// For each of [`Choices::cuts`].
    pub counts: Vec<u64>,
    /// Jobs that send nothing.
    pub local: u64,
    /// No choice has a smaller makespan than this.
    pub lower_bound: Time,
}
