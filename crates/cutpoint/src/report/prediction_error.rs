//! Where the prediction erred: measured against planned, by what the time was spent on and by
//! single operation.

use crate::trace::Execution;
use cutpoint_plan::plan::{Machine, Operation, Plan, Schedule, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, TensorId, Workload};
use std::collections::BTreeMap;

/// A time planned and measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Both {
    pub planned: Time,
    pub measured: Time,
}

impl Both {
    fn apart(self) -> Time {
        self.measured.saturating_sub(self.planned) + self.planned.saturating_sub(self.measured)
    }
}

/// How a run differed from its plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PredictionError {
    /// What time was spent on, on which machine, summed over all jobs; without what neither plan nor
    /// run has.
    pub sums: Vec<(&'static str, Machine, Both)>,
    /// The measured operations furthest from their plan, furthest first.
    pub largest: Vec<(Operation, Both)>,
    /// How many measured operations the plan does not have.
    pub unplanned: usize,
}

impl PredictionError {
    /// Compares a run with its plan; keeps the `count` operations furthest apart.
    pub(super) fn of(workload: &Workload, plan: &Plan, run: &Execution, count: usize) -> Self {
        let half = workload.link().round_trip.half();
        let [planned, measured] = [&plan.schedule, &run.schedule].map(|s| spent(s, half));
        let sums = planned.into_iter().zip(measured);
        let sums = sums.map(|((name, machine, planned), (.., measured))| {
            (name, machine, Both { planned, measured })
        });
        let sums = sums.filter(|(.., both)| *both != Both::default()).collect();
        let (mut largest, unplanned) = pairs(&plan.schedule, &run.schedule);
        largest.sort_by_key(|(_, length)| std::cmp::Reverse(length.apart()));
        largest.truncate(count);
        PredictionError { sums, largest, unplanned }
    }
}

fn spent(schedule: &Schedule, half: Time) -> [(&'static str, Machine, Time); 6] {
    let sum = |machine, counts: fn(&Work) -> bool| {
        schedule.on(machine).iter().filter(|o| counts(&o.work)).map(length).sum::<Time>()
    };
    let is_encode = |w: &Work| matches!(w, Work::Encode(_));
    let is_layer = |w: &Work| matches!(w, Work::Layer(_));
    let all = |_: &Work| true;
    [
        ("Layers on the device", Machine::Device, sum(Machine::Device, is_layer)),
        ("Encoding on the device", Machine::Device, sum(Machine::Device, is_encode)),
        ("Transfers on the uplink", Machine::Uplink, sum(Machine::Uplink, all)),
        ("Layers on the server", Machine::Server, sum(Machine::Server, all)),
        ("Waiting at the server", Machine::Server, waiting(schedule, half)),
        ("Results on the downlink", Machine::Downlink, sum(Machine::Downlink, all)),
    ]
}

fn length(operation: &Operation) -> Time {
    operation.end.saturating_sub(operation.start)
}

/// How long after the arrival of their jobs' last tensors the server begins, summed over all jobs.
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

/// Pairs each measured operation with the planned ones it covers; also counts those without any.
fn pairs(planned: &Schedule, measured: &Schedule) -> (Vec<(Operation, Both)>, usize) {
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
    let (mut pairs, mut unplanned) = (Vec::new(), 0);
    for operation in Machine::ALL.into_iter().flat_map(|m| measured.on(m)) {
        let expected = match operation.work {
            Work::Layer(_) => {
                layers.get_mut(&operation.job).and_then(|rest| take_up_to(rest, operation.work))
            }
            work => others.get(&(operation.job, work.machine(), tensor(work))).copied(),
        };
        match expected {
            Some(planned) => {
                pairs.push((*operation, Both { planned, measured: length(operation) }));
            }
            None => unplanned += 1,
        }
    }
    (pairs, unplanned)
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
    fn run() -> Execution {
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
        Execution { schedule, makespan: ms(16), ..Execution::default() }
    }

    #[test]
    fn errors_are_summed_by_what_the_time_was_spent_on() {
        let workload = read_workload(WORKLOAD.as_bytes()).unwrap();
        let plan = read_plan(PLAN.as_bytes(), &workload).unwrap();
        let found = PredictionError::of(&workload, &plan, &run(), 2);
        let sums: Vec<_> =
            found.sums.iter().map(|(name, _, b)| (*name, b.planned, b.measured)).collect();
        // Layers: 1 + 2 + 1 against 5 + 1. Transfers: 3 + 2 against 4 + 2. Server: 2 + 3 against
        // 3 + 2. Queue: planned 7 - (6 + 1) and 9 - (8 + 1); measured 10 - 10 and 13 - 12.
        let expected = [
            ("Layers on the device", ms(4), ms(6)),
            ("Transfers on the uplink", ms(5), ms(6)),
            ("Layers on the server", ms(5), ms(5)),
            ("Waiting at the server", ms(0), ms(1)),
        ];
        assert_eq!(sums, expected);
        // Furthest apart: layers a and b of job 0, 5 ms for 3 ms; next, one of those off by 1 ms.
        assert_eq!(found.largest[0].1, Both { planned: ms(3), measured: ms(5) });
        assert_eq!(found.largest[1].1.apart(), ms(1));
        assert_eq!((found.largest.len(), found.unplanned), (2, 0));
    }

    #[test]
    fn measured_operations_without_a_planned_one_are_counted() {
        let workload = read_workload(WORKLOAD.as_bytes()).unwrap();
        let plan = read_plan(PLAN.as_bytes(), &workload).unwrap();
        let mut run = run();
        run.schedule.device.push(operation(1, Work::Layer(LayerId(2)), 6, 16));
        assert_eq!(PredictionError::of(&workload, &plan, &run, 2).unplanned, 1);
    }
}
