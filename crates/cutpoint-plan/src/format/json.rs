//! JSON texts, with the place where one is malformed.

use crate::error::{InputError, Rule};
use serde::{Deserialize, Deserializer};

/// Parses JSON; only a file that fails is parsed again to find the place, which costs memory.
pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], limit: u64) -> Result<T, InputError> {
    let found = json.len() as u64;
    if found > limit {
        return Err(InputError::too_many("", "bytes", found, limit));
    }
    if let Ok(value) = serde_json::from_slice(json) {
        return Ok(value);
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|e| InputError::from_json(&e.path().to_string(), e.inner()))?;
    reader.end().map_err(|e| InputError::from_json("", &e))?;
    Ok(value)
}

/// The schema of a file, if it is the one that is expected.
pub(super) fn check_schema<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
) -> Result<String, D::Error> {
    let found = String::deserialize(deserializer)?;
    match found == expected {
        true => Ok(found),
        false => {
            Err(Rule::Schema.in_json(format_args!("schema is {found:?}, expected {expected:?}")))
        }
    }
}
