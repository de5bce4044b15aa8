//! The headline: what the plan says to do, and what that gains.

use crate::report::Report;
use crate::report::markup::{Markup, shortened};
use crate::report::policies::outcome_of;
use crate::report::scale::{change, time};
use cutpoint_plan::options::Policy;
use cutpoint_plan::plan::Plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;
use std::fmt::Display;

/// Where the jobs of a plan run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub on_device: usize,
    pub on_server: usize,
    pub cut: usize,
}

impl Places {
    pub(super) fn of(workload: &Workload, plan: &Plan) -> Places {
        let mut places = Places::default();
        for (j, partition) in plan.partitions.iter().enumerate() {
            let layers = workload.models[workload.jobs[j].index()].layers.len();
            let place = match partition.device_layers.count() {
                kept if kept == layers => &mut places.on_device,
                0 => &mut places.on_server,
                _ => &mut places.cut,
            };
            *place += 1;
        }
        places
    }

    /// What to do, in one sentence.
    pub(super) fn advice(self) -> String {
        let Places { on_device, on_server, cut } = self;
        let each = |count: usize| if count == 1 { "1 job".into() } else { format!("{count} jobs") };
        match (on_device, on_server, cut) {
            (0, 0, 0) => "There is nothing to do".to_owned(),
            (1, 0, 0) => "Do not split: keep the job on the device".to_owned(),
            (_, 0, 0) => "Do not split: keep every job on the device".to_owned(),
            (0, 1, 0) => "Do not split: send the job to the server".to_owned(),
            (0, _, 0) => "Do not split: send every job to the server".to_owned(),
            (_, _, 0) => format!(
                "Do not cut inside the model: {} on the device, {on_server} on the server",
                each(on_device)
            ),
            (0, 0, 1) => "Split the job between device and server".to_owned(),
            (0, 0, _) => format!("Split all {cut} jobs between device and server"),
            _ => {
                let rest = [
                    (on_device, "keep", "on the device"),
                    (on_server, "send", "whole to the server"),
                ];
                let rest: Vec<String> = rest
                    .into_iter()
                    .filter(|r| r.0 > 0)
                    .map(|(count, what, place)| format!("{what} {count} {place}"))
                    .collect();
                format!("Split {}, {}", each(cut), rest.join(", "))
            }
        }
    }
}

/// How many times as fast: "2.31×".
pub(super) fn times(slow: Time, fast: Time) -> String {
    let ratio = slow.nanoseconds() as f64 / fast.nanoseconds().max(1) as f64;
    format!("{ratio:.2}×")
}

/// What the page is called.
pub(super) fn title(report: &Report<'_>) -> String {
    let jobs = report.workload.jobs.len();
    format!("{jobs} jobs of {}, {}", models(report.workload), report.plan.policy)
}

/// The names of the models in use, in short.
pub(super) fn models(workload: &Workload) -> String {
    let used: Vec<String> = workload
        .models
        .iter()
        .enumerate()
        .filter(|&(i, _)| workload.jobs.iter().any(|id| id.index() == i))
        .map(|(_, model)| shortened(&model.name, 32))
        .collect();
    match used.as_slice() {
        [first, second, third, _, ..] => {
            format!("{first}, {second}, {third} and {} more", used.len() - 3)
        }
        used => used.join(", "),
    }
}

/// The headline and its figures.
pub(super) fn verdict(m: &mut Markup, report: &Report<'_>) {
    let places = Places::of(report.workload, report.plan);
    m.element("header", &[("class", &"verdict")], |m| {
        m.element("p", &[("class", &"kicker")], |m| {
            m.text("Cutpoint report · ");
            m.element("bdi", &[], |m| m.text(title(report)));
        });
        m.leaf("h1", &[], places.advice());
        m.leaf("p", &[("class", &"lead")], lead(report));
        figures(m, report);
        troubles(m, report);
    });
}

