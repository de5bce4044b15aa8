//! The medians of each cell's turns, and joint beside the best other policy.

use super::cells::{Cell, Record};
use crate::statistics::median;

/// The medians of a cell's turns.
pub(super) struct Row {
    pub cell: Cell,
    pub turns: usize,
    pub predicted_ms: f64,
    pub measured_ms: f64,
    /// Measured over predicted, less 1, the median of the turns.
    pub error: f64,
    pub bottleneck: String,
    pub busy: f64,
    /// The greatest share in which a machine was to be busy.
    pub planned_busy: Option<f64>,
    /// What was run, if that is known and the same in all turns.
    pub cuts: Option<String>,
}

/// All cells, each once, in the order in which they were run first.
pub(super) fn rows(records: &[Record]) -> Vec<Row> {
    let mut cells: Vec<&Cell> = Vec::new();
    for record in records {
        if !cells.contains(&&record.cell) {
            cells.push(&record.cell);
        }
    }
    let row = |cell: &Cell| {
        let of: Vec<&Record> = records.iter().filter(|record| record.cell == *cell).collect();
        let median_of = |value: fn(&Record) -> f64| {
            median(&of.iter().map(|record| value(record)).collect::<Vec<_>>())
        };
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

/// Joint beside the best other policy of its setting.
pub(super) struct Comparison<'r> {
    pub joint: &'r Row,
    pub best: &'r Row,
    /// What joint took over the other, less 1.
    pub over: f64,
    /// Whether the other ran the very same plan in every turn.
    pub is_same: bool,
}

/// Joint in each setting in which another policy was run as well.
pub(super) fn comparisons(rows: &[Row]) -> Vec<Comparison<'_>> {
    let compared = |joint: &'_ Row| {
        let is_rival = |row: &&Row| {
            let Cell { policy, granularity, .. } = joint.cell.clone();
            row.cell.policy != "joint"
                && Cell { policy, granularity, ..row.cell.clone() } == joint.cell
        };
        let measured = |a: &&Row, b: &&Row| a.measured_ms.total_cmp(&b.measured_ms);
        rows.iter().filter(is_rival).min_by(measured)
    };
    let joint = rows.iter().filter(|row| row.cell.policy == "joint");
    joint
        .filter_map(|joint| {
            let best = compared(joint)?;
            Some(Comparison {
                joint,
                best,
                over: joint.measured_ms / best.measured_ms - 1.0,
                is_same: joint.cuts.is_some() && joint.cuts == best.cuts,
            })
        })
        .collect()
}

/// The cells of joint and of the best other policy that ran the same plan and took times which are more
/// than this share apart.
pub(super) fn same_but_apart(records: &[Record], share_max: f64) -> Vec<Cell> {
    let rows = rows(records);
    comparisons(&rows)
        .iter()
        .filter(|comparison| comparison.is_same && comparison.over.abs() > share_max)
        .flat_map(|comparison| [comparison.joint.cell.clone(), comparison.best.cell.clone()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::grid::cells::tests::record;

    #[test]
    fn one_plan_that_took_two_times_is_told_of() {
        let [joint, local, server] = ["joint", "local-only", "server-only"]
            .map(|policy| Cell { policy: policy.into(), ..record(3, 1).cell });
        let of = |cell: &Cell, measured_ms, cuts: &str| Record {
            cell: cell.clone(),
            measured_ms,
            cuts: cuts.into(),
            ..record(3, 1)
        };
        let mut records = vec![
            of(&joint, 100.0, "3 device"),
            of(&local, 97.5, "3 device"),
            of(&server, 150.0, "3 data"),
        ];
        assert_eq!(same_but_apart(&records, 0.03), []);
        // Whichever is ahead.
        records.extend([of(&joint, 93.0, "3 device"), of(&joint, 93.0, "3 device")]);
        assert_eq!(same_but_apart(&records, 0.03), [joint.clone(), local.clone()]);
        records.push(of(&local, 91.0, "3 device"));
        assert_eq!(same_but_apart(&records, 0.03), [], "94.25 and 93");
        // Not the same plan in every turn.
        records.push(of(&local, 10.0, "2 device, 1 data"));
        assert_eq!(same_but_apart(&records, 0.03), []);
    }
}
