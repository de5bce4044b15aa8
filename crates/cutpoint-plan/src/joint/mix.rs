//! A mix: how many jobs of each class take each mode, run in the order of a fixed rule.
//!
//! The rule sorts all segments of all modes once; a mix is then a walk over the segments in use,
//! whatever the number of jobs. Copies of one segment run one after the other, and only the first
//! and the last of them can be on a critical path.

use crate::flow_shop::block_tree::BlockTree;
use crate::flow_shop::johnson::johnson_key;
use crate::flow_shop::segments::Segment;
use crate::joint::send_order::{Member, Outline};
use crate::problem::{Counts, Problem, Times};
use crate::units::Time;
use std::cmp::Reverse;

/// In which order segments run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Johnson's rule on device and uplink, segment by segment. Optimal on two machines.
    TwoMachine,
    /// Johnson's rule on (device + uplink, uplink + server), job by job.
    ThreeMachine,
    /// Johnson's rule on (uplink, server and downlink), job by job.
    Back,
    /// Longest time after the uplink first, job by job.
    LongestTail,
}

impl Rule {
    pub(crate) const ALL: [Rule; 4] =
        [Rule::TwoMachine, Rule::ThreeMachine, Rule::Back, Rule::LongestTail];

    /// Where a job of a mode stands under a rule that keeps its parcels together.
    fn job_key(self, mode: &Times) -> (bool, Time, Reverse<Time>) {
        let tail = mode.server + mode.download.unwrap_or_default();
        if !mode.has_suffix {
            return (true, Time::ZERO, Reverse(Time::ZERO));
        }
        match self {
            Rule::TwoMachine => johnson_key(mode.device, mode.uplink),
            Rule::ThreeMachine => johnson_key(mode.device + mode.uplink, mode.uplink + tail),
            Rule::Back => johnson_key(mode.uplink, tail),
            Rule::LongestTail => (false, Time::ZERO, Reverse(tail)),
        }
    }
}

/// A segment of a mode, with its place in the order of a [`Line`].
#[derive(Clone, Debug)]
struct Slot<'p> {
    class: usize,
    mode: usize,
    segment: &'p Segment,
    /// Whether it is the first of its mode.
    is_first: bool,
    /// The times of the mode, if the job visits the server after this segment.
    visit: Option<&'p Times>,
}

/// All segments of all modes in the order of one rule.
#[derive(Clone, Debug)]
pub(crate) struct Line<'p> {
    problem: &'p Problem<'p>,
    slots: Vec<Slot<'p>>,
    /// For each (class, mode), where its segments are in `slots`.
    places: Vec<Vec<Vec<usize>>>,
    is_two_machine: bool,
}

impl<'p> Line<'p> {
    pub(crate) fn new(problem: &'p Problem<'p>, rule: Rule) -> Line<'p> {
        let mut slots: Vec<Slot<'p>> = Vec::new();
        for (class, c) in problem.classes.iter().enumerate() {
            for (m, mode) in c.modes.iter().enumerate() {
                // A job that uses the server without sending anything visits it at any time.
                let last = mode.segments.iter().rposition(Segment::sends).unwrap_or(0);
                slots.extend(mode.segments.iter().enumerate().map(|(s, segment)| {
                    let visit = (mode.has_suffix && s == last).then_some(&mode.times);
                    Slot { class, mode: m, segment, is_first: s == 0, visit }
                }));
            }
        }
        // Stable, so that the segments of one mode stay in their order.
        slots.sort_by_cached_key(|slot| match rule {
            _ if !slot.segment.sends() => (true, (true, Time::ZERO, Reverse(Time::ZERO))),
            Rule::TwoMachine => (false, slot.segment.key()),
            _ => (false, rule.job_key(&problem.classes[slot.class].modes[slot.mode])),
        });
        let is_two_machine = problem.is_two_machine();
        let modes = problem.classes.iter().map(|c| vec![Vec::new(); c.modes.len()]);
        let mut places: Vec<Vec<Vec<usize>>> = modes.collect();
        for (s, slot) in slots.iter().enumerate() {
            places[slot.class][slot.mode].push(s);
        }
        Line { problem, slots, places, is_two_machine }
    }

    /// The plan of a mix.
    pub(crate) fn outline(&self, counts: &Counts) -> Outline {
        let copies = |c: usize, m: usize| usize::try_from(counts[c][m]).expect("jobs are a list");
        // Jobs take modes in the order in which the modes come first in the line.
        let mut modes: Vec<Vec<usize>> = vec![Vec::new(); counts.len()];
        let mut first: Vec<Vec<usize>> = counts.iter().map(|c| vec![0; c.len()]).collect();
        for slot in self.slots.iter().filter(|slot| slot.is_first) {
            let taken = &mut modes[slot.class];
            first[slot.class][slot.mode] = taken.len();
            taken.resize(taken.len() + copies(slot.class, slot.mode), slot.mode);
        }
        let mut sends = Vec::new();
        for &Slot { class, mode, segment, .. } in &self.slots {
            let start = first[class][mode];
            for position in start..start + copies(class, mode) {
                sends.extend(segment.tasks.iter().map(|&p| (Member { class, position }, p)));
            }
        }
        Outline { modes, sends, server: None }
    }
}