/// What the plan gains over doing everything in one place.
fn lead(report: &Report<'_>) -> String {
    let plan = report.plan;
    let gain = |policy| outcome_of(report.policies, policy).map(|o| o.makespan);
    let (local, server) = (gain(Policy::LocalOnly), gain(Policy::ServerOnly));
    let best = match (local, server) {
        (Some(l), Some(s)) if l <= s => Some((l, "keeping all on the device")),
        (_, Some(s)) => Some((s, "sending all to the server")),
        (Some(l), None) => Some((l, "keeping all on the device")),
        (None, None) => None,
    };
    let planned = time(plan.makespan);
    match best {
        Some((best, _)) if plan.makespan.nanoseconds() * 1000 >= best.nanoseconds() * 999 => {
            let found = report.policies.iter().filter_map(|o| o.outcome.ok());
            let least = found.map(|o| o.makespan).min().unwrap_or(plan.makespan);
            if least.nanoseconds() * 1000 < plan.makespan.nanoseconds() * 999 {
                return format!(
                    "Planned for {planned}. Another policy below does better: {}.",
                    time(least)
                );
            }
            format!(
                "Planned for {planned}. No cut inside the model makes this noticeably faster on \
                 this link with these machines."
            )
        }
        Some((best, what)) => format!(
            "Planned for {planned}: {} as fast as {what}, the better of the two ways without \
             splitting ({}).",
            times(best, plan.makespan),
            time(best)
        ),
        None => format!("Planned for {planned}."),
    }
}

fn figures(m: &mut Markup, report: &Report<'_>) {
    let plan = report.plan;
    m.element("dl", &[("class", &"figures")], |m| {
        figure(m, "Makespan, planned", time(plan.makespan), format!("policy {}", plan.policy));
        if let Some(measured) = report.measured {
            let off = format!("{} against the plan", change(plan.makespan, measured.makespan));
            figure(m, "Makespan, measured", time(measured.makespan), off);
        } else {
            figure(m, "Makespan, measured", "–", "no trace was given");
        }
        let proof = if plan.optimal { "reached: the plan is optimal" } else { "no plan is faster" };
        figure(m, "Lower bound", time(plan.lower_bound), proof);
        let gap = format!("{:.2} %", plan.gap() * 100.0);
        figure(m, "Gap to the bound", gap, "planned above the bound");
        for (policy, name) in
            [(Policy::LocalOnly, "Against local-only"), (Policy::ServerOnly, "Against server-only")]
        {
            match outcome_of(report.policies, policy) {
                Some(o) => {
                    let value = times(o.makespan, plan.makespan);
                    figure(m, name, value, format!("planned; that takes {}", time(o.makespan)));
                }
                None => figure(m, name, "–", "it cannot be planned"),
            }
        }
    });
}

fn figure(m: &mut Markup, name: &'static str, value: impl Display, note: impl Display) {
    m.element("div", &[], |m| {
        m.leaf("dt", &[], name);
        m.leaf("dd", &[("class", &"value")], value);
        m.leaf("dd", &[("class", &"under")], note);
    });
}

/// Jobs that failed or that the device finished alone.
fn troubles(m: &mut Markup, report: &Report<'_>) {
    let Some(measured) = report.measured else { return };
    let lists = [
        ("failed", &measured.failures),
        ("finished on the device, the server having let them down", &measured.fallbacks),
    ];
    for (what, list) in lists {
        if list.is_empty() {
            continue;
        }
        m.element("details", &[("class", &"trouble")], |m| {
            let jobs = if list.len() == 1 { "job" } else { "jobs" };
            m.leaf("summary", &[], format_args!("{} {jobs} {what}", list.len()));
            m.element("ul", &[], |m| {
                for (job, cause) in list.iter().take(100) {
                    m.leaf("li", &[], format_args!("job {}: {}", job.0, shortened(cause, 300)));
                }
            });
        });
    }
}
