//! In which order does the server best take the jobs that have arrived?

use crate::joint::send_order::Member;
use crate::problem::Problem;
use crate::simulate::after_uplink::{Visit, last_return};
use crate::units::Time;

/// All orders of the server, cut off where the returns so far reach the best.
pub(super) struct ServerOrders<'p> {
    pub(super) problem: &'p Problem<'p>,
    pub(super) device: Time,
    pub(super) best: Time,
    pub(super) order: Option<Vec<Member>>,
    pub(super) chosen: Vec<(Visit, Member)>,
    /// The budget left to the whole search: an order begun counts like a node.
    pub(super) budget: u64,
}

impl ServerOrders<'_> {
    /// `left` is in the order of arrival.
    pub(super) fn extend(&mut self, left: &mut Vec<(Visit, Member)>) {
        if self.budget == 0 {
            return;
        }
        self.budget -= 1;
        let half = self.problem.half;
        let chosen = self.chosen.iter().map(|(visit, _)| visit);
        let so_far = last_return(chosen, self.problem.executors, half);
        let bound = so_far.max(self.device).max(returns_bound(left.iter(), half));
        if bound >= self.best {
            return;
        }
        if left.is_empty() {
            self.best = bound;
            self.order = Some(self.chosen.iter().map(|&(_, member)| member).collect());
            return;
        }
        for i in 0..left.len() {
            // Of suffixes alike, some best order starts the one first that arrives first.
            let is_like =
                |v: &Visit| (v.server, v.download) == (left[i].0.server, left[i].0.download);
            if left[..i].iter().any(|(v, _)| is_like(v)) {
                continue;
            }
            let next = left.remove(i);
            self.chosen.push(next);
            self.extend(left);
            self.chosen.pop();
            left.insert(i, next);
        }
    }
}

/// No order brings all of `visits` back earlier.
pub(super) fn returns_bound<'v>(
    visits: impl Iterator<Item = &'v (Visit, Member)>,
    half: Time,
) -> Time {
    let (mut alone, mut ready, mut downloads) = (Time::ZERO, None, Time::ZERO);
    for (v, _) in visits {
        let download = v.download.unwrap_or_default();
        alone = alone.max(v.arrival + v.server + download + half);
        let made = v.arrival + v.server;
        ready = Some(ready.map_or(made, |r: Time| r.min(made)));
        downloads += download;
    }
    alone.max(ready.map_or(Time::ZERO, |r| r + downloads + half))
}