/// A mix in the order of a rule.
#[derive(Clone, Debug)]
pub(crate) struct RuledMix {
    pub counts: Counts,
    pub rule: Rule,
    pub makespan: Time,
}

impl RuledMix {
    pub(crate) fn new(problem: &Problem<'_>, counts: Counts, rule: Rule) -> RuledMix {
        let makespan = Mix::new(&Line::new(problem, rule), counts.clone()).makespan();
        RuledMix { counts, rule, makespan }
    }

    /// The plan of the mix.
    pub(crate) fn outline(&self, problem: &Problem<'_>) -> Outline {
        Line::new(problem, self.rule).outline(&self.counts)
    }
}

/// A mix on a line, whose makespan is at hand after every change.
#[derive(Clone, Debug)]
pub(crate) struct Mix<'l, 'p> {
    line: &'l Line<'p>,
    pub counts: Counts,
    /// On two machines: the segments in use, joined.
    tree: BlockTree,
    /// Device time of all jobs.
    device: Time,
    /// Uplink time of all jobs.
    uplink: Time,
    /// Server time of all jobs.
    server: Time,
    /// How many jobs send something.
    sending: u64,
    /// Elsewhere: the slots in use, in order.
    used: Vec<usize>,
}

impl<'l, 'p> Mix<'l, 'p> {
    pub(crate) fn new(line: &'l Line<'p>, counts: Counts) -> Mix<'l, 'p> {
        let leaves = if line.is_two_machine { line.slots.len() } else { 0 };
        let empty = counts.iter().map(|c| vec![0; c.len()]).collect();
        let mut mix = Mix {
            line,
            counts: empty,
            tree: BlockTree::new(leaves),
            device: Time::ZERO,
            uplink: Time::ZERO,
            server: Time::ZERO,
            sending: 0,
            used: Vec::new(),
        };
        for (class, by_mode) in counts.iter().enumerate() {
            for (mode, &count) in by_mode.iter().enumerate().filter(|(_, n)| **n > 0) {
                mix.set(class, mode, count);
            }
        }
        mix
    }

    /// Moves copies of a class from one mode to another. O(segments log slots) on two machines.
    pub(crate) fn shift(&mut self, class: usize, from: usize, to: usize, copies: u64) {
        self.set(class, from, self.counts[class][from] - copies);
        self.set(class, to, self.counts[class][to] + copies);
    }

