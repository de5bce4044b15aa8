//! What jobs may take between the first and the last one on the uplink.

use crate::flow_shop::identical::choices::{Choices, Cut, Stages};
use crate::hull::lower_hull;
use crate::units::Time;

/// A cut that a job may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Its position in [`Choices::cuts`].
    pub position: u32,
    /// What it is taken to cost.
    pub cut: Cut,
    /// Places of its first and of its last transfer in the best order of all cuts; all alike where
    /// there is none.
    pub first: u32,
    pub last: u32,
}

/// What may be taken between two ends.
#[derive(Clone, Debug)]
pub(super) struct Between {
    /// Positions in [`Depth::between`]; `None` for a job that sends nothing.
    pub options: Vec<(Option<usize>, Stages)>,
    /// Positions in `options` of those on the lower hull.
    pub hull: Vec<usize>,
}

impl Between {
    pub(super) fn new<'t>(
        choices: &Choices,
        taken: impl Iterator<Item = (usize, &'t Taken)>,
    ) -> Between {
        let cuts = taken.map(|(k, taken)| (Some(k), taken.cut.stages));
        let local = choices.local.map(|device| (None, Stages { device, uplink: Time::ZERO }));
        let options: Vec<_> = cuts.chain(local).collect();
        let hull = lower_hull(&options, |(_, stages)| (stages.device, stages.uplink));
        Between { options, hull }
    }
}
