//! Modes: the ways to run one job, with what each costs on each machine.

use crate::cut::LayerSet;
use crate::flow_shop::johnson::Block;
use crate::flow_shop::segments::{Segment, segments};
use crate::plan::Upload;
use crate::units::Time;
use std::ops::Deref;

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

/// The times of one job on each machine in a mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// Device time of all layers and encodes.
    pub device: Time,
    /// Device time that some transfer waits for.
    pub sending: Time,
    /// Device time before the first transfer can start.
    pub lead: Time,
    /// Uplink time of all parcels.
    pub uplink: Time,
    /// Uplink time of the shortest parcel.
    pub trail: Time,
    /// When the last parcel of a job alone on device and uplink has been sent; zero if nothing is
    /// sent.
    pub sent_alone: Time,
    /// Server time of all other layers and the decodes.
    pub server: Time,
    /// Downlink time; `None` if nothing is downloaded or downloads cost nothing.
    pub download: Option<Time>,
    /// Whether the server computes anything.
    pub has_suffix: bool,
    /// How many parcels are sent.
    pub parcel_count: usize,
}

impl Times {
    /// Device time that no parcel waits for.
    pub(crate) fn rest(&self) -> Time {
        self.device - self.sending
    }

    /// Whether something may be sent before all device work is done.
    pub(crate) fn sends_early(&self) -> bool {
        self.parcel_count > 1 || (self.has_suffix && self.rest() > Time::ZERO)
    }

    /// From the end of the last transfer to completion; `half` is the propagation time of one
    /// direction.
    pub(crate) fn tail(&self, half: Time) -> Time {
        half + self.server + self.download.unwrap_or_default() + half
    }

    /// When everything that a job alone sends is on the server.
    pub(crate) fn arrival(&self, half: Time) -> Time {
        if self.parcel_count == 0 { Time::ZERO } else { self.sent_alone + half }
    }

    /// When a job alone completes.
    pub(crate) fn latency(&self, half: Time) -> Time {
        if !self.has_suffix {
            return self.device;
        }
        let back = self.server + self.download.unwrap_or_default() + half;
        (self.arrival(half) + back).max(self.device)
    }

    /// Whether no machine takes longer than with `other`, and the server is needed only if it is
    /// with `other`.
    pub(crate) fn is_lighter(&self, other: &Times) -> bool {
        self.device <= other.device
            && self.uplink <= other.uplink
            && self.server <= other.server
            && self.download.unwrap_or_default() <= other.download.unwrap_or_default()
            && (!self.has_suffix || other.has_suffix)
    }

    /// The times with tensors sent in these forms, apart from what depends on their parcels; `None`
    /// if they pass the limit.
    pub(crate) fn with<'f>(mut self, forms: impl Iterator<Item = &'f Form>) -> Option<Times> {
        for form in forms {
            self.device = self.device.checked_add(form.encode)?;
            self.uplink = self.uplink.checked_add(form.transfer)?;
            self.server = self.server.checked_add(form.decode)?;
        }
        Some(self)
    }
}

/// A way for a tensor to cross the link.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub upload: Upload,
    pub encode: Time,
    pub transfer: Time,
    pub decode: Time,
}

/// One way to run one job of a model. Its times can be read as fields of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// The layers on the device.
    pub layers: LayerSet,
    /// The frontier and its encodings, in the order of the model's tensors.
    pub uploads: Vec<Upload>,
    /// The uploads grouped; at most [`PARCELS_MAX`].
    pub parcels: Vec<Parcel>,
    pub times: Times,
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

    /// The segments that send something.
    pub(crate) fn sending_segments(&self) -> impl DoubleEndedIterator<Item = &Segment> + Clone {
        self.segments.iter().filter(|s| s.sends())
    }

    /// All parcels in the order in which they are sent.
    pub(crate) fn parcels_in_order(&self) -> impl Iterator<Item = usize> {
        self.segments.iter().flat_map(|segment| segment.tasks.iter().copied())
    }

    /// Works out what follows from the parcels and the device time before them.
    pub(super) fn follow_parcels(&mut self) {
        let uplink: Vec<Time> = self.parcels.iter().map(|p| p.uplink).collect();
        let leads = (0..uplink.len()).map(|p| self.before[1 << p]);
        self.times.lead = leads.min().unwrap_or(self.device);
        self.times.trail = uplink.iter().min().copied().unwrap_or_default();
        self.times.sending = self.before[self.all_parcels()];
        self.times.parcel_count = uplink.len();
        self.segments = segments(&self.before, &uplink, self.device);
        let sent = self.sending_segments().map(|s| s.block).fold(Block::default(), Block::then);
        self.times.sent_alone = sent.alone;
    }
}

impl Deref for Mode {
    type Target = Times;

    fn deref(&self) -> &Times {
        &self.times
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
