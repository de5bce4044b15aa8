//! The data of the page as one JSON object, for `script.js`. Times are nanoseconds.

use super::contents::Report;
use super::cuts::{CutInUse, cuts_in_use};
use super::model_rows::{common_name, edges, layer_order, prefix_length, units};
use super::places::Places;
use super::plane::{Cloud, Point, balance_step, cloud};
use super::prediction_error::PredictionError;
use super::text::label;
use super::timeline_blocks::{Block, blocks, busy};
use crate::trace;
use cutpoint_plan::options::Policy;
use cutpoint_plan::plan::{Machine, Operation, Plan, Schedule, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{LayerId, ModelGraph, ModelId, Workload};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// More models than this are left out of the charts of models.
const MODELS_DRAWN: usize = 8;

/// More cuts of a model than this are not drawn.
const CUTS_DRAWN: usize = 12;

/// Models with more layers than this have no list of all layers.
const LAYERS_LISTED: usize = 600;

/// More jobs than this are left out of the table of jobs.
const JOBS_LISTED: usize = 500;

/// How many single operations are listed.
const OPERATIONS_LISTED: usize = 8;

/// Everything that the script draws.
pub(super) fn data(report: &Report<'_>) -> Value {
    let Report { workload, plan, measured, .. } = report;
    let models = models_in_use(report);
    let hulls: Vec<_> = models.iter().map(|m| (m.jobs, m.cloud.hull.clone())).collect();
    let slope = |(a, b): (Point, Point)| {
        let [run, fall] = [b.0 - a.0, a.1 - b.1].map(|t| t.nanoseconds() as f64);
        fall / run.max(1.0)
    };
    let end = measured.map_or(plan.makespan, |run| run.makespan.max(plan.makespan));
    let mut names = Names::default();
    let mut timeline =
        vec![part(workload, "Planned", &plan.schedule, plan.makespan, end, &mut names)];
    if let Some(run) = measured {
        let part = part(workload, "Measured", &run.schedule, run.makespan, end, &mut names);
        timeline.push(part);
    }
    let link = &workload.link();
    json!({
        "bound": ns(report.bound),
        "policies": policies(report),
        "timeline": timeline,
        "names": names.list,
        "errors": measured.map(|run| {
            let found = PredictionError::of(workload, plan, run, OPERATIONS_LISTED);
            errors(workload, &found)
        }),
        "models": models.iter().take(MODELS_DRAWN).map(|m| model(workload, m)).collect::<Vec<_>>(),
        "modelsLeftOut": models.len().saturating_sub(MODELS_DRAWN),
        // A single model is balanced where f = g, several where the hulls together have this slope.
        "balance": if models.len() > 1 { balance_step(&hulls).map(slope) } else { None },
        "jobs": jobs(report, &models),
        "jobsLeftOut": workload.jobs().len().saturating_sub(JOBS_LISTED),
        "conditions": {
            "uplink": link.uplink.mbit_per_s(),
            "downlink": link.downlink.map(|d| d.mbit_per_s()),
            "roundTrip": ns(link.round_trip),
            "overhead": ns(link.message_overhead),
            "executors": workload.executors(),
            "granularity": plan.granularity.name(),
            "period": plan.period.map(ns),
            "jobs": workload.jobs().len(),
        },
    })
}

fn ns(time: Time) -> u64 {
    time.nanoseconds()
}

/// What was measured comes first, then the policies' plans.
fn policies(report: &Report<'_>) -> Vec<Value> {
    let own = report.plan.policy;
    let mean = |all: &[Time]| ns(mean_time(all.iter().map(|&time| (1, time))));
    let row = |policy: Policy, plan: &Plan, makespan, completions: Option<&[Time]>, is_measured| {
        json!({ "name": policy.name(), "own": policy == own, "isMeasured": is_measured,
                "makespan": ns(makespan), "mean": completions.map(mean),
                "cut": Places::of(report.workload, plan).cut })
    };
    let measured = report.measured.map(|run| {
        let completions: Option<Vec<Time>> = run.completions.iter().copied().collect();
        row(own, report.plan, run.makespan, completions.as_deref(), true)
    });
    let planned = report.policies.iter().map(|found| match &found.plan {
        Ok(plan) => row(found.policy, plan, plan.makespan, Some(&plan.completions), false),
        Err(error) => json!({ "name": found.policy.name(), "error": error.to_string() }),
    });
    measured.into_iter().chain(planned).collect()
}

/// Names that occur often, each once.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Names {
    fn place(&mut self, name: String) -> usize {
        *self.places.entry(name).or_insert_with_key(|name| {
            self.list.push(name.clone());
            self.list.len() - 1
        })
    }
}