    fn set(&mut self, class: usize, mode: usize, count: u64) {
        let priced = &self.line.problem.classes[class].modes[mode];
        let old = std::mem::replace(&mut self.counts[class][mode], count);
        self.device = self.device + priced.device * count - priced.device * old;
        self.uplink = self.uplink + priced.uplink * count - priced.uplink * old;
        self.server = self.server + priced.server * count - priced.server * old;
        if self.line.is_two_machine {
            self.sending =
                if priced.has_suffix { self.sending + count - old } else { self.sending };
            for &place in &self.line.places[class][mode] {
                let segment = self.line.slots[place].segment;
                if segment.sends() {
                    self.tree.set(place, segment.block.repeat(count));
                }
            }
        } else if (old == 0) != (count == 0) {
            for &place in &self.line.places[class][mode] {
                match self.used.binary_search(&place) {
                    Ok(at) => drop(self.used.remove(at)),
                    Err(at) => self.used.insert(at, place),
                }
            }
        }
    }

    /// After a [`Mix::shift`] the makespan would be no shorter than the load of any one machine. O(1).
    pub(crate) fn load_after(&self, class: usize, from: usize, to: usize, copies: u64) -> Time {
        let modes = &self.line.problem.classes[class].modes;
        let (from, to) = (&modes[from], &modes[to]);
        let device = self.device + to.device * copies - from.device * copies;
        let uplink = self.uplink + to.uplink * copies - from.uplink * copies;
        let behind = self.line.problem.behind;
        let after = |backlog: Time, load: Time| match load {
            Time::ZERO => Time::ZERO,
            load => backlog + load,
        };
        let load = after(behind.device, device).max(after(behind.uplink, uplink));
        match self.line.problem.executors {
            Some(1) => {
                let server = self.server + to.server * copies - from.server * copies;
                load.max(after(behind.server, server))
            }
            _ => load,
        }
    }

    /// The makespan; exact, but with several executors an estimate that treats them as one fast
    /// one. O(1) on two machines, elsewhere O(slots in use).
    pub(crate) fn makespan(&self) -> Time {
        let half = self.line.problem.half;
        if self.line.is_two_machine {
            let tail = if self.sending > 0 { half + half } else { Time::ZERO };
            return self.device.max(self.tree.whole().alone + tail);
        }
        let behind = self.line.problem.behind;
        let mut state = Progress {
            device: behind.device,
            uplink: behind.uplink,
            server: behind.server,
            ..Progress::default()
        };
        for &place in &self.used {
            let slot = &self.line.slots[place];
            state.run(self.line.problem, slot, self.counts[slot.class][slot.mode]);
        }
        state.device.max(state.returned)
    }
}

/// When each machine is free, while walking along a line.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    device: Time,
    uplink: Time,
    server: Time,
    downlink: Time,
    returned: Time,
}

impl Progress {
    /// `copies` of a segment, one after the other.
    fn run(&mut self, problem: &Problem<'_>, slot: &Slot<'_>, copies: u64) {
        let (block, half) = (slot.segment.block, problem.half);
        let all = block.repeat(copies);
        // When the suffixes of the first and of the last copy arrive.
        let (mut first, mut last) = (Time::ZERO, Time::ZERO);
        if slot.segment.sends() {
            first = (self.uplink + block.uplink).max(self.device + block.alone) + half;
            self.uplink = (self.uplink + all.uplink).max(self.device + all.alone);
            last = self.uplink + half;
        }
        self.device += all.device;
        let Some(&Times { server, download, .. }) = slot.visit else { return };
        let (made_first, made_last) = match problem.executors {
            None => (first + server, last + server),
            Some(k) => {
                // A copy waits for all before it; the critical path enters the server with the
                // first copy or with the last one. Several executors count as one of their speed.
                let share = |n: u64| Time::from_nanoseconds((server * n).nanoseconds() / k);
                let made_first = self.server.max(first) + server;
                let made_last = (self.server + share(copies))
                    .max(first + share(copies))
                    .max(last + server)
                    .max(made_first);
                self.server =
                    if k == 1 { made_last } else { self.server.max(first) + share(copies) };
                (made_first, made_last)
            }
        };
        let done = match download {
            Some(time) => {
                self.downlink = (self.downlink + time * copies)
                    .max(made_first + time * copies)
                    .max(made_last + time);
                self.downlink
            }
            None => made_last,
        };
        self.returned = self.returned.max(done + half);
    }
}
