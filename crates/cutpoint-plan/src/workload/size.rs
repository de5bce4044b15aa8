//! How large a tensor is, and in which forms it can cross the link.

use crate::units::Time;
use crate::workload::json::{by_name, whole, whole_float};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The size of a tensor, with the encodings it may cross the link in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Size {
    /// The raw size.
    pub bytes: u64,
    /// Other forms in which the tensor can cross the link.
    pub encodings: Vec<TensorEncoding>,
}

impl From<u64> for Size {
    fn from(bytes: u64) -> Size {
        Size { bytes, encodings: Vec::new() }
    }
}

/// A form in which a tensor can cross the link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEncoding {
    /// Its name, for example `u8+zstd`.
    #[serde(skip)]
    pub name: String,
    /// The size on the link.
    #[serde(deserialize_with = "whole")]
    pub bytes: u64,
    /// The time to encode on the device.
    #[serde(rename = "encode_ms", default)]
    pub encode: Time,
    /// The time to decode on the server.
    #[serde(rename = "decode_ms", default)]
    pub decode: Time,
}

/// A size that has encodings.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SizeObject {
    #[serde(deserialize_with = "whole")]
    bytes: u64,
    #[serde(default, with = "by_name")]
    encodings: Vec<(String, TensorEncoding)>,
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.encodings.is_empty() {
            return serializer.serialize_u64(self.bytes);
        }
        let encodings = self.encodings.iter().map(|e| (e.name.clone(), e.clone())).collect();
        SizeObject { bytes: self.bytes, encodings }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        struct SizeVisitor;

        impl<'de> Visitor<'de> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or an object with bytes and encodings")
            }

            fn visit_u64<E>(self, bytes: u64) -> Result<Size, E> {
                Ok(bytes.into())
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
                whole_float(bytes as f64).map(Size::from)
            }

            fn visit_f64<E: Error>(self, bytes: f64) -> Result<Size, E> {
                whole_float(bytes).map(Size::from)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Size, A::Error> {
                let object = SizeObject::deserialize(MapAccessDeserializer::new(map))?;
                let named = |(name, encoding)| TensorEncoding { name, ..encoding };
                let encodings = object.encodings.into_iter().map(named).collect();
                Ok(Size { bytes: object.bytes, encodings })
            }
        }

        deserializer.deserialize_any(SizeVisitor)
    }
}
