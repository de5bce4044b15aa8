//! Shapes of `workload.json` that serde does not derive: whole numbers however they are written, and
//! objects whose order counts.

use crate::error::Rule;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

/// A count or a size, such as 600 or 6e2.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    match (number.as_u64(), number.as_f64()) {
        (Some(value), _) => Ok(value),
        (None, value) => whole_float(value.unwrap_or(f64::NAN)),
    }
}

/// The same from a number with a fraction or a sign.
pub(crate) fn whole_float<E: Error>(value: f64) -> Result<u64, E> {
    match value {
        _ if value < 0.0 => {
            Err(Rule::Negative.in_json(format_args!("found {value}, expected 0 or more")))
        }
        _ if value.fract() != 0.0 => {
            Err(Rule::NotWhole.in_json(format_args!("found {value}, expected a whole number")))
        }
        // Conversion takes what is larger to the largest, which is above every limit.
        _ => Ok(value as u64),
    }
}

/// Objects with any names as keys, in the order of the file. A name that comes twice is refused.
pub(crate) mod by_name {
    use super::*;

    pub(crate) fn serialize<V: Serialize, S: Serializer>(
        entries: &[(String, V)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(entries.iter().map(|(name, value)| (name, value)))
    }

    pub(crate) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, V)>, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Vec<(String, V)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!("duplicate key {name:?}")));
                    }
                    entries.push((name, map.next_value()?));
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}
