//! A chart as data: lanes of bars over a time axis.

use crate::plan::{Machine, Operation, Plan, Schedule, Work};
use crate::units::Time;
use crate::units::count;
use crate::workload::Workload;

/// A picture of operations over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Its title, in a line.
    pub title: String,
    /// From top to bottom.
    pub lanes: Vec<ChartLane>,
    /// Where the time axis ends: the makespan.
    pub end: Time,
    /// Moments to point out, with a word each, for example the lower bound.
    pub marks: Vec<(Time, String)>,
}

/// The operations of one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartLane {
    /// The name of the machine; for a trace also whether planned or measured.
    pub name: String,
    /// In any order.
    pub bars: Vec<Bar>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// When it starts.
    pub start: Time,
    /// When it ends.
    pub end: Time,
    /// The number of its job.
    pub job: usize,
    /// What it does: the name of a layer or a tensor, for example.
    pub label: String,
}

impl Chart {
    /// The chart of a plan: a lane for each machine; no lane for a downlink that is not used.
    pub fn of_plan(workload: &Workload, plan: &Plan) -> Chart {
        let lanes = Machine::ALL.into_iter().filter_map(|machine| {
            let operations = plan.schedule.on(machine);
            let is_shown = machine != Machine::Downlink || !operations.is_empty();
            let bars = operations.iter().map(|op| Bar::of(workload, op)).collect();
            is_shown.then(|| ChartLane { name: machine.name().to_string(), bars })
        });
        let title =
            format!("{} in {}, lower bound {}", what(plan), plan.makespan, plan.lower_bound);
        let marks = vec![(plan.lower_bound, "bound".to_string())];
        Chart { title, lanes: lanes.collect(), end: plan.makespan, marks }
    }

    /// A plan and its run on a common time axis: for each machine a lane of what was
    /// planned above one of what was measured. Machines without any operation are left out.
    pub fn of_run(workload: &Workload, plan: &Plan, measured: &Schedule, makespan: Time) -> Chart {
        let mut lanes = Vec::new();
        for machine in Machine::ALL {
            let both = [("planned", plan.schedule.on(machine)), ("measured", measured.on(machine))];
            if both.iter().all(|(_, operations)| operations.is_empty()) {
                continue;
            }
            lanes.extend(both.map(|(word, operations)| ChartLane {
                name: format!("{} {word}", machine.name()),
                bars: operations.iter().map(|op| Bar::of(workload, op)).collect(),
            }));
        }
        let title = format!("{} in {makespan}, planned {}", what(plan), plan.makespan);
        let ends = [(plan.makespan, "planned"), (makespan, "measured")];
        let end = plan.makespan.max(makespan);
        let marks = ends.into_iter().filter(|(time, _)| *time < end);
        let marks = marks.map(|(time, word)| (time, word.to_string())).collect();
        Chart { title, lanes, end, marks }
    }
}

/// How a title begins: policy, granularity, jobs.
fn what(plan: &Plan) -> String {
    let jobs = count(plan.partitions.len(), "job");
    format!("{} at granularity {}: {jobs}", plan.policy, plan.granularity)
}

impl Bar {
    /// The bar of one operation, labelled with what it works on.
    pub fn of(workload: &Workload, op: &Operation) -> Bar {
        let model = workload.model_of(op.job);
        let label = match op.work {
            Work::Layer(layer) => model.layers[layer.index()].name.clone(),
            Work::Encode(tensor) => format!("encode {}", model.tensors[tensor.index()].name),
            Work::Transfer(tensor) => model.tensors[tensor.index()].name.clone(),
            Work::Suffix => "rest of the model".to_string(),
            Work::Download => "results".to_string(),
        };
        Bar { start: op.start, end: op.end, job: op.job.index(), label }
    }
}

impl ChartLane {
    /// The bars on as few rows as possible so that none overlap; bars without length are left out.
    /// Each row in order of time. O(n log n).
    pub(super) fn rows(&self) -> Vec<Vec<&Bar>> {
        let mut bars: Vec<&Bar> = self.bars.iter().filter(|bar| bar.end > bar.start).collect();
        bars.sort_by_key(|bar| (bar.start, bar.end, bar.job));
        let mut rows: Vec<Vec<&Bar>> = Vec::new();
        // A row is free from the end of its last bar; the row that is free first is taken.
        let mut free = std::collections::BTreeSet::new();
        for bar in bars {
            let row = match free.first().copied() {
                Some((end, row)) if end <= bar.start => {
                    free.remove(&(end, row));
                    row
                }
                _ => {
                    rows.push(Vec::new());
                    rows.len() - 1
                }
            };
            rows[row].push(bar);
            free.insert((bar.end, row));
        }
        rows
    }

    /// The share of the time until `end` in which anything runs.
    pub(super) fn busy_share(&self, end: Time) -> f64 {
        let mut bars: Vec<(Time, Time)> = self.bars.iter().map(|b| (b.start, b.end)).collect();
        bars.sort();
        let (mut busy, mut until) = (Time::ZERO, Time::ZERO);
        for (start, end) in bars {
            busy += end.saturating_sub(start.max(until));
            until = until.max(end);
        }
        if end > Time::ZERO { busy.nanoseconds() as f64 / end.nanoseconds() as f64 } else { 0.0 }
    }
}

/// Marks of a time axis: round numbers of a unit, with the end of the axis as the last.
pub(super) struct Axis {
    pub(super) ticks: Vec<(Time, String)>,
    /// The end, with its unit.
    pub(super) end: String,
}

impl Axis {
    /// At most about `ticks_max` ticks between 0 and `end`, without `end` itself.
    pub(super) fn new(end: Time, ticks_max: usize) -> Axis {
        let (unit_ns, unit) = match end.nanoseconds() {
            0..10_000 => (1, "ns"),
            10_000..10_000_000 => (1_000, "µs"),
            10_000_000..10_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let least = end.nanoseconds() / unit_ns / ticks_max.max(1) as u64 + 1;
        let mut step = 1;
        while step < least {
            // 1, 2, 5, 10, 20, 50, ...
            step = if step.to_string().starts_with('2') { step / 2 * 5 } else { step * 2 };
        }
        let steps = 0..=end.nanoseconds() / (step * unit_ns);
        let ticks = steps
            .map(|i| (Time::from_nanoseconds(i * step * unit_ns), (i * step).to_string()))
            .filter(|&(time, _)| time < end)
            .collect();
        let value = end.nanoseconds() as f64 / unit_ns as f64;
        let digits = if value < 100.0 && unit_ns > 1 { 2 } else { 0 };
        Axis { ticks, end: format!("{value:.digits$} {unit}") }
    }
}
