//! The verdict: what the plan says to do, what came of it, and what that gains.

use super::contents::Report;
use super::places::Places;
use super::text::{compared, escaped, label, ratio, time};
use cutpoint_plan::options::Policy;
use cutpoint_plan::units::Time;
use cutpoint_plan::units::count;
use cutpoint_plan::workload::{JobId, Workload};
use std::fmt::Write as _;

/// More jobs in trouble than this are not listed.
const TROUBLES_LISTED: usize = 100;

/// The page's title.
pub(super) fn title(report: &Report<'_>) -> String {
    let jobs = count(report.workload.jobs().len(), "job");
    format!("{jobs} of {}, {}", models(report.workload), report.plan.policy)
}

/// The names of the models in use.
fn models(workload: &Workload) -> String {
    let is_used = |i: usize| workload.jobs().iter().any(|id| id.index() == i);
    let used = workload.models().iter().enumerate().filter(|&(i, _)| is_used(i));
    let used: Vec<String> = used.map(|(_, model)| label(&model.name, 32)).collect();
    match used.as_slice() {
        [] => "no model".to_owned(),
        [a, b, c, rest @ ..] if !rest.is_empty() => {
            format!("{a}, {b}, {c} and {} more", rest.len())
        }
        used => used.join(", "),
    }
}

/// The head of the page as HTML: advice, what came of it, the figures, and jobs in trouble.
pub(super) fn verdict(report: &Report<'_>) -> String {
    let advice = Places::of(report.workload, report.plan).advice();
    let title = escaped(&title(report));
    format!(
        "<header class=\"verdict\"><p class=\"kicker\">Cutpoint report · <bdi>{title}</bdi></p>\n\
         <h1>{advice}</h1>\n<p class=\"lead\">{}</p>\n<dl class=\"figures\">\n{}</dl>\n{}</header>\n",
        lead(report),
        figures(report),
        troubles(report)
    )
}

/// How long the jobs take, and how long they would without splitting.
fn lead(report: &Report<'_>) -> String {
    let planned = report.plan.makespan;
    let (took, mut text) = match report.measured {
        _ if report.workload.jobs().is_empty() => return "The workload has no jobs.".to_owned(),
        None => (planned, format!("Planned makespan {}.", time(planned))),
        Some(run) => {
            let off = compared(run.makespan, planned);
            let took = time(run.makespan);
            (run.makespan, format!("Measured makespan {took}, {off} the plan’s {}.", time(planned)))
        }
    };
    let whole = [
        (Policy::LocalOnly, "keep every job on the device"),
        (Policy::ServerOnly, "send every job to the server"),
    ];
    let whole =
        whole.into_iter().filter_map(|(policy, way)| Some((makespan(report, policy)?, way)));
    let Some((best, way)) = whole.min() else { return text };
    if is_noticeably_shorter(planned, best) {
        let times =
            ratio(best, took).map_or_else(String::new, |r| format!(", {r:.2} times as long"));
        text +=
            &format!(" Without splitting, it is best to {way}: planned at {}{times}.", time(best));
        return text;
    }
    let found = report.policies.iter().filter_map(|o| o.plan.as_ref().ok());
    match found.map(|plan| plan.makespan).min() {
        Some(least) if is_noticeably_shorter(least, planned) => {
            text += &format!(" Another policy below does better: {}.", time(least));
        }
        _ => text += " No cut inside a model is noticeably faster on this link and these machines.",
    }
    text
}

/// Whether `time` is below `other` by more than one part in a thousand.
fn is_noticeably_shorter(time: Time, other: Time) -> bool {
    u128::from(time.nanoseconds()) * 1000 < u128::from(other.nanoseconds()) * 999
}

fn makespan(report: &Report<'_>, policy: Policy) -> Option<Time> {
    let found = report.policies.iter().find(|o| o.policy == policy)?;
    found.plan.as_ref().ok().map(|plan| plan.makespan)
}

fn figures(report: &Report<'_>) -> String {
    let (plan, bound) = (report.plan, report.bound);
    let mut list = String::new();
    let mut figure = |name: &str, value: String, note: String| {
        writeln!(
            list,
            "<div><dt>{name}</dt><dd class=\"value\">{value}</dd><dd class=\"under\">{note}</dd></div>"
        )
        .expect("a String takes everything");
    };
    let took = report.measured.map_or(plan.makespan, |run| run.makespan);
    let off = format!("{} the bound", compared(took, bound));
    match report.measured {
        Some(run) => {
            figure("Makespan, measured", time(run.makespan), off);
            let off = format!("{} the bound", compared(plan.makespan, bound));
            figure("Makespan, planned", time(plan.makespan), off);
        }
        None => figure("Makespan, planned", time(plan.makespan), off),
    }
    let proof = match plan.optimal || plan.makespan <= bound {
        true => "reached: the plan is optimal",
        false => "no plan is faster",
    };
    figure("Lower bound", time(bound), proof.to_owned());
    for (policy, name) in [(Policy::LocalOnly, "Local-only"), (Policy::ServerOnly, "Server-only")] {
        let Some(whole) = makespan(report, policy) else {
            figure(name, "–".to_owned(), "cannot be planned".to_owned());
            continue;
        };
        let times = ratio(whole, took).map_or_else(|| "–".to_owned(), |r| format!("{r:.2}×"));
        let note = match report.measured {
            Some(_) => format!("{times} the measured makespan"),
            None => format!("{times} the planned makespan"),
        };
        figure(name, time(whole), format!("planned; {note}"));
    }
    list
}

/// Jobs that failed or that the device finished alone.
fn troubles(report: &Report<'_>) -> String {
    let Some(run) = report.measured else { return String::new() };
    let details = |what: &str, list: &[(JobId, String)]| {
        let item = |(job, cause): &(JobId, String)| {
            format!("<li>job {}: {}</li>\n", job.0, escaped(&label(cause, 300)))
        };
        let items: String = list.iter().take(TROUBLES_LISTED).map(item).collect();
        let jobs = count(list.len(), "job");
        format!(
            "<details class=\"trouble\"><summary>{jobs} {what}</summary><ul>\n{items}</ul></details>\n"
        )
    };
    [("failed", &run.failures), ("fell back to the device", &run.fallbacks)]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(what, list)| details(what, list))
        .collect()
}
