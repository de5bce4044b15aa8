//! Machines do one thing at a time.

use crate::check::rule::{PlanRule, Report, is_before};
use crate::plan::{Machine, Operation, Plan};
use crate::units::Time;
use crate::workload::Workload;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub(super) fn check_machines(workload: &Workload, plan: &Plan, report: &mut Report) {
    for machine in Machine::ALL {
        let operations = plan.schedule.on(machine);
        for (i, pair) in operations.windows(2).enumerate() {
            if is_before(pair[1].start, pair[0].start) {
                let message = format!("starts at {}, before the one above", pair[1].start);
                report.add(PlanRule::Sorted, || place(machine, i + 1), message);
            }
        }
        let capacity = match machine {
            Machine::Server => workload.executors.map(|n| n.get() as usize),
            _ => Some(1),
        };
        if let Some(capacity) = capacity {
            check_capacity(machine, operations, capacity, report);
        }
    }
}

/// At no time more than `capacity` operations run. O(n log n).
fn check_capacity(
    machine: Machine,
    operations: &[Operation],
    capacity: usize,
    report: &mut Report,
) {
    let mut order: Vec<usize> = (0..operations.len()).collect();
    order.sort_by_key(|&i| (operations[i].start, operations[i].end));
    let mut running: BinaryHeap<Reverse<(Time, usize)>> = BinaryHeap::new();
    for i in order {
        let start = operations[i].start;
        while let Some(&Reverse((end, _))) = running.peek() {
            if is_before(start, end) {
                break;
            }
            running.pop();
        }
        running.push(Reverse((operations[i].end, i)));
        if running.len() > capacity
            && let Some(Reverse((end, other))) = running.pop()
        {
            let message = format!(
                "starts at {start}, while {} other{} run{}; the first, {}, ends at {end}",
                running.len(),
                if running.len() == 1 { "" } else { "s" },
                if running.len() == 1 { "s" } else { "" },
                place(machine, other),
            );
            report.add(PlanRule::OneAtATime, || place(machine, i), message);
        }
    }
}

fn place(machine: Machine, index: usize) -> String {
    format!("schedule.{}[{index}]", machine.name())
}
