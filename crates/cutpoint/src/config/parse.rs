//! From TOML to a configuration; errors name the line and the key.

use crate::error::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// Reads a document, and then judges it by the rules that concern more than one value.
pub(super) fn parse<T: DeserializeOwned>(
    text: &str,
    check: impl FnOnce(&T) -> std::result::Result<(), Fault>,
) -> Result<T> {
    let document = toml::Deserializer::parse(text)
        .map_err(|e| refusal(text, e.span().map(|span| span.start), "", e.message().to_owned()))?;
    let config: T = serde_path_to_error::deserialize(document).map_err(|e| {
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

/// The mistake in an entry of `[[models]]` or `[[jobs]]`.
pub(super) struct Fault {
    pub(super) table: &'static str,
    pub(super) index: usize,
    pub(super) key: &'static str,
    pub(super) message: String,
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
