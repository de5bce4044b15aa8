//! The same jobs without Cutpoint, by another program on the same testbed and in the same turn.

use super::cells::{Block, Cell};
use super::lines::Lines;
use serde::{Deserialize, Serialize};

/// The program's first argument: everything on the device, or every frame sent to its own server.
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

/// Whether two cells are of the same jobs on the same machines and link.
fn is_same_setting(a: &Cell, b: &Cell) -> bool {
    let Cell { policy, granularity, .. } = a.clone();
    Cell { policy, granularity, ..b.clone() } == *a
}

/// The runs of a block: both ways for each number of jobs.
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

/// The last line that the program prints.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    pub makespan_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::cells::tests::record;

    #[test]
    fn references_are_kept_in_a_file() {
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
    }
}
