//! The same jobs without Cutpoint, by another program on the same testbed and in the same turn.

use super::cells::{Block, Cell, Record};
use super::lines::Lines;
use super::rows::{is_same_setting, rows};
use crate::statistics::median;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// What the program does, as its first argument has it: everything on the device, or every frame sent
/// to its own server.
const WAYS: [&str; 2] = ["local", "offload"];

/// One run of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reference {
    /// Its setting, the way in the place of a policy.
    #[serde(flatten)]
    pub cell: Cell,
    pub turn: usize,
    pub measured_ms: f64,
    pub commit: String,
}

/// What is run for a block: both ways for each number of jobs.
pub(super) fn cells(block: &Block) -> Vec<Cell> {
    let mut settings: Vec<&Cell> = block.cells.iter().collect();
    settings.dedup_by(|a, b| is_same_setting(a, b));
    let of = |cell: &Cell| WAYS.map(|way| Cell { policy: way.to_owned(), ..cell.clone() });
    settings.into_iter().flat_map(of).collect()
}

/// The file of all its runs.
pub(super) type References = Lines<Reference>;

impl References {
    pub(super) fn has(&self, cell: &Cell, turn: usize) -> bool {
        self.all().iter().any(|reference| reference.cell == *cell && reference.turn == turn)
    }
}

/// What the program says at its end.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    pub makespan_ms: f64,
}

/// A table of the references beside the grid's policies: medians of the turns.
pub(super) fn markdown(references: &[Reference], records: &[Record]) -> String {
    if references.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n| model | Mbit/s | jobs | reference, local ms | local-only ms | reference, offload ms | server-only ms | \
         joint ms | joint over the better reference % |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let rows = rows(records);
    let mut settings: Vec<&Cell> = Vec::new();
    for Reference { cell, .. } in references {
        if !settings.iter().any(|known| is_same_setting(known, cell)) {
            settings.push(cell);
        }
    }
    let ms = |ms: Option<f64>| ms.map_or("?".to_owned(), |ms| format!("{ms:.1}"));
    for setting in settings {
        let of = |way: &str| {
            let is_of = |r: &&Reference| r.cell.policy == way && is_same_setting(&r.cell, setting);
            let times: Vec<f64> = references.iter().filter(is_of).map(|r| r.measured_ms).collect();
            (!times.is_empty()).then(|| median(&times))
        };
        let by = |policy: &str| {
            let mut of_setting = rows.iter().filter(|row| is_same_setting(&row.cell, setting));
            of_setting.find(|row| row.cell.policy == policy).map(|row| row.measured_ms)
        };
        let [local, offload] = WAYS.map(of);
        let better = [local, offload].into_iter().flatten().min_by(f64::total_cmp);
        let over = by("joint").zip(better).map(|(joint, better)| (joint / better - 1.0) * 100.0);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            setting.model,
            setting.link.rate(),
            setting.jobs,
            ms(local),
            ms(by("local-only")),
            ms(offload),
            ms(by("server-only")),
            ms(by("joint")),
            over.map_or("?".to_owned(), |over| format!("{over:+.1}"))
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::cells::tests::record;

    #[test]
    fn references_stand_beside_the_policies_of_their_setting() {
        let cell = |policy: &str| Cell { policy: policy.into(), ..record(6, 1).cell };
        let of = |way: &str, turn, measured_ms| Reference {
            cell: cell(way),
            turn,
            measured_ms,
            commit: "abc".into(),
        };
        let references = [of("local", 1, 20.0), of("local", 2, 24.0), of("offload", 1, 50.0)];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.references.jsonl");
        let mut file = References::open(&path).unwrap();
        for reference in &references {
            file.add(reference.clone()).unwrap();
        }
        let file = References::open(&path).unwrap();
        assert_eq!(file.all(), references);
        assert!(file.has(&cell("local"), 2) && !file.has(&cell("offload"), 2));
        let mut records = vec![Record { cell: cell("joint"), measured_ms: 11.0, ..record(6, 1) }];
        records.push(Record { measured_ms: 77.0, ..record(7, 1) });
        let text = markdown(&references, &records);
        assert!(text.ends_with("| 6 | 22.0 | ? | 50.0 | ? | 11.0 | -50.0 |\n"), "{text}");
        assert_eq!(markdown(&[], &records), "");
    }
}
