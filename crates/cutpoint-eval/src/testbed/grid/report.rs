//! What the runs of a grid say: predicted against measured, and joint against the others.

use super::cells::{Cell, Record};
use std::fmt::Write;

/// The medians of a cell's turns.
struct Row {
    cell: Cell,
    turns: usize,
    predicted_ms: f64,
    measured_ms: f64,
    /// Measured over predicted, less 1, the median of the turns.
    error: f64,
    bottleneck: String,
    busy: f64,
}

/// A table of all cells and what follows from it.
pub(super) fn markdown(records: &[Record]) -> String {
    let rows = rows(records);
    let mut text = String::from(
        "| model | Mbit/s | device | jobs | policy | granularity | turns | predicted ms | measured ms | error % | \
         bottleneck | busy % |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &rows {
        let Cell { model, link, device_fraction, jobs, policy, granularity } = &row.cell;
        let _ = writeln!(
            text,
            "| {model} | {} | {device_fraction} | {jobs} | {policy} | {granularity} | {} | {:.1} | {:.1} \
             | {:+.1} | {} | {:.1} |",
            link.rate(),
            row.turns,
            row.predicted_ms,
            row.measured_ms,
            row.error * 100.0,
            row.bottleneck,
            row.busy * 100.0
        );
    }
    if !rows.is_empty() {
        text.push_str(&errors(&rows));
        text.push_str(&joint_against_others(&rows));
    }
    text
}

fn rows(records: &[Record]) -> Vec<Row> {
    let mut cells: Vec<&Cell> = Vec::new();
    for record in records {
        if !cells.contains(&&record.cell) {
            cells.push(&record.cell);
        }
    }
    let row = |cell: &Cell| {
        let of: Vec<&Record> = records.iter().filter(|record| record.cell == *cell).collect();
        let median_of = |value: fn(&Record) -> f64| median(of.iter().map(|r| value(r)).collect());
        Row {
            cell: cell.clone(),
            turns: of.len(),
            predicted_ms: median_of(|r| r.predicted_ms),
            measured_ms: median_of(|r| r.measured_ms),
            error: median_of(|r| r.measured_ms / r.predicted_ms - 1.0),
            bottleneck: of[0].bottleneck.clone(),
            busy: median_of(|r| r.busy),
        }
    };
    cells.into_iter().map(row).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
    }
}

fn errors(rows: &[Row]) -> String {
    let absolute: Vec<f64> = rows.iter().map(|row| row.error.abs()).collect();
    let worst = absolute.iter().fold(0.0f64, |most, error| most.max(*error)) * 100.0;
    let median = median(absolute) * 100.0;
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
    let mut over: Vec<f64> = Vec::new();
    for joint in rows.iter().filter(|row| row.cell.policy == "joint") {
        let is_rival = |row: &&Row| {
            let Cell { policy, granularity, .. } = joint.cell.clone();
            row.cell.policy != "joint"
                && Cell { policy, granularity, ..row.cell.clone() } == joint.cell
        };
        let best = rows.iter().filter(is_rival).map(|row| row.measured_ms).min_by(f64::total_cmp);
        over.extend(best.map(|best| joint.measured_ms / best - 1.0));
    }
    let Some(worst) = over.iter().copied().max_by(f64::total_cmp) else { return String::new() };
    let ahead = over.iter().filter(|over| **over < 0.0).count();
    format!(
        "\nMeasured, joint is ahead of the best other policy in {ahead} of {} settings, by {:.1} % in \
         the median of all; at worst it is {:+.1} % over it.\n",
        over.len(),
        -median(over.clone()) * 100.0,
        worst * 100.0
    )
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
            bottleneck: "uplink".into(),
            busy: 0.95,
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
            text.contains("| joint | layer | 3 | 80.0 | 84.0 | +5.0 | uplink | 95.0 |"),
            "{text}"
        );
        assert!(text.contains("7.5 % in the median of 2 cells, 10.0 % at worst"), "{text}");
        assert!(text.contains("ahead of the best other policy in 1 of 1 settings"), "{text}");
    }

    #[test]
    fn nothing_run_is_an_empty_table() {
        assert_eq!(markdown(&[]).lines().count(), 2);
    }
}
