//! A file of runs, one JSON object a line.

use super::cells::{Cell, Figures};
use crate::origin;
use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// The run of a cell in one turn, and its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run<T> {
    #[serde(flatten)]
    pub cell: Cell,
    pub turn: usize,
    #[serde(flatten)]
    pub figures: T,
    pub commit: String,
}

/// An open file and all its runs.
pub(super) struct Lines<T> {
    file: File,
    all: Vec<Run<T>>,
}

impl<T: Serialize + DeserializeOwned> Lines<T> {
    /// Opens or makes the file. A last line that was cut off is removed, and run again.
    pub(super) fn open(path: &Path) -> anyhow::Result<Lines<T>> {
        let place = || path.display().to_string();
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(place)?;
        let text = std::fs::read_to_string(path).with_context(place)?;
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        if whole.len() < text.len() {
            file.set_len(whole.len() as u64).with_context(place)?;
        }
        let mut all = Vec::new();
        for (number, line) in (1..).zip(whole.lines()) {
            let one = serde_json::from_str(line);
            all.push(one.with_context(|| format!("{}, line {number}", place()))?);
        }
        Ok(Lines { file, all })
    }

    pub(super) fn all(&self) -> &[Run<T>] {
        &self.all
    }

    /// Whether a cell has been run in a turn.
    pub(super) fn has(&self, cell: &Cell, turn: usize) -> bool {
        self.all.iter().any(|run| run.cell == *cell && run.turn == turn)
    }

    /// Adds the run of a cell in a turn, by the commit of this source tree.
    pub(super) fn add(&mut self, cell: &Cell, turn: usize, figures: T) -> anyhow::Result<()> {
        let run = Run { cell: cell.clone(), turn, figures, commit: origin::commit() };
        let line = serde_json::to_string(&run)? + "\n";
        self.file.write_all(line.as_bytes()).context("cannot write down a run")?;
        self.all.push(run);
        Ok(())
    }
}

impl Lines<Figures> {
    /// Whether the turns of a cell differ by more than this share, in what was measured or in how far
    /// that was from what was predicted.
    pub(super) fn differ(&self, cell: &Cell, spread_max: f64) -> bool {
        let of_cell = self.all().iter().filter(|run| run.cell == *cell);
        let figures: Vec<&Figures> = of_cell.map(|run| &run.figures).collect();
        let spread = |value: fn(&Figures) -> f64| {
            let values = || figures.iter().map(|figures| value(figures));
            values().fold(0.0, f64::max) / values().fold(f64::INFINITY, f64::min) - 1.0
        };
        spread(|f| f.measured_ms) > spread_max
            || spread(|f| f.measured_ms / f.predicted_ms) > spread_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::cells::Choice;

    fn cell(jobs: usize) -> Cell {
        let cell = Choice::smoke().blocks().remove(0).cells.remove(0);
        Cell { jobs, ..cell }
    }

    fn figures(predicted_ms: f64, measured_ms: f64) -> Figures {
        Figures {
            predicted_ms,
            measured_ms,
            lower_bound_ms: 9.5,
            offloaded: 1,
            cuts: "1 data".into(),
            bottleneck: "uplink".into(),
            busy: 0.9,
            planned_busy: Some(0.95),
            load_average: Some(1.5),
        }
    }

    #[test]
    fn a_resumed_grid_keeps_its_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.jsonl");
        let open = || Lines::<Figures>::open(&path).unwrap();
        let mut runs = open();
        runs.add(&cell(3), 1, figures(10.0, 11.0)).unwrap();
        runs.add(&cell(3), 2, figures(10.0, 11.0)).unwrap();
        let written = runs.all().to_vec();
        drop(runs);
        // A run that was killed while it wrote a line.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"model\":\"mob");
        std::fs::write(&path, text).unwrap();
        let mut runs = open();
        assert_eq!(runs.all(), written);
        runs.add(&cell(4), 2, figures(10.0, 11.0)).unwrap();
        let runs = open();
        assert_eq!(runs.all().len(), 3);
        assert!(runs.has(&cell(3), 2));
        assert!(!runs.has(&cell(4), 1));
    }

    #[test]
    fn turns_that_differ_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut runs = Lines::open(&folder.path().join("grid.jsonl")).unwrap();
        runs.add(&cell(3), 1, figures(10.0, 11.0)).unwrap();
        assert!(!runs.differ(&cell(3), 0.05), "one turn cannot differ");
        runs.add(&cell(3), 2, figures(10.4, 11.4)).unwrap();
        assert!(!runs.differ(&cell(3), 0.05));
        assert!(runs.differ(&cell(3), 0.03));
        // The same time, with another prediction.
        runs.add(&cell(4), 1, figures(10.0, 11.0)).unwrap();
        runs.add(&cell(4), 2, figures(9.0, 11.0)).unwrap();
        assert!(runs.differ(&cell(4), 0.05));
    }
}
