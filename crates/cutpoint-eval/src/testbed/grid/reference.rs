//! The same jobs without Cutpoint, by another program on the same testbed and in the same turn.

use super::cells::{Cell, Record};
use super::rows::rows;
use super::setting::GridLink;
use crate::statistics::median;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// What the program does, as its first argument has it: everything on the device, or every frame sent
/// to its own server.
pub(super) const WAYS: [&str; 2] = ["local", "offload"];

/// One run of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reference {
    pub model: String,
    pub link: GridLink,
    pub device_fraction: f64,
    pub jobs: usize,
    pub way: String,
    pub turn: usize,
    pub makespan_ms: f64,
    pub commit: String,
}

/// What the program says at its end.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    pub makespan_ms: f64,
}

/// Adds a run to the file beside a grid's.
pub(super) fn add(path: &Path, reference: &Reference) -> anyhow::Result<()> {
    let place = || path.display().to_string();
    let mut file = OpenOptions::new().create(true).append(true).open(path).with_context(place)?;
    let line = serde_json::to_string(reference)? + "\n";
    file.write_all(line.as_bytes()).with_context(place)
}

/// All runs in the file; none if there is no file.
pub(super) fn all(path: &Path) -> anyhow::Result<Vec<Reference>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(|| path.display().to_string())?,
    };
    let read = |(number, line): (usize, &str)| {
        let place = || format!("{}, line {}", path.display(), number + 1);
        serde_json::from_str(line).with_context(place)
    };
    text.lines().enumerate().map(read).collect()
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
    let mut settings: Vec<&Reference> = Vec::new();
    for reference in references {
        if !settings.iter().any(|known| is_same_setting(known, reference)) {
            settings.push(reference);
        }
    }
    let ms = |ms: Option<f64>| ms.map_or("?".to_owned(), |ms| format!("{ms:.1}"));
    for setting in settings {
        let of = |way: &str| {
            let is_of = |r: &&Reference| r.way == way && is_same_setting(r, setting);
            let times: Vec<f64> = references.iter().filter(is_of).map(|r| r.makespan_ms).collect();
            (!times.is_empty()).then(|| median(&times))
        };
        let by = |policy: &str| {
            let row = rows.iter().find(|row| {
                let Cell { model, link, device_fraction, jobs, .. } = &row.cell;
                row.cell.policy == policy
                    && (model, link) == (&setting.model, &setting.link)
                    && (*device_fraction, *jobs) == (setting.device_fraction, setting.jobs)
            });
            row.map(|row| row.measured_ms)
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

fn is_same_setting(a: &Reference, b: &Reference) -> bool {
    (&a.model, a.link, a.device_fraction, a.jobs) == (&b.model, b.link, b.device_fraction, b.jobs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::grid::cells::tests::record;

    #[test]
    fn references_stand_beside_the_policies_of_their_setting() {
        let Cell { model, link, device_fraction, jobs, .. } = record(6, 1).cell;
        let of = |way: &str, turn, makespan_ms| Reference {
            model: model.clone(),
            link,
            device_fraction,
            jobs,
            way: way.into(),
            turn,
            makespan_ms,
            commit: "abc".into(),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("references.jsonl");
        assert_eq!(all(&path).unwrap(), []);
        let references = [of("local", 1, 20.0), of("local", 2, 24.0), of("offload", 1, 50.0)];
        for reference in &references {
            add(&path, reference).unwrap();
        }
        assert_eq!(all(&path).unwrap(), references);
        let joint = Cell { policy: "joint".into(), ..record(6, 1).cell };
        let mut records = vec![Record { cell: joint, measured_ms: 11.0, ..record(6, 1) }];
        records.push(Record { measured_ms: 77.0, ..record(7, 1) });
        let text = markdown(&references, &records);
        assert!(text.ends_with("| 6 | 22.0 | ? | 50.0 | ? | 11.0 | -50.0 |\n"), "{text}");
        std::fs::write(&path, "no JSON").unwrap();
        assert!(format!("{:#}", all(&path).unwrap_err()).contains("references.jsonl, line 1"));
        assert_eq!(markdown(&[], &records), "");
    }
}
