//! What happens after the uplink: server and downlink, in the order of arrival or a given one.

use crate::units::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A job's suffix as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Visit {
    /// When everything it needs is there.
    pub arrival: Time,
    /// Time on the server.
    pub server: Time,
    /// Time on the downlink, if anything is downloaded.
    pub download: Option<Time>,
}

/// When the last of `visits`, started in the order given, is back on the device; `half` is the
/// propagation time of one direction. O(n log n).
pub(crate) fn last_return(visits: &[Visit], executors: Option<u64>, half: Time) -> Time {
    let mut made: Vec<(Time, Option<Time>)> = Vec::with_capacity(visits.len());
    match executors {
        None => made.extend(visits.iter().map(|v| (v.arrival + v.server, v.download))),
        Some(1) => {
            let mut free = Time::ZERO;
            for visit in visits {
                free = free.max(visit.arrival) + visit.server;
                made.push((free, visit.download));
            }
        }
        Some(k) => {
            let mut free: BinaryHeap<Reverse<Time>> =
                (0..k.min(visits.len() as u64)).map(|_| Reverse(Time::ZERO)).collect();
            for visit in visits {
                let Some(Reverse(executor)) = free.pop() else { break };
                let end = executor.max(visit.arrival) + visit.server;
                free.push(Reverse(end));
                made.push((end, visit.download));
            }
        }
    }
    if visits.iter().any(|v| v.download.is_some()) {
        made.sort_by_key(|&(end, _)| end);
    }
    let (mut free, mut last) = (Time::ZERO, None);
    for (end, download) in made {
        let done = match download {
            None => end,
            Some(time) => {
                free = free.max(end) + time;
                free
            }
        };
        last = last.max(Some(done + half));
    }
    last.unwrap_or_default()
}
