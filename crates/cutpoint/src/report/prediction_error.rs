//! Where the prediction erred: measured against planned, by what the time was spent on, by
//! machine, and by single operation.

use crate::report::timeline_blocks::busy;
use crate::trace::MeasuredRun;
use cutpoint_plan::plan::{Machine, Operation, Plan, Schedule, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, TensorId, Workload};
use std::collections::BTreeMap;

/// What time is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spending {
    Compute,
    Encode,
    Link,
    Server,
    Queue,
    Return,
}

impl Spending {
    const ALL: [Spending; 6] = [
        Spending::Compute,
        Spending::Encode,
        Spending::Link,
        Spending::Server,
        Spending::Queue,
        Spending::Return,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Spending::Compute => "Layers on the device",
            Spending::Encode => "Encoding on the device",
            Spending::Link => "Transfers on the uplink",
            Spending::Server => "Layers on the server",
            Spending::Queue => "Waiting at the server",
            Spending::Return => "Results on the downlink",
        }
    }

    /// The row of the timeline it belongs to.
    pub(super) fn machine(self) -> Machine {
        match self {
            Spending::Compute | Spending::Encode => Machine::Device,
            Spending::Link => Machine::Uplink,
            Spending::Server | Spending::Queue => Machine::Server,
            Spending::Return => Machine::Downlink,
        }
    }
}

/// The same thing planned and measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Both {
    pub planned: Time,
    pub measured: Time,
}

impl Both {
    /// How far apart they are, whichever is the longer.
    pub(super) fn apart(self) -> Time {
        self.measured.saturating_sub(self.planned) + self.planned.saturating_sub(self.measured)
    }
}

/// One operation, planned and measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Single {
    /// As measured.
    pub operation: Operation,
    pub length: Both,
}

/// How a run differed from its plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Deviation {
    /// Sums over all jobs; what neither plan nor run has is left out.
    pub spendings: Vec<(Spending, Both)>,
    /// The operations furthest from their plan, furthest first.
    pub largest: Vec<Single>,
    /// Measured operations that the plan does not have.
    pub unplanned: usize,
}

/// Compares a run with its plan; keeps the `count` operations furthest apart.
pub(super) fn deviation(
    workload: &Workload,
    plan: &Plan,
    measured: &MeasuredRun,
    count: usize,
) -> Deviation {
    let half = workload.link.round_trip.half();
    let spendings = Spending::ALL.into_iter().map(|spending| {
        let planned = spent(&plan.schedule, spending, half);
        let measured = spent(&measured.schedule, spending, half);
        (spending, Both { planned, measured })
    });
    let spendings = spendings.filter(|(_, b)| b.planned > Time::ZERO || b.measured > Time::ZERO);
    let (mut largest, unplanned) = singles(&plan.schedule, &measured.schedule);
    largest.sort_by_key(|s| std::cmp::Reverse(s.length.apart()));
    largest.truncate(count);
    Deviation { spendings: spendings.collect(), largest, unplanned }
}

fn spent(schedule: &Schedule, spending: Spending, half: Time) -> Time {
    let sum = |machine, counts: fn(&Work) -> bool| {
        let counted = schedule.on(machine).iter().filter(|o| counts(&o.work));
        counted.map(length).sum::<Time>()
    };
    match spending {
        Spending::Compute => sum(Machine::Device, |w| matches!(w, Work::Layer(_))),
        Spending::Encode => sum(Machine::Device, |w| matches!(w, Work::Encode(_))),
        Spending::Link => sum(Machine::Uplink, |_| true),
        Spending::Server => sum(Machine::Server, |_| true),
        Spending::Queue => waiting(schedule, half),
        Spending::Return => sum(Machine::Downlink, |_| true),
    }
}

fn length(operation: &Operation) -> Time {
    operation.end.saturating_sub(operation.start)
}

/// How long the server blocks start after the last tensor of their job has arrived, in sum.
fn waiting(schedule: &Schedule, half: Time) -> Time {
    let mut sent: BTreeMap<JobId, Time> = BTreeMap::new();
    for transfer in &schedule.uplink {
        let last = sent.entry(transfer.job).or_default();
        *last = (*last).max(transfer.end);
    }
    let wait = |o: &Operation| {
        sent.get(&o.job).map_or(Time::ZERO, |&end| o.start.saturating_sub(end + half))
    };
    schedule.server.iter().map(wait).sum()
}

