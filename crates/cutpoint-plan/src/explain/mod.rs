//! What does a plan say, in words: which cuts it uses, what the machines are busy with, what would
//! change it, and whether splitting pays at all.

mod hull;
mod stream;
mod summary;

#[cfg(test)]
mod tests;

pub use stream::Stream;
pub use summary::{CutUse, PlanSummary, render_summary};

use crate::bound::{add_cheapest_cuts, lower_bound};
use crate::partition::modes;
use crate::plan::{Machine, Plan};
use crate::problem::{Context, Problem};
use crate::units::Time;
use crate::workload::Workload;
use hull::{HullCut, hull};
use std::fmt::Write;

/// The plan in words. The figures on prices and on bandwidth are those of the lower bound: they
/// are exact for many jobs, and a guide for few.
pub fn explain_plan(workload: &Workload, plan: &Plan) -> String {
    let summary = PlanSummary::of(workload, plan, &[]);
    let mut out = String::new();
    let mut say = |text: String| {
        out.push_str(&text);
        out.push_str("\n\n");
    };
    say(render_summary(&summary).trim_end().to_string());
    say(bottleneck(&summary, plan.makespan));
    let context = Context::new(workload, plan.granularity);
    let problem = context.problem(|_, pricer| modes(pricer, context.executors));
    match problem.map(with_cheapest_cuts) {
        Some(problem) if !problem.classes.is_empty() => {
            say(price(lower_bound(&problem).prices));
            for class in &problem.classes {
                let model = class.pricer.model;
                let uses = summary.cuts.iter().filter(|c| c.model == model.name);
                say(cuts(&model.name, &hull(workload, class), &uses.collect::<Vec<_>>()));
            }
        }
        _ => {}
    }
    format!("{}\n", out.trim_end())
}

/// Where cuts are too many to list, those that count at the bound's prices are added.
fn with_cheapest_cuts(mut problem: Problem<'_>) -> Problem<'_> {
    if !problem.is_complete {
        add_cheapest_cuts(&mut problem);
    }
    problem
}

/// Which machine the makespan waits for.
fn bottleneck(summary: &PlanSummary, makespan: Time) -> String {
    let busiest = summary.busy.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((machine, share)) = busiest.filter(|_| makespan > Time::ZERO) else {
        return "There is nothing to do.".to_string();
    };
    let idle = summary.busy.iter().filter(|(m, s)| m != machine && *s < 0.9 * share);
    let idle: Vec<&str> = idle.map(|(machine, _)| machine.name()).collect();
    let share = share * 100.0;
    let name = machine.name();
    let rest = match idle.as_slice() {
        [] => "the others are as busy".to_string(),
        idle => format!("there is time to spare on the {}", idle.join(", the ")),
    };
    if share >= 90.0 {
        format!("Bottleneck: the {name}, busy {share:.0} % of the makespan; {rest}.")
    } else {
        format!(
            "No machine is busy all the time (the {name} most, {share:.0} % of the makespan): the plan \
             waits for results that pass one machine after the other. More jobs would fill the gaps."
        )
    }
}

/// What the weights of the lower bound say about the worth of time on each machine.
fn price(prices: [u64; 4]) -> String {
    let total: u64 = prices.iter().sum();
    let share = |price: u64| price as f64 / total.max(1) as f64;
    let [device, uplink, ..] = prices;
    let trade = match (device, uplink) {
        (0, 0) => "neither device nor uplink is scarce".to_string(),
        (0, _) => "only the uplink is scarce: device time costs nothing".to_string(),
        (_, 0) => "only the device is scarce: uplink time costs nothing".to_string(),
        _ => format!(
            "a second of uplink is worth {:.2} seconds of device",
            uplink as f64 / device as f64
        ),
    };
    let parts = Machine::ALL.iter().zip(prices).filter(|&(_, price)| price > 0);
    let parts: Vec<String> = parts
        .map(|(machine, price)| format!("{:.3} s on the {}", share(price), machine.name()))
        .collect();
    let parts = parts.join(", ");
    format!("Prices: {trade}. A second less work shortens the lower bound by {parts}.")
}

/// The cuts that a long run of jobs would mix, with the bandwidth at which each is balanced.
fn cuts(model: &str, hull: &[HullCut], uses: &[&CutUse]) -> String {
    let mut text = format!("Cuts of {model} worth mixing, by device time:\n");
    let head = ["on device", "device", "uplink", "bytes", "balanced at", "jobs"];
    let mut rows: Vec<[String; 6]> = vec![head.map(str::to_string)];
    for cut in hull {
        let used = uses.iter().filter(|u| u.is_at(&cut.layers, &cut.uploads));
        let jobs: usize = used.map(|u| u.jobs).sum();
        let balanced = match cut.balanced_mbps {
            Some(mbps) => format!("{mbps:.2} Mbit/s"),
            None if cut.bytes == 0 => "0".to_string(),
            None => "infinite".to_string(),
        };
        rows.push([
            format!("{} of {}", cut.layers.count(), cut.layer_count),
            cut.device.to_string(),
            cut.uplink.to_string(),
            cut.bytes.to_string(),
            balanced,
            if jobs == 0 { "-".to_string() } else { jobs.to_string() },
        ]);
    }
    text.push_str(&summary::table(&rows));
    text.push_str(
        "At a bandwidth between the figures of two neighbours these two share the jobs of this model \
         alone; faster links move the jobs up the table, slower ones down. Server, downlink and \
         round trip are not counted here.",
    );
    let listed = |u: &&&CutUse| hull.iter().any(|cut| u.is_at(&cut.layers, &cut.uploads));
    let others: usize = uses.iter().filter(|u| !listed(u)).map(|u| u.jobs).sum();
    if others > 0 {
        let jobs = if others == 1 { "job is" } else { "jobs are" };
        write!(text, " {others} {jobs} at other cuts, which even out what is left.")
            .expect("a String takes everything");
    }
    text
}
