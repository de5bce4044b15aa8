//! Modes: the ways to run one job, with what each costs on each machine.

use crate::cut::LayerSet;
use crate::flow_shop::johnson::Block;
use crate::flow_shop::segments::{ParcelTimes, Segment};
use crate::plan::Upload;
use crate::units::Time;

/// A mode with more parcels than this has some of them joined, which keeps plans valid but not
/// provably best.
pub(crate) const PARCELS_MAX: usize = 8;

/// Tensors of one mode that leave together, and when they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// Positions in [`Mode::uploads`].
    pub uploads: Vec<u32>,
    /// Time on the uplink.
    pub uplink: Time,
}

/// One way to run one job of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// The layers on the device.
    pub layers: LayerSet,
    /// The frontier and its encodings, in the order of the model's tensors.
    pub uploads: Vec<Upload>,
    /// The uploads grouped; at most [`PARCELS_MAX`].
    pub parcels: Vec<Parcel>,
    /// Device time of all layers and encodes.
    pub device: Time,
    /// Uplink time of all parcels.
    pub uplink: Time,
    /// Server time of all other layers and the decodes.
    pub server: Time,
    /// Downlink time; `None` if nothing is downloaded or downloads cost nothing.
    pub download: Option<Time>,
    /// Whether the server computes anything.
    pub has_suffix: bool,
    /// Whether the parcels are as fine as the cost model allows.
    pub is_exact: bool,
    /// Device time that must precede each set of parcels, by bit mask.
    pub(super) before: Vec<Time>,
    /// Composite jobs of the two-machine flow shop, in their order.
    pub segments: Vec<Segment>,
}

impl Mode {
    /// Device time of everything that the parcels in `mask` wait for.
    pub(crate) fn before(&self, mask: usize) -> Time {
        self.before[mask]
    }

    /// The mask of all parcels.
    pub(crate) fn all_parcels(&self) -> usize {
        (1 << self.parcels.len()) - 1
    }

    /// The times of its parcels.
    pub(super) fn parcel_times(&self) -> ParcelTimes<'_> {
        let uplink = self.parcels.iter().map(|p| p.uplink).collect();
        ParcelTimes { before: &self.before, uplink, device: self.device }
    }

    /// Device time that no parcel waits for.
    pub(crate) fn rest(&self) -> Time {
        self.device - self.before[self.all_parcels()]
    }

    /// When the last parcel of a job alone on device and uplink arrives at the link's far end,
    /// without propagation. Zero if nothing is sent.
    pub(crate) fn sent_alone(&self) -> Time {
        let sending = self.segments.iter().filter(|s| !s.parcels.is_empty());
        sending.map(Block::from).fold(Block::default(), Block::then).alone
    }

    /// When a job alone completes; `half` is the propagation time of one direction.
    pub(crate) fn latency(&self, half: Time) -> Time {
        if !self.has_suffix {
            return self.device;
        }
        let arrival = if self.parcels.is_empty() { Time::ZERO } else { self.sent_alone() + half };
        let back = arrival + self.server + self.download.unwrap_or_default() + half;
        back.max(self.device)
    }
}

/// The modes of a model that may be part of a best plan.
#[derive(Clone, Debug)]
pub(crate) struct ModeSet {
    /// Undominated modes, by device time.
    pub modes: Vec<Mode>,
    /// Whether some best plan uses only these: no mode was left out but dominated ones.
    pub is_complete: bool,
}
