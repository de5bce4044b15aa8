//! Modes that another mode of the same model beats in every schedule.
//!
//! Mode A replaces mode B in any schedule, without making anything later, if
//! - all of A's device work, its server time and its download are no longer than B's, and A uses
//!   the server only if B does;
//! - each parcel of A can take the place of a parcel of B of its own, no shorter; and
//! - any set of A's parcels waits for no more device work than the parcels whose places it takes.
//!
//! With a single parcel each this is the comparison of (f, g, c, d) one by one.

use crate::partition::candidates::Candidate;
use crate::problem::{Mode, Pricer};
use crate::units::Time;

/// Mode A is compared only if it has at most this many parcels: all ways to place them are tried.
const PLACED_MAX: usize = 3;

/// The modes of all candidates that no other one beats, by device time. O(candidates x kept).
pub(crate) fn undominated(pricer: &Pricer<'_>, mut candidates: Vec<Candidate>) -> Vec<Mode> {
    // What beats a mode comes before it: all the fields of the key are at most as large.
    candidates.sort_by_cached_key(|c| (c.device, c.uplink, c.server, c.download, c.sends.len()));
    let mut kept: Vec<Mode> = Vec::new();
    let mut sums: Vec<Sums> = Vec::new();
    for candidate in candidates {
        if sums.iter().any(|k| k.beats(&candidate)) {
            continue;
        }
        let Some(mode) = pricer.mode(candidate.layers, candidate.uploads) else { continue };
        let own = Sums::of(&mode);
        if !sums.iter().zip(&kept).any(|(s, k)| s.is_lighter(&own) && dominates(k, &mode)) {
            kept.push(mode);
            sums.push(own);
        }
    }
    kept
}

/// What is compared first, close together in memory; modes are in the order of device time.
struct Sums {
    uplink: Time,
    server: Time,
    download: Time,
    has_suffix: bool,
    /// Of a mode with one parcel: what it waits for and its uplink time.
    parcel: Option<(Time, Time)>,
    parcels: usize,
}

impl Sums {
    fn of(mode: &Mode) -> Sums {
        let parcel = match &mode.parcels[..] {
            [parcel] => Some((mode.before(1), parcel.uplink)),
            _ => None,
        };
        Sums {
            uplink: mode.uplink,
            server: mode.server,
            download: mode.download.unwrap_or_default(),
            has_suffix: mode.has_suffix,
            parcel,
            parcels: mode.parcels.len(),
        }
    }

    fn is_lighter(&self, than: &Sums) -> bool {
        self.uplink <= than.uplink
            && self.server <= than.server
            && self.download <= than.download
            && (!self.has_suffix || than.has_suffix)
    }

    /// Whether this mode, with at most one parcel, beats a candidate: decided without pricing it
    /// in full.
    fn beats(&self, candidate: &Candidate) -> bool {
        let fits = |(wait, uplink): (Time, Time)| {
            candidate.sends.iter().any(|&(w, u)| wait <= w && uplink <= u)
        };
        self.uplink <= candidate.uplink
            && self.server <= candidate.server
            && self.download <= candidate.download.unwrap_or_default()
            && (!self.has_suffix || candidate.has_suffix)
            && self.parcel.map_or(self.parcels == 0, fits)
    }
}

/// Whether `a` can replace `b` in every schedule without making anything later.
pub(crate) fn dominates(a: &Mode, b: &Mode) -> bool {
    let is_lighter = a.device <= b.device
        && a.uplink <= b.uplink
        && a.server <= b.server
        && a.download.unwrap_or_default() <= b.download.unwrap_or_default()
        && (!a.has_suffix || b.has_suffix);
    is_lighter && a.parcels.len() <= PLACED_MAX.min(b.parcels.len()) && place(a, b, &mut Vec::new())
}

/// Whether the parcels of `a` from `taken.len()` on can take the remaining places in `b`.
fn place(a: &Mode, b: &Mode, taken: &mut Vec<usize>) -> bool {
    let Some(parcel) = a.parcels.get(taken.len()) else { return true };
    for q in 0..b.parcels.len() {
        if taken.contains(&q) || parcel.uplink > b.parcels[q].uplink {
            continue;
        }
        taken.push(q);
        if waits_for_no_more(a, b, taken) && place(a, b, taken) {
            return true;
        }
        taken.pop();
    }
    false
}

/// Whether every set of placed parcels that has the last one waits for no more than its places do.
fn waits_for_no_more(a: &Mode, b: &Mode, taken: &[usize]) -> bool {
    let last = taken.len() - 1;
    (1 << last..1usize << taken.len()).all(|set| {
        let places: usize =
            (0..taken.len()).filter(|p| set >> p & 1 == 1).map(|p| 1 << taken[p]).sum();
        a.before(set) <= b.before(places)
    })
}