/// Pairs each measured operation with what was planned for it; also says for how many nothing was.
fn singles(planned: &Schedule, measured: &Schedule) -> (Vec<Single>, usize) {
    let mut layers: BTreeMap<JobId, Vec<&Operation>> = BTreeMap::new();
    let mut others: BTreeMap<(JobId, Machine, Option<TensorId>), Time> = BTreeMap::new();
    for operation in Machine::ALL.into_iter().flat_map(|m| planned.on(m)) {
        match operation.work {
            Work::Layer(_) => layers.entry(operation.job).or_default().push(operation),
            work => {
                others.insert((operation.job, work.machine(), tensor(work)), length(operation));
            }
        }
    }
    layers.values_mut().for_each(|l| l.reverse());
    let (mut singles, mut unplanned) = (Vec::new(), 0);
    for operation in Machine::ALL.into_iter().flat_map(|m| measured.on(m)) {
        let expected = match operation.work {
            Work::Layer(_) => {
                layers.get_mut(&operation.job).and_then(|rest| take_up_to(rest, operation.work))
            }
            work => others.get(&(operation.job, work.machine(), tensor(work))).copied(),
        };
        match expected {
            Some(planned) => {
                let length = Both { planned, measured: length(operation) };
                singles.push(Single { operation: *operation, length });
            }
            None => unplanned += 1,
        }
    }
    (singles, unplanned)
}

fn tensor(work: Work) -> Option<TensorId> {
    match work {
        Work::Encode(tensor) | Work::Transfer(tensor) => Some(tensor),
        Work::Layer(_) | Work::Suffix | Work::Download => None,
    }
}

/// Takes from the end of `rest` all up to and including `work`; how long they take together.
fn take_up_to(rest: &mut Vec<&Operation>, work: Work) -> Option<Time> {
    let position = rest.iter().rposition(|o| o.work == work)?;
    Some(rest.drain(position..).map(length).sum())
}

/// How long a machine works and how long it does not, planned and measured. The differences of
/// both add up to the difference of the makespans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub machine: Machine,
    pub busy: Time,
    pub idle: Time,
}

