//! The medians of each cell's turns, and joint beside the best other policy.

use super::cells::{Cell, Record};
use crate::statistics::median;

/// The medians of a cell's turns.
pub(super) struct Row {
    pub cell: Cell,
    pub turns: usize,
    pub predicted_ms: f64,
    pub measured_ms: f64,
    /// What its plans took: of each turn the median of all runs of the same plan in the setting,
    /// whatever policy chose it, and of these the median.
    pub by_plan_ms: f64,
    /// Measured over predicted, less 1, the median of the turns.
    pub error: f64,
    pub bottleneck: String,
    pub busy: f64,
    /// The greatest share in which a machine was to be busy.
    pub planned_busy: Option<f64>,
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
            by_plan_ms: median(&of.iter().map(|r| plan_ms(records, r)).collect::<Vec<_>>()),
            error: median_of(|r| r.measured_ms / r.predicted_ms - 1.0),
            bottleneck: of[0].bottleneck.clone(),
            busy: median_of(|r| r.busy),
            planned_busy: of
                .iter()
                .all(|r| r.planned_busy.is_some())
                .then(|| median_of(|r| r.planned_busy.unwrap_or_default())),
        }
    };
    cells.into_iter().map(row).collect()
}

/// Whether two cells are of the same jobs on the same machines and link.
pub(super) fn is_same_setting(a: &Cell, b: &Cell) -> bool {
    let Cell { policy, granularity, .. } = a.clone();
    Cell { policy, granularity, ..b.clone() } == *a
}

/// What the plan of a run took: the median of all runs of the same plan in its setting.
fn plan_ms(records: &[Record], record: &Record) -> f64 {
    if record.cuts.is_empty() {
        return record.measured_ms;
    }
    let is_same = |other: &&Record| {
        other.cuts == record.cuts
            && other.cell.granularity == record.cell.granularity
            && is_same_setting(&other.cell, &record.cell)
    };
    median(&records.iter().filter(is_same).map(|other| other.measured_ms).collect::<Vec<_>>())
}

/// Joint beside the best other policy of its setting.
pub(super) struct Comparison {
    /// What joint's plans took over the best other policy's, less 1.
    pub over: f64,
    /// The same by the runs of each policy alone, one plan run by two policies being two.
    pub over_apart: f64,
}

/// Joint in each setting in which another policy was run as well.
pub(super) fn comparisons(rows: &[Row]) -> Vec<Comparison> {
    let compared = |joint: &Row| {
        let is_rival =
            |row: &&Row| row.cell.policy != "joint" && is_same_setting(&row.cell, &joint.cell);
        let over = |time: fn(&Row) -> f64| {
            let best = rows.iter().filter(is_rival).map(time).min_by(f64::total_cmp)?;
            Some(time(joint) / best - 1.0)
        };
        let (over, over_apart) = (over(|row| row.by_plan_ms)?, over(|row| row.measured_ms)?);
        Some(Comparison { over, over_apart })
    };
    rows.iter().filter(|row| row.cell.policy == "joint").filter_map(compared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::cells::tests::record;

    #[test]
    fn one_plan_takes_one_time_whatever_policy_chose_it() {
        let of = |policy: &str, jobs: usize, measured_ms, cuts: &str| Record {
            cell: Cell { policy: policy.into(), ..record(jobs, 1).cell },
            measured_ms,
            cuts: cuts.into(),
            ..record(jobs, 1)
        };
        let mut records = vec![
            of("joint", 3, 104.0, "3 device"),
            of("local-only", 3, 98.0, "3 device"),
            of("local-only", 3, 100.0, "3 device"),
            of("server-only", 3, 150.0, "3 data"),
            // Of another setting.
            of("joint", 4, 500.0, "3 device"),
        ];
        let [comparison] = &comparisons(&rows(&records))[..] else { panic!("one has a rival") };
        assert!(comparison.over.abs() < 1e-12, "{}", comparison.over);
        assert!((comparison.over_apart - (104.0 / 99.0 - 1.0)).abs() < 1e-12);
        // In two turns more joint runs another plan, which takes longer.
        records.push(of("joint", 3, 120.0, "2 device, 1 data"));
        records.push(of("joint", 3, 130.0, "2 device, 1 data"));
        let behind = comparisons(&rows(&records))[0].over;
        assert!((behind - 0.25).abs() < 1e-12, "{behind}");
        // Older files do not say what was run.
        let unknown = [of("joint", 3, 104.0, ""), of("local-only", 3, 100.0, "")];
        assert!((comparisons(&rows(&unknown))[0].over - 0.04).abs() < 1e-12);
    }
}
