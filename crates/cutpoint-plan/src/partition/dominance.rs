//! Modes that another mode of the same model beats in every schedule.
//!
//! Mode A replaces mode B in any schedule, without making anything later, if
//! - all of A's device work, its server time and its download are no longer than B's, and A uses
//!   the server only if B does;
//! - each parcel of A can take the place of a parcel of B of its own, no shorter; and
//! - any set of A's parcels waits for no more device work than the parcels whose places it takes.
//!
//! With a single parcel each this is the comparison of (f, g, c, d) one by one.

use crate::cost::{Mode, Pricer};
use crate::partition::Candidate;
use crate::units::Time;

/// Mode A is compared only if it has at most this many parcels: all ways to place them are tried.
const PLACED_MAX: usize = 3;

/// The modes of all candidates that no other one beats, by device time. O(candidates x kept).
pub(crate) fn undominated(pricer: &Pricer<'_>, mut candidates: Vec<Candidate>) -> Vec<Mode> {
    // What beats a mode comes before it: all the fields of the key are at most as large.
    candidates.sort_by_cached_key(|c| (c.device, c.uplink, c.server, c.download, c.sends.len()));
    let mut kept: Vec<Mode> = Vec::new();
    for candidate in candidates {
        if kept.iter().any(|k| is_beaten(&candidate, k)) {
            continue;
        }
        let Some(mode) = pricer.mode(candidate.layers, candidate.uploads) else { continue };
        if !kept.iter().any(|k| dominates(k, &mode)) {
            kept.push(mode);
        }
    }
    kept
}

/// Whether a mode with at most one parcel beats a candidate: decided without pricing it in full.
fn is_beaten(candidate: &Candidate, by: &Mode) -> bool {
    let is_lighter = by.device <= candidate.device
        && by.uplink <= candidate.uplink
        && by.server <= candidate.server
        && by.download.unwrap_or_default() <= candidate.download.unwrap_or_default()
        && (!by.has_suffix || candidate.has_suffix);
    let fits =
        |&(wait, uplink): &(Time, Time)| by.before(1) <= wait && by.parcels[0].uplink <= uplink;
    is_lighter
        && match by.parcels.len() {
            0 => true,
            1 => candidate.sends.iter().any(fits),
            _ => false,
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

/// Whether the parcels of `a` from `taken.len()` on can take places in `b` besides those taken.
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
