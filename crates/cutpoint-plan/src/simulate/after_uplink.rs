//! Server and downlink after the uplink, in the order of arrival or a given one.

use crate::problem::Times;
use crate::units::Time;
use crate::workload::JobId;
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
    /// Of results that are made at the same time, those of the first job return first.
    pub job: JobId,
}

impl Visit {
    pub(crate) fn new(times: &Times, arrival: Time, job: JobId) -> Visit {
        Visit { arrival, server: times.server, download: times.download, job }
    }
}

/// When the last of `visits`, started in the order given, is back on the device; `half` is the
/// propagation time of one direction. O(n log n).
pub(crate) fn last_return<'v>(
    visits: impl ExactSizeIterator<Item = &'v Visit>,
    executors: Option<u64>,
    half: Time,
) -> Time {
    let mut last = Time::ZERO;
    returns(visits, executors, |_, _, returned| last = last.max(returned + half));
    last
}

/// Calls `see` with each of `visits`, started in the order given, the time at which the server is
/// done with it, and the time at which its results have passed the downlink.
pub(crate) fn returns<'v>(
    visits: impl ExactSizeIterator<Item = &'v Visit>,
    executors: Option<u64>,
    mut see: impl FnMut(&Visit, Time, Time),
) {
    let mut made: Vec<(Time, &Visit)> = Vec::with_capacity(visits.len());
    match executors {
        None => made.extend(visits.map(|v| (v.arrival + v.server, v))),
        Some(1) => {
            let mut free = Time::ZERO;
            for visit in visits {
                free = free.max(visit.arrival) + visit.server;
                made.push((free, visit));
            }
        }
        Some(k) => {
            let mut free: BinaryHeap<Reverse<Time>> =
                (0..k.min(visits.len() as u64)).map(|_| Reverse(Time::ZERO)).collect();
            for visit in visits {
                let Some(Reverse(executor)) = free.pop() else { break };
                let end = executor.max(visit.arrival) + visit.server;
                free.push(Reverse(end));
                made.push((end, visit));
            }
        }
    }
    if made.iter().any(|(_, visit)| visit.download.is_some()) {
        made.sort_by_key(|&(end, visit)| (end, visit.job));
    }
    let mut free = Time::ZERO;
    for (end, visit) in made {
        let mut done = end;
        if let Some(time) = visit.download {
            free = free.max(end) + time;
            done = free;
        }
        see(visit, end, done);
    }
}