/// One of the two charts of the timeline.
fn part(
    workload: &Workload,
    title: &str,
    schedule: &Schedule,
    makespan: Time,
    end: Time,
    names: &mut Names,
) -> Value {
    let used = |m: &Machine| *m != Machine::Downlink || !schedule.downlink.is_empty();
    let rows = Machine::ALL.into_iter().filter(used).map(|machine| {
        let operations = schedule.on(machine);
        let (blocks, lanes) = blocks(operations, end);
        let blocks: Vec<_> = blocks.iter().map(|b| block(workload, b, names)).collect();
        let busy = ns(busy(operations));
        json!({ "machine": machine.name(), "busy": busy, "lanes": lanes, "blocks": blocks })
    });
    json!({ "title": title, "makespan": ns(makespan), "rows": rows.collect::<Vec<_>>() })
}

/// Start, end, busy time, lane, number of operations, first job, last job, the names of the first
/// and the last operation (none in a block of several jobs), and 1 for an encode.
fn block(workload: &Workload, block: &Block, names: &mut Names) -> Value {
    let mut name = |o: &Operation| {
        if block.is_mixed { -1 } else { names.place(operation_name(workload, o)) as i64 }
    };
    let (first, last) = (name(&block.first), name(&block.last));
    json!([
        ns(block.start),
        ns(block.end),
        ns(block.busy),
        block.lane,
        block.operations,
        block.first.job.0,
        block.last.job.0,
        first,
        last,
        u8::from(block.is_encode()),
    ])
}

fn operation_name(workload: &Workload, operation: &Operation) -> String {
    match operation.work {
        Work::Suffix => "remaining layers".to_owned(),
        _ => label(&trace::label(workload, operation), 48),
    }
}

fn errors(workload: &Workload, found: &PredictionError) -> Value {
    let sums = found.sums.iter().map(|(name, machine, both)| {
        json!({ "name": name, "machine": machine.name(),
                "planned": ns(both.planned), "measured": ns(both.measured) })
    });
    let largest = found.largest.iter().map(|(operation, both)| {
        json!({ "job": operation.job.0, "name": operation_name(workload, operation),
                "machine": operation.work.machine().name(),
                "planned": ns(both.planned), "measured": ns(both.measured) })
    });
    json!({ "sums": sums.collect::<Vec<_>>(), "largest": largest.collect::<Vec<_>>(),
            "unplanned": found.unplanned })
}

/// A model that has jobs.
struct InUse {
    id: ModelId,
    jobs: u64,
    cuts: Vec<CutInUse>,
    cloud: Cloud,
}

/// The models that have jobs, those with the most jobs first.
fn models_in_use(report: &Report<'_>) -> Vec<InUse> {
    let workload = report.workload;
    let counts = workload.job_counts();
    let mut used: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] > 0).collect();
    used.sort_by_key(|&i| std::cmp::Reverse(counts[i]));
    let in_use = |i: usize| {
        let id = ModelId::at(i);
        let cuts = cuts_in_use(workload, report.plan, id);
        let cloud = cloud(&workload.models()[i], &workload.link(), &cuts);
        InUse { id, jobs: counts[i], cuts, cloud }
    };
    used.into_iter().map(in_use).collect()
}

