//! Values of a configuration that serde cannot read by itself.

use super::ServerConfig;
use crate::device::SpeedFraction;
use crate::input::ImageLayout;
use cutpoint_plan::units::Bandwidth;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

/// `server = "HOST:PORT"`, or a table.
pub(super) fn address_or_table<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<ServerConfig, D::Error> {
    struct AddressOrTable;

    impl<'de> Visitor<'de> for AddressOrTable {
        type Value = ServerConfig;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("HOST:PORT, \"local\" or a table")
        }

        fn visit_str<E: Error>(self, address: &str) -> Result<ServerConfig, E> {
            Ok(ServerConfig { address: Some(address.to_owned()), ..ServerConfig::default() })
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ServerConfig, A::Error> {
            ServerConfig::deserialize(MapAccessDeserializer::new(map))
        }
    }

    from.deserialize_any(AddressOrTable)
}

/// A string or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string or a list of strings")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// A value that has a text form.
pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

pub(super) fn layout<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ImageLayout>, D::Error> {
    let name = String::deserialize(from)?.to_ascii_lowercase();
    name.parse().map(Some).map_err(D::Error::custom)
}

pub(super) fn bandwidth<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Bandwidth>, D::Error> {
    let bandwidth = Bandwidth::from_mbit_per_s(f64::deserialize(from)?);
    let bandwidth = bandwidth.filter(|bandwidth| bandwidth.mbit_per_s() > 0.0);
    bandwidth.map(Some).ok_or_else(|| D::Error::custom("expected Mbit/s above 0"))
}

pub(super) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Duration::try_from_secs_f64(f64::deserialize(from)?);
    seconds.map(Some).map_err(|_| D::Error::custom("expected a number of seconds, at least 0"))
}

pub(super) fn fraction<'de, D: Deserializer<'de>>(from: D) -> Result<SpeedFraction, D::Error> {
    let fraction = SpeedFraction::new(f64::deserialize(from)?);
    fraction.ok_or_else(|| D::Error::custom("expected a fraction from 0.001 to 1"))
}

pub(super) fn message_mib<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let mib = u32::deserialize(from)?;
    let is_valid = (1..=2047).contains(&mib);
    is_valid.then_some(Some(mib)).ok_or_else(|| D::Error::custom("expected 1 to 2047 MiB"))
}

pub(super) fn shapes<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, Vec<usize>>, D::Error> {
    let shapes = BTreeMap::<String, Vec<NonZeroUsize>>::deserialize(from)?.into_iter();
    Ok(shapes
        .map(|(name, dims)| (name, dims.into_iter().map(NonZeroUsize::get).collect()))
        .collect())
}

pub(super) fn mean<'de, D: Deserializer<'de>>(from: D) -> Result<[f32; 3], D::Error> {
    channels(from, "expected three numbers, one for each channel", f32::is_finite)
}

pub(super) fn std<'de, D: Deserializer<'de>>(from: D) -> Result<[f32; 3], D::Error> {
    channels(from, "expected three numbers above 0", |value| value.is_finite() && value > 0.0)
}

fn channels<'de, D: Deserializer<'de>>(
    from: D,
    expected: &str,
    is_valid: fn(f32) -> bool,
) -> Result<[f32; 3], D::Error> {
    let values = <[f32; 3]>::deserialize(from)?;
    match values.iter().all(|&value| is_valid(value)) {
        true => Ok(values),
        false => Err(D::Error::custom(expected)),
    }
}
