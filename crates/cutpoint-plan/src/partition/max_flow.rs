//! Minimum s-t cuts by push-relabel: highest label first, with the gap rule and labels that start
//! as exact distances. Only the first phase is run, which is all that a cut needs.
//!
//! Our own rather than a crate's: capacities need 128 bits (weights times nanoseconds), and excess
//! runs along a chain of thousands of layers in one sweep, where augmenting paths would visit every
//! prefix of the chain. Source: Goldberg and Tarjan (1988), doi:10.1145/48014.61051.

use std::collections::VecDeque;

/// More than any sum of finite capacities.
pub(crate) const INFINITE: u128 = u128::MAX / 4;

#[derive(Clone, Copy, Debug)]
struct Arc {
    to: usize,
    left: u128,
}

pub(crate) const SOURCE: usize = 0;
pub(crate) const SINK: usize = 1;

/// A directed graph with capacities, and a flow through it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    /// Arcs in pairs: an arc and its reverse.
    arcs: Vec<Arc>,
    /// For each node, its arcs.
    out: Vec<Vec<usize>>,
    height: Vec<usize>,
    excess: Vec<u128>,
    /// For each node, which of its arcs is tried next.
    next: Vec<usize>,
    /// Nodes with excess, by height; entries may be out of date.
    active: Vec<Vec<usize>>,
    /// How many nodes have each height.
    count: Vec<usize>,
    highest: usize,
}

impl Network {
    pub(crate) fn new() -> Network {
        Network { out: vec![Vec::new(); 2], ..Network::default() }
    }

    pub(crate) fn add_node(&mut self) -> usize {
        self.out.push(Vec::new());
        self.out.len() - 1
    }

    pub(crate) fn add_arc(&mut self, from: usize, to: usize, capacity: u128) {
        if capacity > 0 && from != to {
            let arc = self.arcs.len();
            self.out[from].push(arc);
            self.out[to].push(arc + 1);
            self.arcs.push(Arc { to, left: capacity.min(INFINITE) });
            self.arcs.push(Arc { to: from, left: 0 });
        }
    }

    /// The source's side of a minimum cut, the largest there is.
    pub(crate) fn min_cut(mut self) -> Vec<bool> {
        self.run();
        self.distances().into_iter().map(|distance| distance >= self.out.len()).collect()
    }

    /// Each node's distance to the sink along arcs with room; the number of nodes where there is no
    /// way.
    fn distances(&self) -> Vec<usize> {
        let nodes = self.out.len();
        let mut distance = vec![nodes; nodes];
        distance[SINK] = 0;
        let mut queue = VecDeque::from([SINK]);
        while let Some(node) = queue.pop_front() {
            for &a in &self.out[node] {
                let to = self.arcs[a].to;
                if distance[to] == nodes && self.arcs[a ^ 1].left > 0 {
                    distance[to] = distance[node] + 1;
                    queue.push_back(to);
                }
            }
        }
        distance
    }

    fn run(&mut self) {
        let nodes = self.out.len();
        self.excess = vec![0; nodes];
        self.next = vec![0; nodes];
        self.active = vec![Vec::new(); nodes + 1];
        self.count = vec![0; nodes + 1];
        self.height = self.distances();
        self.height[SOURCE] = nodes;
        self.height.iter().for_each(|&h| self.count[h] += 1);
        for arc in self.out[SOURCE].clone() {
            let room = self.arcs[arc].left;
            self.push(arc, room);
        }
        while let Some(node) = self.next_active() {
            self.discharge(node);
        }
    }

    fn next_active(&mut self) -> Option<usize> {
        loop {
            match self.active[self.highest].pop() {
                Some(node) if self.height[node] == self.highest => {
                    if self.excess[node] > 0 {
                        return Some(node);
                    }
                }
                Some(_) => {}
                None if self.highest == 0 => return None,
                None => self.highest -= 1,
            }
        }
    }

    fn push(&mut self, arc: usize, amount: u128) {
        if amount == 0 {
            return;
        }
        let to = self.arcs[arc].to;
        let was_idle = self.excess[to] == 0;
        self.arcs[arc].left -= amount;
        self.arcs[arc ^ 1].left += amount;
        self.excess[to] += amount;
        if was_idle && to != SINK && self.height[to] < self.out.len() {
            self.active[self.height[to]].push(to);
            self.highest = self.highest.max(self.height[to]);
        }
    }

    /// Sends a node's excess downhill, lifting it when there is no way down, until it has none or
    /// is cut off from the sink.
    fn discharge(&mut self, node: usize) {
        while self.excess[node] > 0 && self.height[node] < self.out.len() {
            if self.next[node] == self.out[node].len() {
                self.lift(node);
                continue;
            }
            let arc = self.out[node][self.next[node]];
            let Arc { to, left } = self.arcs[arc];
            if left > 0 && self.height[node] == self.height[to] + 1 {
                let amount = left.min(self.excess[node]);
                self.excess[node] -= amount;
                self.push(arc, amount);
            } else {
                self.next[node] += 1;
            }
        }
    }

    fn lift(&mut self, node: usize) {
        let old = self.height[node];
        let lowest = self.out[node]
            .iter()
            .map(|&a| self.arcs[a])
            .filter(|a| a.left > 0)
            .map(|a| self.height[a.to] + 1)
            .min();
        self.next[node] = 0;
        self.count[old] -= 1;
        self.height[node] = lowest.unwrap_or(self.out.len()).min(self.out.len());
        self.count[self.height[node]] += 1;
        if self.count[old] == 0 && old < self.out.len() {
            // Nothing is left between: whatever is above cannot reach the sink any more.
            for n in 0..self.out.len() {
                if self.height[n] > old && self.height[n] < self.out.len() {
                    self.count[self.height[n]] -= 1;
                    self.height[n] = self.out.len();
                    self.count[self.out.len()] += 1;
                }
            }
        }
    }
}
