//! What jobs may take between the first and the last one on the uplink.

use crate::flow_shop::identical::choices::{Choices, Cut, Stages};
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
        let hull = lower_hull(&options);
        Between { options, hull }
    }
}

/// The lower left hull of options sorted by depth, as positions.
fn lower_hull(options: &[(Option<usize>, Stages)]) -> Vec<usize> {
    let mut hull: Vec<usize> = Vec::new();
    let turns_up = |a: Stages, b: Stages, c: Stages| {
        let (ab, ac) = (delta(a, b), delta(a, c));
        ab.0 * ac.1 - ab.1 * ac.0 <= 0
    };
    for o in 0..options.len() {
        let point = options[o].1;
        if hull.last().is_some_and(|&l| options[l].1.uplink <= point.uplink) {
            continue;
        }
        while let [.., a, b] = hull[..]
            && turns_up(options[a].1, options[b].1, point)
        {
            hull.pop();
        }
        hull.push(o);
    }
    hull
}

fn delta(from: Stages, to: Stages) -> (i128, i128) {
    (signed(to.device) - signed(from.device), signed(to.uplink) - signed(from.uplink))
}

fn signed(time: Time) -> i128 {
    i128::from(time.nanoseconds())
}
