//! A mix: how many jobs of each class take each mode, run in the order of a fixed rule.
//!
//! The rule sorts all segments of all modes once; a mix is then a walk over the segments in use,
//! whatever the number of jobs. Copies of one segment run one after the other, and only the first
//! and the last of them can be on a critical path.

use crate::flow_shop::block_tree::BlockTree;
use crate::flow_shop::johnson::{Block, johnson_key, segment_key};
use crate::joint::send_order::{Member, Outline};
use crate::problem::Counts;
use crate::problem::{Mode, Problem};
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
    fn job_key(self, mode: &Mode) -> (bool, Time, Reverse<Time>) {
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
struct Slot {
    class: usize,
    mode: usize,
    segment: usize,
    block: Block,
    /// Server and downlink time, if this segment sends the last parcel.
    visit: Option<(Time, Option<Time>)>,
    sends: bool,
}

/// All segments of all modes in the order of one rule.
#[derive(Clone, Debug)]
pub(crate) struct Line<'p> {
    problem: &'p Problem<'p>,
    slots: Vec<Slot>,
    /// For each (class, mode), where its segments are in `slots`.
    places: Vec<Vec<Vec<usize>>>,
    has_downloads: bool,
    is_two_machine: bool,
}

impl<'p> Line<'p> {
    pub(crate) fn new(problem: &'p Problem<'p>, rule: Rule) -> Line<'p> {
        let mut slots = Vec::new();
        for (c, class) in problem.classes.iter().enumerate() {
            for (m, mode) in class.modes.iter().enumerate() {
                push_slots(c, m, mode, &mut slots);
            }
        }
        let key = |s: &Slot| {
            let mode = &problem.classes[s.class].modes[s.mode];
            let segment = &mode.segments[s.segment];
            let last = segment.parcels.is_empty();
            let key = match rule {
                _ if last => (true, Time::ZERO, Reverse(Time::ZERO)),
                Rule::TwoMachine => segment_key(segment),
                _ => rule.job_key(mode),
            };
            (last, key, s.class, s.mode, s.segment)
        };
        slots.sort_by_cached_key(key);
        let has_downloads = problem.all_modes().any(|(_, m)| m.download.is_some());
        let is_two_machine = problem.is_two_machine();
        let modes = problem.classes.iter().map(|c| vec![Vec::new(); c.modes.len()]);
        let mut places: Vec<Vec<Vec<usize>>> = modes.collect();
        for (s, slot) in slots.iter().enumerate() {
            places[slot.class][slot.mode].push(s);
        }
        Line { problem, slots, places, has_downloads, is_two_machine }
    }

    /// The plan of a mix.
    pub(crate) fn outline(&self, counts: &Counts) -> Outline {
        let mut modes = Vec::with_capacity(counts.len());
        let mut first = Vec::with_capacity(counts.len());
        for (class, by_mode) in counts.iter().enumerate() {
            // Jobs take modes in the order in which the modes come first in the line.
            let mut starts = vec![0u32; by_mode.len()];
            let mut taken: Vec<u32> = Vec::new();
            let heads = self.slots.iter().filter(|s| s.class == class && s.segment == 0);
            for slot in heads {
                starts[slot.mode] = count(taken.len());
                let copies = usize::try_from(by_mode[slot.mode]).expect("jobs are a list");
                taken.resize(taken.len() + copies, count(slot.mode));
            }
            modes.push(taken);
            first.push(starts);
        }
        let mut sends = Vec::new();
        for slot in &self.slots {
            let parcels = &self.problem.classes[slot.class].modes[slot.mode].segments[slot.segment];
            let start = first[slot.class][slot.mode];
            let copies = count(usize::try_from(counts[slot.class][slot.mode]).expect("a list"));
            for position in start..start + copies {
                let member = Member { class: count(slot.class), position };
                sends.extend(parcels.parcels.iter().map(|&p| (member, p)));
            }
        }
        Outline { modes, sends, server: None }
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
                let slot = &self.line.slots[place];
                if slot.sends {
                    self.tree.set(place, slot.block.repeat(count));
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
            state.run(self.line, slot, self.counts[slot.class][slot.mode]);
        }
        state.device.max(state.returned)
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("jobs and modes are numbered in 32 bits")
}

fn push_slots(class: usize, m: usize, mode: &Mode, slots: &mut Vec<Slot>) {
    let last = mode.segments.iter().rposition(|s| !s.parcels.is_empty());
    for (s, segment) in mode.segments.iter().enumerate() {
        // A job that uses the server without sending anything visits it at any time.
        let visits = mode.has_suffix && last.unwrap_or(0) == s;
        slots.push(Slot {
            class,
            mode: m,
            segment: s,
            block: segment.into(),
            visit: visits.then_some((mode.server, mode.download)),
            sends: !segment.parcels.is_empty(),
        });
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
    fn run(&mut self, line: &Line<'_>, slot: &Slot, copies: u64) {
        let all = slot.block.repeat(copies);
        let (mut first, mut last) = (Time::ZERO, Time::ZERO);
        if slot.sends {
            let half = line.problem.half;
            first = (self.uplink + slot.block.uplink).max(self.device + slot.block.alone) + half;
            self.uplink = (self.uplink + all.uplink).max(self.device + all.alone);
            last = self.uplink + half;
        }
        self.device += all.device;
        if let Some((server, download)) = slot.visit {
            self.visit(line, copies, (first, last), server, download);
        }
    }

    /// `copies` suffixes that arrive from `first` to `last`.
    fn visit(
        &mut self,
        line: &Line<'_>,
        copies: u64,
        (first, last): (Time, Time),
        server: Time,
        download: Option<Time>,
    ) {
        let half = line.problem.half;
        let (made_first, made_last) = match line.problem.executors {
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
            Some(time) if line.has_downloads => {
                self.downlink = (self.downlink + time * copies)
                    .max(made_first + time * copies)
                    .max(made_last + time);
                self.downlink
            }
            _ => made_last,
        };
        self.returned = self.returned.max(done + half);
    }
}
