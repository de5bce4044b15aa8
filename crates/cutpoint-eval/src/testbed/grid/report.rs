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
    /// The greatest share in which a machine was to be busy.
    planned_busy: Option<f64>,
    /// What was run, if that is known and the same in all turns.
    cuts: Option<String>,
}

/// A table of all cells and what follows from it.
pub(super) fn markdown(records: &[Record]) -> String {
    let rows = rows(records);
    let mut text = String::from(
        "| model | Mbit/s | device | jobs | policy | granularity | turns | predicted ms | measured ms | error % | \
         bottleneck | busy % | planned % |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &rows {
        let Cell { model, link, device_fraction, jobs, policy, granularity } = &row.cell;
        let _ = writeln!(
            text,
            "| {model} | {} | {device_fraction} | {jobs} | {policy} | {granularity} | {} | {:.1} | {:.1} \
             | {:+.1} | {} | {:.1} | {} |",
            link.rate(),
            row.turns,
            row.predicted_ms,
            row.measured_ms,
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
            planned_busy: of
                .iter()
                .all(|r| r.planned_busy.is_some())
                .then(|| median_of(|r| r.planned_busy.unwrap_or_default())),
            cuts: of
                .iter()
                .all(|r| !r.cuts.is_empty() && r.cuts == of[0].cuts)
                .then(|| of[0].cuts.clone()),
        }
    };
    cells.into_iter().map(row).collect()
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
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

/// Joint beside the best other policy of its setting.
struct Comparison {
    /// What joint took over the other, less 1.
    over: f64,
    /// Whether the other ran the very same plan in every turn.
    is_same: bool,
}

/// In how many settings joint was measured ahead of the best other policy.
fn joint_against_others(rows: &[Row]) -> String {
    let mut all: Vec<Comparison> = Vec::new();
    for joint in rows.iter().filter(|row| row.cell.policy == "joint") {
        let is_rival = |row: &&Row| {
            let Cell { policy, granularity, .. } = joint.cell.clone();
            row.cell.policy != "joint"
                && Cell { policy, granularity, ..row.cell.clone() } == joint.cell
        };
        let measured = |a: &&Row, b: &&Row| a.measured_ms.total_cmp(&b.measured_ms);
        let best = rows.iter().filter(is_rival).min_by(measured);
        all.extend(best.map(|best| Comparison {
            over: joint.measured_ms / best.measured_ms - 1.0,
            is_same: joint.cuts.is_some() && joint.cuts == best.cuts,
        }));
    }
    if all.is_empty() {
        return String::new();
    }
    let over = |is_counted: fn(&Comparison) -> bool| -> Vec<f64> {
        let mut over: Vec<f64> = all.iter().filter(|r| is_counted(r)).map(|r| r.over).collect();
        over.sort_by(f64::total_cmp);
        over
    };
    let (every, same, other) = (over(|_| true), over(|r| r.is_same), over(|r| !r.is_same));
    let mut text = format!(
        "\nMeasured, joint is ahead of the best other policy in {} of {} settings, by {:.1} % in the \
         median of all; at worst it is {:+.1} % over it.\n",
        every.iter().filter(|over| **over < 0.0).count(),
        every.len(),
        -median(every.clone()) * 100.0,
        every[every.len() - 1] * 100.0
    );
    if let ([least, ..], [.., most]) = (&same[..], &same[..]) {
        let _ = write!(
            text,
            "\nIn {} of these settings the best other policy ran the same plan as joint in every turn: there \
             the difference, {:+.1} to {:+.1} %, is that of one plan run twice.",
            same.len(),
            least * 100.0,
            most * 100.0
        );
        if let [.., worst] = &other[..] {
            let _ = write!(text, " Elsewhere joint is at worst {:+.1} % over it.", worst * 100.0);
        }
        text.push('\n');
    }
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
            text.contains("| joint | layer | 3 | 80.0 | 84.0 | +5.0 | uplink | 95.0 | 97.0 |"),
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
        assert!(text.contains("in 2 of 3 settings"), "{text}");
        assert!(text.contains("at worst it is +4.0 % over it"), "{text}");
        assert!(text.contains("In 2 of these settings"), "{text}");
        assert!(text.contains("the difference, -1.0 to +4.0 %,"), "{text}");
        assert!(text.contains("Elsewhere joint is at worst -10.0 % over it"), "{text}");
    }

    #[test]
    fn nothing_run_is_an_empty_table() {
        assert_eq!(markdown(&[]).lines().count(), 2);
    }
}
