//! From TOML to a configuration; errors name the line and the key.

use super::Config;
use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeSet;
use toml::de::{DeTable, DeValue};

/// The most models of a file, and the most entries of jobs.
const ENTRIES_MAX: usize = 256;

pub(super) fn parse(text: &str) -> Result<Config> {
    let document = toml::Deserializer::parse(text)
        .map_err(|e| refusal(text, e.span().map(|span| span.start), "", e.message().to_owned()))?;
    let config: Config = serde_path_to_error::deserialize(document).map_err(|e| {
        let key = e.path().to_string();
        let error = e.into_inner();
        let message = unknown_key(error.message()).unwrap_or_else(|| error.message().to_owned());
        refusal(text, error.span().map(|span| span.start), key.trim_matches('.'), message)
    })?;
    check(&config).map_err(|Fault { table, index, key, message }| {
        refusal(
            text,
            start_of(text, table, index, key),
            &format!("{table}[{index}].{key}"),
            message,
        )
    })?;
    Ok(config)
}

/// What is wrong with an entry of `[[models]]` or `[[jobs]]`.
struct Fault {
    table: &'static str,
    index: usize,
    key: &'static str,
    message: String,
}

/// The rules that concern more than one value.
fn check(config: &Config) -> std::result::Result<(), Fault> {
    for (table, count) in [("models", config.models.len()), ("jobs", config.jobs.len())] {
        if count > ENTRIES_MAX {
            let message = format!("{count} entries, at most {ENTRIES_MAX}");
            return Err(Fault { table, index: ENTRIES_MAX, key: "", message });
        }
    }
    let mut names = BTreeSet::new();
    for (index, model) in config.models.iter().enumerate() {
        let key = if model.name.is_some() { "name" } else { "path" };
        if !names.insert(model.name()) {
            let message = format!("two models are named {:?}", model.name());
            return Err(Fault { table: "models", index, key, message });
        }
    }
    for (index, jobs) in config.jobs.iter().enumerate() {
        if !jobs.shapes.is_empty() && names.contains(&jobs.model) {
            let message = format!("the shapes of {:?} belong to its [[models]] entry", jobs.model);
            return Err(Fault { table: "jobs", index, key: "shapes", message });
        }
    }
    Ok(())
}

/// Where a key of a table's entry is in the text, or else the entry.
fn start_of(text: &str, table: &str, index: usize, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let entry = document.get_ref().get(table)?.get_ref().get(index)?;
    let value = DeValue::get(entry.get_ref(), key).unwrap_or(entry);
    Some(value.span().start)
}

fn refusal(text: &str, start: Option<usize>, key: &str, message: String) -> Error {
    let error = Error::new(ErrorKind::Usage, message);
    let error = if key.is_empty() { error } else { error.at(key) };
    let Some(start) = start else { return error };
    let line = 1 + text.bytes().take(start).filter(|&b| b == b'\n').count();
    error.at(format!("line {line}"))
}

/// What to say of an unknown key: serde's message lists it first, then the known ones, in backticks.
fn unknown_key(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    let closest = known.iter().min_by_key(|known| distance(unknown, known))?;
    let advice = match distance(unknown, closest) * 2 <= unknown.len() {
        true => format!("did you mean `{closest}`?"),
        false => format!("expected one of {}", known.join(", ")),
    };
    Some(format!("unknown key `{unknown}`: {advice}"))
}

/// How many letters must be added, removed or replaced to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let cost = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}
