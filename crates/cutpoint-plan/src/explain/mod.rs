//! What does a plan say, in words: which cuts it uses, what the machines are busy with, what would
//! change it, and whether splitting pays at all.

mod stream;
mod summary;

#[cfg(test)]
mod tests;

pub use stream::Stream;
pub use summary::{CutUse, cuts_in_use, render_summary};

use crate::bound::{add_cheapest_cuts, lower_bound};
use crate::hull::lower_hull;
use crate::partition::modes;
use crate::plan::{Machine, Plan};
use crate::problem::{Class, Context, Mode, Problem};
use crate::units::Time;
use crate::workload::Workload;
use std::fmt::Write;
use summary::{busy_shares, sent_bytes, table};

/// The plan in words. The figures on prices and on bandwidth are those of the lower bound: they
/// are exact for many jobs, and a guide for few.
pub fn explain_plan(workload: &Workload, plan: &Plan) -> String {
    let mut out = String::new();
    let mut say = |text: String| {
        out.push_str(&text);
        out.push_str("\n\n");
    };
    say(render_summary(workload, plan, &[]).trim_end().to_string());
    say(bottleneck(&busy_shares(workload, plan), plan.makespan));
    let context = Context::new(workload, plan.granularity);
    let problem = context.problem(|_, pricer| modes(pricer, context.executors));
    match problem.map(with_cheapest_cuts) {
        Some(problem) if !problem.classes.is_empty() => {
            say(price(lower_bound(&problem).prices));
            let uses = cuts_in_use(workload, plan);
            for class in &problem.classes {
                say(cuts(workload, class, &uses));
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
fn bottleneck(busy: &[(Machine, f64)], makespan: Time) -> String {
    let busiest = busy.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((machine, share)) = busiest.filter(|_| makespan > Time::ZERO) else {
        return "There is nothing to do.".to_string();
    };
    let idle = busy.iter().filter(|(m, s)| m != machine && *s < 0.9 * share);
    let idle: Vec<&str> = idle.map(|(machine, _)| machine.name()).collect();
    let share = share * 100.0;
    let name = machine.name();
    let rest = match idle.as_slice() {
        [] => "the others are as busy".to_string(),
        idle => format!("time to spare on the {}", idle.join(", the ")),
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

/// The worth of time on each machine, by the weights of the lower bound.
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
    format!("Prices: {trade}. Removing one second of work shortens the lower bound by {parts}.")
}

/// The cuts that a long run of jobs would mix, with the bandwidth at which each is balanced: those
/// on the lower hull of device and uplink time.
fn cuts(workload: &Workload, class: &Class<'_>, uses: &[CutUse<'_>]) -> String {
    let model = class.pricer.model;
    let is_of_model = |u: &&CutUse<'_>| workload.models[u.model.index()].name == model.name;
    let uses: Vec<_> = uses.iter().filter(is_of_model).collect();
    let hull = lower_hull(&class.modes, |mode| (mode.device, mode.uplink));
    let hull: Vec<&Mode> = hull.into_iter().map(|m| &class.modes[m]).collect();
    let mut text = format!("Cuts of {} worth mixing, by device time:\n", model.name);
    let head = ["on device", "device", "uplink", "bytes", "balanced at", "jobs"];
    let mut rows: Vec<[String; 6]> = vec![head.map(str::to_string)];
    for mode in &hull {
        let used = uses.iter().filter(|u| u.is_at(&mode.layers, &mode.uploads));
        let jobs: usize = used.map(|u| u.jobs.len()).sum();
        let bytes = sent_bytes(model, &mode.uploads);
        let overhead = workload.link.message_overhead * mode.uploads.len() as u64;
        let seconds = mode.device.saturating_sub(overhead).nanoseconds() as f64 / 1e9;
        rows.push([
            format!("{} of {}", mode.layers.count(), model.layers.len()),
            mode.device.to_string(),
            mode.uplink.to_string(),
            bytes.to_string(),
            match bytes {
                0 => "0".to_string(),
                _ if seconds <= 0.0 => "infinite".to_string(),
                _ => format!("{:.2} Mbit/s", bytes as f64 * 8.0 / 1e6 / seconds),
            },
            if jobs == 0 { "-".to_string() } else { jobs.to_string() },
        ]);
    }
    text.push_str(&table(&rows));
    text.push_str(
        "At a bandwidth between the figures of two neighbours these two share the jobs of this model \
         alone; faster links move the jobs up the table, slower ones down. Server, downlink and \
         round trip are not counted here.",
    );
    let is_listed = |u: &CutUse<'_>| hull.iter().any(|mode| u.is_at(&mode.layers, &mode.uploads));
    let others: usize = uses.iter().filter(|u| !is_listed(u)).map(|u| u.jobs.len()).sum();
    if others > 0 {
        let jobs = if others == 1 { "job is" } else { "jobs are" };
        write!(text, " {others} {jobs} at other cuts, which even out what is left.")
            .expect("a String takes everything");
    }
    text
}