fn model(workload: &Workload, used: &InUse) -> Value {
    let model = &workload.models()[used.id.index()];
    let cuts = &used.cuts[..used.cuts.len().min(CUTS_DRAWN)];
    let order = layer_order(model, cuts);
    let units = units(model, &order, cuts);
    let edges = edges(model, &order, &units).into_iter().map(|edge| {
        let tensor = &model.tensors[edge.tensor.index()];
        json!({ "name": label(&tensor.name, 60), "bytes": tensor.bytes, "from": edge.from,
                "to": edge.to })
    });
    let rows = units.iter().map(|unit| {
        let layers = &order[unit.layers.clone()];
        let marks = cuts.iter().filter(|c| {
            let set = &c.partition.device_layers;
            prefix_length(&order, set).is_none() && set.contains(layers[0])
        });
        json!({ "name": row_name(model, layers), "layers": layers.len(), "device": ns(unit.device),
                "server": ns(unit.server), "marks": marks.map(|c| &c.letter).collect::<Vec<_>>() })
    });
    let cuts = cuts.iter().map(|cut| {
        let set = &cut.partition.device_layers;
        let last = order.iter().rposition(|&l| set.contains(l));
        let above = last.map_or(0, |l| units.partition_point(|u| u.layers.end <= l) + 1);
        json!({
            "letter": cut.letter,
            "jobs": cut.jobs.len(),
            "what": cut.describe(model),
            "isLocal": set.count() == model.layers.len(),
            "encodings": cut.encodings(model),
            "device": ns(cut.cost.device),
            "uplink": ns(cut.cost.uplink),
            "server": ns(cut.cost.server),
            "bytes": cut.cost.bytes,
            // How many rows are above the cut, and whether all of them are on the device.
            "above": above,
            "isLine": prefix_length(&order, set).is_some(),
        })
    });
    let point = |p: &Point| [ns(p.0), ns(p.1)];
    let cloud = &used.cloud;
    json!({
        "name": label(&model.name, 60),
        "jobs": used.jobs,
        "inputs": label(&inputs(model), 40),
        "rows": rows.collect::<Vec<_>>(),
        "edges": edges.collect::<Vec<_>>(),
        "cuts": cuts.collect::<Vec<_>>(),
        "cutsLeftOut": used.cuts.len().saturating_sub(CUTS_DRAWN),
        "layers": layers(model, &order, units.len()),
        "plane": {
            "points": cloud.points.iter().map(point).collect::<Vec<_>>(),
            "hull": cloud.hull.iter().map(point).collect::<Vec<_>>(),
            "ends": point(&cloud.ends),
            "cuts": cloud.cuts,
            "isComplete": cloud.is_complete,
            "outside": cloud.outside,
            "mean": point(&mean(&used.cuts)),
        },
    })
}

fn inputs(model: &ModelGraph) -> String {
    let names = model.inputs.iter().map(|t| model.tensors[t.index()].name.as_str());
    names.take(8).collect::<Vec<_>>().join(", ")
}

fn row_name(model: &ModelGraph, layers: &[LayerId]) -> String {
    let name = |l: &LayerId, limit| label(&model.layers[l.index()].name, limit);
    match layers {
        [only] => name(only, 34),
        [first, .., last] => match common_name(model, layers) {
            Some(common) => label(common, 40),
            None => format!("{} … {}", name(first, 20), name(last, 20)),
        },
        [] => String::new(),
    }
}

/// Name, bytes written, device time and server time of every layer, where rows join layers that are
/// few enough to be listed.
fn layers(model: &ModelGraph, order: &[LayerId], rows: usize) -> Vec<Value> {
    if rows == order.len() || order.len() > LAYERS_LISTED {
        return Vec::new();
    }
    let layer = |l: &LayerId| {
        let layer = &model.layers[l.index()];
        let bytes = layer.writes.iter().map(|t| model.tensors[t.index()].bytes);
        let bytes = bytes.fold(0, u64::saturating_add);
        json!([label(&layer.name, 60), bytes, ns(layer.device), ns(layer.server)])
    };
    order.iter().map(layer).collect()
}

/// The mean costs of a job.
fn mean(cuts: &[CutInUse]) -> Point {
    let mean =
        |axis: fn(&CutInUse) -> Time| mean_time(cuts.iter().map(|cut| (cut.jobs.len(), axis(cut))));
    (mean(|c| c.cost.device), mean(|c| c.cost.uplink))
}

/// The mean of times, each of them that many times; zero for none.
fn mean_time(times: impl Iterator<Item = (usize, Time)>) -> Time {
    let (mut count, mut sum) = (0, 0);
    for (times, time) in times {
        count += times as u128;
        sum += times as u128 * u128::from(ns(time));
    }
    Time::from_nanoseconds(u64::try_from(sum / count.max(1)).unwrap_or(u64::MAX))
}

/// Model, cut, planned and measured completion of each job.
fn jobs(report: &Report<'_>, models: &[InUse]) -> Vec<Value> {
    let mut cut_of = BTreeMap::new();
    for used in models {
        let name = label(&report.workload.models()[used.id.index()].name, 32);
        for cut in &used.cuts {
            let jobs = cut.jobs.iter().filter(|j| j.index() < JOBS_LISTED);
            cut_of.extend(jobs.map(|job| (job.index(), (name.clone(), &cut.letter))));
        }
    }
    let row = |(job, (name, letter)): (usize, (String, &String))| {
        let found = report.measured.and_then(|run| *run.completions.get(job)?);
        json!([name, letter, ns(report.plan.completions[job]), found.map(ns)])
    };
    cut_of.into_iter().map(row).collect()
}
