//! The options of jobs between the first and the last one on the uplink.

use crate::flow_shop::identical::choices::{Choices, Cut, Stages};
use crate::hull::lower_hull;
use crate::units::Time;

/// A cut that a job may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Its position in [`Choices::cuts`].
    pub position: u32,
    /// Its assumed times, with a place in the best order of all cuts if there is one.
    pub cut: Cut,
}

/// The options between two ends.
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
