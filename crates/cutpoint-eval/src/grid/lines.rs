//! A file of what was run, one JSON object a line.

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// An open file and all that it has.
pub(super) struct Lines<T> {
    file: File,
    all: Vec<T>,
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

    pub(super) fn all(&self) -> &[T] {
        &self.all
    }

    pub(super) fn add(&mut self, one: T) -> anyhow::Result<()> {
        let line = serde_json::to_string(&one)? + "\n";
        self.file.write_all(line.as_bytes()).context("cannot write down a run")?;
        self.all.push(one);
        Ok(())
    }
}
