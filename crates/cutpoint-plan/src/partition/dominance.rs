//! Modes that another mode of the same model beats in every schedule.
//!
//! Mode A replaces mode B in any schedule, without making anything later, if
//! - all of A's device work, its server time and its download are no longer than B's, and A uses
//!   the server only if B does;
//! - each parcel of A can take the place of a parcel of B of its own, no shorter; and
//! - any set of A's parcels waits for no more device work than the parcels whose places it takes.
//!
//! With a single parcel each this is the comparison of (f, g, c, d) one by one.

use crate::partition::candidates::{Candidate, Light};
use crate::problem::{Mode, Pricer, Times};

/// Mode A is compared only if it has at most this many parcels: all ways to place them are tried.
const PLACED_MAX: usize = 3;

/// The modes of all candidates that no other one beats, by device time. O(candidates x kept).
pub(crate) fn undominated(pricer: &Pricer<'_>, mut candidates: Vec<Candidate>) -> Vec<Mode> {
    // What beats a mode comes before it: all the fields of the key are at most as large.
    candidates.sort_by_cached_key(|c| {
        let Times { device, uplink, server, download, .. } = c.times;
        (device, uplink, server, download, c.sends.len())
    });
    let mut kept: Vec<Mode> = Vec::new();
    // Times are compared first, close together in memory.
    let mut times: Vec<Times> = Vec::new();
    let mut light: Vec<Light> = Vec::new();
    for candidate in candidates {
        if light.iter().any(|k| k.beats(&candidate.times, &candidate.sends)) {
            continue;
        }
        let Some(mode) = pricer.mode(candidate.layers, candidate.uploads) else { continue };
        let mut lighter = kept.iter().zip(&times).filter(|(_, times)| times.is_lighter(&mode));
        if !lighter.any(|(k, _)| dominates(k, &mode)) {
            light.extend(Light::of(&mode));
            times.push(mode.times);
            kept.push(mode);
        }
    }
    kept
}

/// Whether `a` can replace `b` in every schedule without making anything later.
pub(crate) fn dominates(a: &Mode, b: &Mode) -> bool {
    a.is_lighter(b)
        && a.parcels.len() <= PLACED_MAX.min(b.parcels.len())
        && place(a, b, &mut Vec::new())
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
