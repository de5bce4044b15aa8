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
    to: u32,
    left: u128,
}

/// A directed graph with capacities; node 0 is the source, node 1 the sink.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    nodes: usize,
    /// Arcs in pairs: an arc and its reverse.
    arcs: Vec<Arc>,
    from: Vec<u32>,
}

pub(crate) const SOURCE: usize = 0;
pub(crate) const SINK: usize = 1;

impl Network {
    pub(crate) fn new() -> Network {
        Network { nodes: 2, arcs: Vec::new(), from: Vec::new() }
    }

    pub(crate) fn add_node(&mut self) -> usize {
        self.nodes += 1;
        self.nodes - 1
    }

    pub(crate) fn add_arc(&mut self, from: usize, to: usize, capacity: u128) {
        if capacity > 0 && from != to {
            self.from.extend([index(from), index(to)]);
            self.arcs.push(Arc { to: index(to), left: capacity.min(INFINITE) });
            self.arcs.push(Arc { to: index(from), left: 0 });
        }
    }

    /// The source's side of a minimum cut, the largest there is.
    pub(crate) fn min_cut(self) -> Vec<bool> {
        let mut flow = Flow::new(self);
        flow.run();
        let (reaches, _) = flow.distances();
        reaches.into_iter().map(|distance| distance >= flow.nodes).collect()
    }
}

fn index(node: usize) -> u32 {
    u32::try_from(node).expect("nodes are layers and tensors, numbered in 32 bits")
}

struct Flow {
    nodes: usize,
    arcs: Vec<Arc>,
    /// For each node, where its arcs are in `order`.
    start: Vec<usize>,
    order: Vec<u32>,
    height: Vec<usize>,
    excess: Vec<u128>,
    next: Vec<usize>,
    /// Nodes with excess, by height; entries may be out of date.
    active: Vec<Vec<u32>>,
    /// How many nodes have each height.
    count: Vec<usize>,
    highest: usize,
}

impl Flow {
    fn new(network: Network) -> Flow {
        let nodes = network.nodes;
        let mut start = vec![0; nodes + 1];
        network.from.iter().for_each(|&f| start[f as usize + 1] += 1);
        (0..nodes).for_each(|n| start[n + 1] += start[n]);
        let mut place = start.clone();
        let mut order = vec![0; network.arcs.len()];
        for (a, &f) in network.from.iter().enumerate() {
            order[place[f as usize]] = index(a);
            place[f as usize] += 1;
        }
        Flow {
            nodes,
            arcs: network.arcs,
            next: start.clone(),
            start,
            order,
            height: vec![0; nodes],
            excess: vec![0; nodes],
            active: vec![Vec::new(); nodes + 1],
            count: vec![0; nodes + 1],
            highest: 0,
        }
    }

    /// Each node's distance to the sink along arcs with room; `nodes` where there is no way.
    fn distances(&self) -> (Vec<usize>, usize) {
        let mut distance = vec![self.nodes; self.nodes];
        distance[SINK] = 0;
        let mut queue = VecDeque::from([SINK]);
        let mut reached = 0;
        while let Some(node) = queue.pop_front() {
            reached += 1;
            for &a in &self.order[self.start[node]..self.start[node + 1]] {
                let to = self.arcs[a as usize].to as usize;
                if distance[to] == self.nodes && self.arcs[a as usize ^ 1].left > 0 {
                    distance[to] = distance[node] + 1;
                    queue.push_back(to);
                }
            }
        }
        (distance, reached)
    }

    fn run(&mut self) {
        self.height = self.distances().0;
        self.height[SOURCE] = self.nodes;
        self.height.iter().for_each(|&h| self.count[h] += 1);
        for slot in self.start[SOURCE]..self.start[SOURCE + 1] {
            let arc = self.order[slot] as usize;
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
                Some(node) if self.height[node as usize] == self.highest => {
                    if self.excess[node as usize] > 0 {
                        return Some(node as usize);
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
        let to = self.arcs[arc].to as usize;
        let was_idle = self.excess[to] == 0;
        self.arcs[arc].left -= amount;
        self.arcs[arc ^ 1].left += amount;
        self.excess[to] += amount;
        if was_idle && to != SINK && self.height[to] < self.nodes {
            self.active[self.height[to]].push(index(to));
            self.highest = self.highest.max(self.height[to]);
        }
    }

    /// Sends a node's excess downhill, lifting it when there is no way down, until it has none or
    /// is cut off from the sink.
    fn discharge(&mut self, node: usize) {
        while self.excess[node] > 0 && self.height[node] < self.nodes {
            if self.next[node] == self.start[node + 1] {
                self.lift(node);
                continue;
            }
            let arc = self.order[self.next[node]] as usize;
            let Arc { to, left } = self.arcs[arc];
            if left > 0 && self.height[node] == self.height[to as usize] + 1 {
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
        let arcs = &self.order[self.start[node]..self.start[node + 1]];
        let lowest = arcs
            .iter()
            .map(|&a| self.arcs[a as usize])
            .filter(|a| a.left > 0)
            .map(|a| self.height[a.to as usize] + 1)
            .min();
        self.next[node] = self.start[node];
        self.count[old] -= 1;
        self.height[node] = lowest.unwrap_or(self.nodes).min(self.nodes);
        self.count[self.height[node]] += 1;
        if self.count[old] == 0 && old < self.nodes {
            // Nothing is left between: whatever is above cannot reach the sink any more.
            for n in 0..self.nodes {
                if self.height[n] > old && self.height[n] < self.nodes {
                    self.count[self.height[n]] -= 1;
                    self.height[n] = self.nodes;
                    self.count[self.nodes] += 1;
                }
            }
        }
    }
}