/// The load of each machine; a machine with several executors is busy while any of them is.
pub(super) fn loads(schedule: &Schedule, makespan: Time) -> [Load; 4] {
    Machine::ALL.map(|machine| {
        let busy = busy(schedule.on(machine));
        Load { machine, busy, idle: makespan.saturating_sub(busy) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::format::{read_plan, read_workload};
    use cutpoint_plan::workload::LayerId;

    const WORKLOAD: &str = r#"{
        "schema": "cutpoint.workload/1",
        "link": { "uplink_mbps": 8.0, "rtt_ms": 2.0 }, "server": { "executors": 1 },
        "models": { "m": { "inputs": { "in": 3000 }, "layers": [
            { "name": "a", "reads": ["in"], "writes": { "x": 2000 }, "device_ms": 1, "server_ms": 1 },
            { "name": "b", "reads": ["x"], "writes": { "y": 3000 }, "device_ms": 2, "server_ms": 1 },
            { "name": "c", "reads": ["y"], "writes": { "z": 10 }, "device_ms": 9, "server_ms": 2 }
        ] } },
        "jobs": [ { "model": "m", "count": 2 } ] }"#;

    // Job 0: a 0-1, b 1-3, y (3 ms) 3-6, server from 7 to 9, complete at 10. Job 1: a 3-4, x (2 ms)
    // 6-8, arrives at 9, server 9-12, complete at 13.
    const PLAN: &str = r#"{
        "schema": "cutpoint.plan/1", "policy": "joint", "granularity": "layer",
        "makespan_ms": 13.0, "lower_bound_ms": 13.0, "gap": 0.0, "optimal": true,
        "jobs": [
            { "job": 0, "model": "m", "device_layers": ["a", "b"], "uploads": [{ "tensor": "y" }], "completion_ms": 10.0 },
            { "job": 1, "model": "m", "device_layers": ["a"], "uploads": [{ "tensor": "x" }], "completion_ms": 13.0 } ],
        "schedule": {
            "device": [ { "job": 0, "layer": "a", "start_ms": 0, "end_ms": 1 }, { "job": 0, "layer": "b", "start_ms": 1, "end_ms": 3 },
                        { "job": 1, "layer": "a", "start_ms": 3, "end_ms": 4 } ],
            "uplink": [ { "job": 0, "tensor": "y", "start_ms": 3, "end_ms": 6 }, { "job": 1, "tensor": "x", "start_ms": 6, "end_ms": 8 } ],
            "server": [ { "job": 0, "start_ms": 7, "end_ms": 9 }, { "job": 1, "start_ms": 9, "end_ms": 12 } ] } }"#;

    fn operation(job: u32, work: Work, start: u64, end: u64) -> Operation {
        let [start, end] = [start, end].map(|ms| Time::from_nanoseconds(ms * 1_000_000));
        Operation { job: JobId(job), work, start, end }
    }

    fn ms(milliseconds: u64) -> Time {
        Time::from_nanoseconds(milliseconds * 1_000_000)
    }

    /// Job 0's layers a and b are measured as one operation, as the program runs them.
    fn run() -> MeasuredRun {
        let transfer = |t| Work::Transfer(TensorId(t));
        let schedule = Schedule {
            device: vec![
                operation(0, Work::Layer(LayerId(1)), 0, 5),
                operation(1, Work::Layer(LayerId(0)), 5, 6),
            ],
            uplink: vec![operation(0, transfer(2), 5, 9), operation(1, transfer(1), 9, 11)],
            server: vec![operation(0, Work::Suffix, 10, 13), operation(1, Work::Suffix, 13, 15)],
            downlink: vec![],
        };
        MeasuredRun { schedule, makespan: ms(16), ..MeasuredRun::default() }
    }

    #[test]
    fn every_error_is_put_where_it_arose() {
        let workload = read_workload(WORKLOAD.as_bytes()).unwrap();
        let plan = read_plan(PLAN.as_bytes(), &workload).unwrap();
        let found = deviation(&workload, &plan, &run(), 2);
        let sums: Vec<_> =
            found.spendings.iter().map(|(s, b)| (*s, b.planned, b.measured)).collect();
        // Layers: 1 + 2 + 1 against 5 + 1. Transfers: 3 + 2 against 4 + 2. Server: 2 + 3 against
        // 3 + 2. Queue: planned 7 - (6 + 1) and 9 - (8 + 1); measured 10 - 10 and 13 - 12.
        let expected = [
            (Spending::Compute, ms(4), ms(6)),
            (Spending::Link, ms(5), ms(6)),
            (Spending::Server, ms(5), ms(5)),
            (Spending::Queue, ms(0), ms(1)),
        ];
        assert_eq!(sums, expected);
        // Furthest apart: layers a and b of job 0, 5 ms for 3 ms; next, one of those off by 1 ms.
        assert_eq!(found.largest[0].length, Both { planned: ms(3), measured: ms(5) });
        assert_eq!(found.largest[1].length.apart(), ms(1));
        assert_eq!((found.largest.len(), found.unplanned), (2, 0));
    }

    #[test]
    fn what_was_not_planned_is_counted() {
        let workload = read_workload(WORKLOAD.as_bytes()).unwrap();
        let plan = read_plan(PLAN.as_bytes(), &workload).unwrap();
        let mut run = run();
        run.schedule.device.push(operation(1, Work::Layer(LayerId(2)), 6, 16));
        assert_eq!(deviation(&workload, &plan, &run, 2).unplanned, 1);
    }

    #[test]
    fn busy_and_idle_differences_add_up_to_that_of_the_makespans() {
        let workload = read_workload(WORKLOAD.as_bytes()).unwrap();
        let plan = read_plan(PLAN.as_bytes(), &workload).unwrap();
        let run = run();
        let planned = loads(&plan.schedule, plan.makespan);
        let measured = loads(&run.schedule, run.makespan);
        let busy = |l: &[Load; 4]| l.map(|l| l.busy);
        assert_eq!(busy(&planned), [ms(4), ms(5), ms(5), ms(0)]);
        assert_eq!(busy(&measured), [ms(6), ms(6), ms(5), ms(0)]);
        for (p, m) in planned.iter().zip(&measured) {
            assert_eq!(p.busy + p.idle, plan.makespan);
            assert_eq!(m.busy + m.idle, run.makespan);
        }
    }
}
