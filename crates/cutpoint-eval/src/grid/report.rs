//! What the runs of a grid say: predicted against measured, and joint against the others.

use super::cells::{Cell, Record};
use super::rows::{Row, comparisons, rows};
use crate::statistics::median;
use std::fmt::Write;

/// Two policies whose plans took the same but for rounding ran the same ones.
const EQUAL: f64 = 1e-9;

/// A table of all cells and what follows from it.
pub(super) fn markdown(records: &[Record]) -> String {
    let rows = rows(records);
    let mut text = String::from(
        "| model | Mbit/s | device | jobs | policy | granularity | turns | predicted ms | measured ms | plan ms | \
         error % | bottleneck | busy % | planned % |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &rows {
        let Cell { model, link, device_fraction, jobs, policy, granularity } = &row.cell;
        let _ = writeln!(
            text,
            "| {model} | {} | {device_fraction} | {jobs} | {policy} | {granularity} | {} | {:.1} | {:.1} | {:.1} \
             | {:+.1} | {} | {:.1} | {} |",
            link.rate(),
            row.turns,
            row.predicted_ms,
            row.measured_ms,
            row.by_plan_ms,
            row.error * 100.0,
            row.bottleneck,
            row.busy * 100.0,
            row.planned_busy.map_or("?".to_owned(), |share| format!("{:.1}", share * 100.0))
        );
    }
    if !rows.is_empty() {
        text.push_str(&errors(&rows));
        text.push_str(&joint_against_others(&rows));
    }
    text
}

fn errors(rows: &[Row]) -> String {
    let absolute: Vec<f64> = rows.iter().map(|row| row.error.abs()).collect();
    let worst = absolute.iter().fold(0.0f64, |most, error| most.max(*error)) * 100.0;
    let median = median(&absolute) * 100.0;
    let mut text = format!(
        "\nPrediction error: {median:.1} % in the median of {} cells, {worst:.1} % at worst.\n",
        rows.len()
    );
    let many: Vec<&Row> =
        rows.iter().filter(|r| r.cell.jobs >= 20 && r.cell.policy == "joint").collect();
    if let Some(least) = many.iter().map(|row| row.busy).min_by(f64::total_cmp) {
        let _ = write!(
            text,
            "\nIn joint's runs of 20 jobs or more the bottleneck is busy {:.1} % of the makespan or more.\n",
            least * 100.0
        );
    }
    text
}

/// In how many settings joint was measured ahead of the best other policy.
fn joint_against_others(rows: &[Row]) -> String {
    let mut all = comparisons(rows);
    all.sort_by(|a, b| a.over.total_cmp(&b.over));
    let Some(worst) = all.last() else { return String::new() };
    let is_equal = |over: f64| over.abs() < EQUAL;
    let equal = all.iter().filter(|c| is_equal(c.over)).count();
    let ahead: Vec<f64> =
        all.iter().map(|c| -c.over).filter(|&gain| gain > 0.0 && !is_equal(gain)).collect();
    let mut text = format!(
        "\nMeasured, joint is ahead of the best other policy in {} of {} settings",
        ahead.len(),
        all.len()
    );
    if !ahead.is_empty() {
        let _ = write!(text, " (by {:.1} % in the median)", median(&ahead) * 100.0);
    }
    let apart = all.iter().map(|c| c.over_apart);
    let _ = writeln!(
        text,
        ", equal to it by the same plan in {equal}, and behind it in {}; at worst it is {:+.1} % over it. A plan took the \
         median of all its runs in its setting, whatever policy chose it. By the runs of each policy alone joint is \
         ahead in {}, and at worst {:+.1} % over.",
        all.len() - equal - ahead.len(),
        // Nothing is not less than nothing.
        worst.over * 100.0 + 0.0,
        apart.clone().filter(|over| *over < 0.0).count(),
        apart.fold(f64::NEG_INFINITY, f64::max) * 100.0
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(policy: &str, predicted_ms: f64, measured_ms: f64) -> Record {
        let cell = Cell {
            model: "alexnet".into(),
            link: "18.88:5".parse().unwrap(),
            device_fraction: 0.25,
            jobs: 20,
            granularity: "layer".into(),
            policy: policy.into(),
        };
        Record {
            cell,
            turn: 1,
            predicted_ms,
            measured_ms,
            lower_bound_ms: 0.0,
            offloaded: 3,
            cuts: format!("20 {policy}"),
            bottleneck: "uplink".into(),
            busy: 0.95,
            planned_busy: Some(0.97),
            load_average: None,
            commit: String::new(),
        }
    }

    #[test]
    fn a_report_has_medians_errors_and_who_is_ahead() {
        let records = [
            record("local-only", 100.0, 110.0),
            record("joint", 80.0, 84.0),
            record("joint", 80.0, 80.0),
            record("joint", 80.0, 96.0),
        ];
        let text = markdown(&records);
        assert!(
            text.contains(
                "| joint | layer | 3 | 80.0 | 84.0 | 84.0 | +5.0 | uplink | 95.0 | 97.0 |"
            ),
            "{text}"
        );
        assert!(text.contains("7.5 % in the median of 2 cells, 10.0 % at worst"), "{text}");
        assert!(text.contains("ahead of the best other policy in 1 of 1 settings"), "{text}");
    }

    #[test]
    fn one_plan_run_twice_is_no_contest() {
        let same = |policy: &str, measured_ms: f64, jobs: usize| {
            let mut record = record(policy, 100.0, measured_ms);
            (record.cell.jobs, record.cuts) = (jobs, "20 device".into());
            record
        };
        let records = [
            record("joint", 90.0, 90.0),
            record("local-only", 100.0, 100.0),
            same("joint", 104.0, 7),
            same("local-only", 100.0, 7),
            same("joint", 99.0, 8),
            same("local-only", 100.0, 8),
            record("server-only", 100.0, 120.0),
        ];
        let text = markdown(&records);
        assert!(text.contains("in 1 of 3 settings (by 10.0 % in the median)"), "{text}");
        assert!(text.contains("equal to it by the same plan in 2, and behind it in 0;"), "{text}");
        assert!(text.contains("at worst it is +0.0 % over it"), "{text}");
        assert!(text.contains("ahead in 2, and at worst +4.0 % over."), "{text}");
    }

    #[test]
    fn nothing_run_is_an_empty_table() {
        assert_eq!(markdown(&[]).lines().count(), 2);
    }
}
