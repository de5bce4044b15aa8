//! Outcomes as a table, and what deserves a line of its own.

use super::instance::Machines;
use super::measure::{Outcome, Source};
use std::fmt::Write as _;

/// With this many jobs, large certified gaps are listed.
const LISTED_JOBS: usize = 20;

/// Gaps to the optimum above this are listed.
const LISTED_GAP_TO_OPTIMUM: f64 = 0.02;

/// A Markdown table with a row for each family, granularity and number of jobs, one for all
/// families together, and lists of what stands out.
pub(super) fn markdown(machines: Machines, outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| family | granularity | jobs | instances | gap mean % | gap worst % | said to be optimal \
         | bound re-proved % | by loads alone % | optimum known | to optimum mean % \
         | to optimum worst % | behind a policy |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut rest = outcomes;
    while let Some(first) = rest.first() {
        let key = |o: &Outcome| (o.family, o.granularity, o.jobs);
        let (row, after) = rest.split_at(rest.iter().take_while(|o| key(o) == key(first)).count());
        rest = after;
        let row: Vec<&Outcome> = row.iter().collect();
        let (family, granularity) = (first.family.to_string(), first.granularity.name());
        text += &table_row(&family, granularity, first.jobs, &row);
    }
    let mut all_jobs: Vec<usize> = outcomes.iter().map(|o| o.jobs).collect();
    all_jobs.sort_unstable();
    all_jobs.dedup();
    for jobs in all_jobs {
        let row: Vec<&Outcome> = outcomes.iter().filter(|o| o.jobs == jobs).collect();
        text += &table_row("all", "both", jobs, &row);
    }
    text += "\n";
    text += &list("Behind another policy", outcomes, |o| joined(&o.behind));
    text += &list("Claims refuted", outcomes, |o| joined(&o.refuted));
    text += &list("Bounds not re-proved", outcomes, |o| {
        let is_short = o.proved_bound < o.lower_bound;
        is_short.then(|| format!("{} of {}", o.proved_bound, o.lower_bound))
    });
    let title = format!("More than {:.0} % above the optimum", LISTED_GAP_TO_OPTIMUM * 100.0);
    text += &list(&title, outcomes, |o| {
        let gap = o.gap_to_optimum.filter(|&gap| gap > LISTED_GAP_TO_OPTIMUM)?;
        Some(format!("{} %", percent(gap)))
    });
    let large = large_gap(machines);
    let title = format!("Certified gap above {:.0} % at {LISTED_JOBS} jobs", large * 100.0);
    text += &list(&title, outcomes, |o| {
        let is_listed = o.jobs == LISTED_JOBS && o.gap > large;
        is_listed.then(|| format!("{} %", percent(o.gap)))
    });
    text
}

/// Certified gaps above this are listed.
fn large_gap(machines: Machines) -> f64 {
    match machines {
        Machines::Two => 0.01,
        Machines::Three => 0.05,
    }
}

/// Whether nothing is wrong: no other policy ahead, no claim refuted.
pub(super) fn is_sound(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|o| o.behind.is_empty() && o.refuted.is_empty())
}

fn joined(what: &[String]) -> Option<String> {
    (!what.is_empty()).then(|| what.join("; "))
}

fn table_row(family: &str, granularity: &str, jobs: usize, row: &[&Outcome]) -> String {
    let gaps: Vec<f64> = row.iter().map(|o| o.gap).collect();
    let to_optimum: Vec<f64> = row.iter().filter_map(|o| o.gap_to_optimum).collect();
    let optimal = row.iter().filter(|o| o.is_optimal).count();
    let share = |is_proved: &dyn Fn(&Outcome) -> bool| {
        let proved = row.iter().filter(|o| is_proved(o)).count();
        format!("{:.1}", proved as f64 / row.len() as f64 * 100.0)
    };
    let proved = share(&|o| o.proved_bound >= o.lower_bound);
    let by_loads = share(&|o| o.load_bound >= o.lower_bound);
    let by_program = row
        .iter()
        .filter(|o| o.optimum.is_some_and(|optimum| optimum.by == Source::Program))
        .count();
    let known = match to_optimum.len() {
        0 => "-".to_owned(),
        known if by_program == known => known.to_string(),
        known => format!("{known} ({by_program} by program)"),
    };
    let behind = row.iter().filter(|o| !o.behind.is_empty()).count();
    format!(
        "| {family} | {granularity} | {jobs} | {} | {} | {} | {optimal} | {proved} | {by_loads} \
         | {known} | {} | {} | \
         {behind} |\n",
        row.len(),
        mean(&gaps),
        worst(&gaps),
        mean(&to_optimum),
        worst(&to_optimum),
    )
}

fn mean(values: &[f64]) -> String {
    match values {
        [] => "-".to_owned(),
        _ => percent(values.iter().sum::<f64>() / values.len() as f64),
    }
}

fn worst(values: &[f64]) -> String {
    values.iter().copied().reduce(f64::max).map_or_else(|| "-".to_owned(), percent)
}

fn percent(ratio: f64) -> String {
    format!("{:.3}", ratio * 100.0)
}

/// A line for each outcome that `of` says something about.
fn list(title: &str, outcomes: &[Outcome], of: impl Fn(&Outcome) -> Option<String>) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        if let Some(what) = of(outcome) {
            let Outcome { family, granularity, jobs, seed, .. } = outcome;
            let _ = writeln!(text, "- {family}, {granularity}, {jobs} jobs, seed {seed}: {what}");
        }
    }
    match text.is_empty() {
        true => format!("{title}: none.\n"),
        false => format!("{title}:\n\n{text}\n"),
    }
}

#[cfg(test)]
mod tests;
