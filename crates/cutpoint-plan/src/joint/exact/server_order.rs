//! In which order does the server best take the jobs that have arrived?

use crate::joint::after_uplink::{Visit, last_return};
use crate::joint::send_order::Member;
use crate::problem::Problem;
use crate::units::Time;

/// All orders of the server, cut off where the returns so far reach the best.
pub(super) struct ServerOrders<'p> {
    pub(super) problem: &'p Problem<'p>,
    pub(super) device: Time,
    pub(super) best: Time,
    pub(super) order: Option<Vec<Member>>,
    pub(super) chosen: Vec<Visit>,
    pub(super) chosen_members: Vec<Member>,
    /// What the whole search may still spend: an order begun counts like a node.
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
        let so_far = last_return(&self.chosen, self.problem.executors, half);
        let bound =
            so_far.max(self.device).max(returns_bound_of(left.iter().map(|(v, _)| *v), half));
        if bound >= self.best {
            return;
        }
        if left.is_empty() {
            self.best = bound;
            self.order = Some(self.chosen_members.clone());
            return;
        }
        for i in 0..left.len() {
            // Of suffixes alike, some best order starts the one first that arrives first.
            let is_like =
                |v: &Visit| (v.server, v.download) == (left[i].0.server, left[i].0.download);
            if left[..i].iter().any(|(v, _)| is_like(v)) {
                continue;
            }
            let (visit, member) = left.remove(i);
            self.chosen.push(visit);
            self.chosen_members.push(member);
            self.extend(left);
            self.chosen.pop();
            self.chosen_members.pop();
            left.insert(i, (visit, member));
        }
    }
}

pub(super) fn returns_bound(visits: &[Visit], half: Time) -> Time {
    returns_bound_of(visits.iter().copied(), half)
}

/// No order brings all of `visits` back earlier.
fn returns_bound_of(visits: impl Iterator<Item = Visit>, half: Time) -> Time {
    let (mut alone, mut ready, mut downloads) = (Time::ZERO, None, Time::ZERO);
    for v in visits {
        let download = v.download.unwrap_or_default();
        alone = alone.max(v.arrival + v.server + download + half);
        let made = v.arrival + v.server;
        ready = Some(ready.map_or(made, |r: Time| r.min(made)));
        downloads += download;
    }
    alone.max(ready.map_or(Time::ZERO, |r| r + downloads + half))
}
