//! A segment of a job's work, and its place in Johnson's order.

/// A run of one job's work that no other job's should interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    pub device: u64,
    pub uplink: u64,
    pub alone: u64,
    pub part: Part,
}

/// The two parts of Johnson's order. A segment with F = G may stand in either, but not in either of
/// its own job: it stays in the part in which it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// F <= G: by increasing C - G.
    First,
    /// F >= G: by decreasing C - F.
    Last,
}

impl Segment {
    /// Where it stands in Johnson's order.
    pub(super) fn key(&self) -> (Part, i128) {
        let key = match self.part {
            Part::First => i128::from(self.alone - self.uplink),
            Part::Last => -i128::from(self.alone - self.device),
        };
        (self.part, key)
    }
}
