//! The outputs of a job as one line of JSON.

use cutpoint::tensor::{ElementType, Tensor};
use serde::ser::{Serialize, Serializer};

/// `{"job":0,"outputs":{"prob":{"type":"FP32","shape":[1,2],"data":[0.25,0.75]}}}`; values that
/// JSON has no number for (NaN, infinities) are strings. `"input"` is there too if the job is from a
/// file of that name.
///
/// Numbers have as many digits as are needed to read back the same value of their type.
pub(crate) fn json_line(job: u32, input: Option<&str>, outputs: &[(String, Tensor)]) -> String {
    serde_json::to_string(&Line { job, input, outputs: Outputs(outputs) })
        .expect("names are strings, and numbers are written as such")
}

#[derive(serde::Serialize)]
struct Line<'a> {
    job: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
    outputs: Outputs<'a>,
}

struct Outputs<'a>(&'a [(String, Tensor)]);

impl Serialize for Outputs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, tensor)| {
            let (r#type, shape) = (tensor.element_type().protocol_name(), tensor.shape());
            (name, Output { r#type, shape, data: Numbers(tensor) })
        }))
    }
}

#[derive(serde::Serialize)]
struct Output<'a> {
    r#type: &'static str,
    shape: &'a [usize],
    data: Numbers<'a>,
}

struct Numbers<'a>(&'a Tensor);

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.bytes();
        macro_rules! read {
            ($type:ty) => {
                |c| <$type>::from_le_bytes(c.try_into().expect("exact chunks"))
            };
        }
        macro_rules! whole {
            ($type:ty) => {
                serializer.collect_seq(bytes.chunks_exact(size_of::<$type>()).map(read!($type)))
            };
        }
        macro_rules! float {
            ($type:ty) => {
                floats(serializer, bytes.chunks_exact(size_of::<$type>()).map(read!($type)))
            };
        }
        match self.0.element_type() {
            ElementType::F32 => float!(f32),
            ElementType::F64 => float!(f64),
            ElementType::F16 => {
                let values = bytes.chunks_exact(2).map(|c| half::f16::from_le_bytes([c[0], c[1]]));
                floats(serializer, values.map(half::f16::to_f32))
            }
            ElementType::I8 => whole!(i8),
            ElementType::I16 => whole!(i16),
            ElementType::I32 => whole!(i32),
            ElementType::I64 => whole!(i64),
            ElementType::U8 => whole!(u8),
            ElementType::U16 => whole!(u16),
            ElementType::U32 => whole!(u32),
            ElementType::U64 => whole!(u64),
            ElementType::Bool => serializer.collect_seq(bytes.iter().map(|&b| b != 0)),
        }
    }
}

/// A number, or the name of one that JSON has no number for.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Number<F> {
    Finite(F),
    Other(String),
}

fn floats<S: Serializer, F: Copy + Serialize + Into<f64>>(
    serializer: S,
    values: impl ExactSizeIterator<Item = F>,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.map(|value| match value.into() {
        wide if wide.is_finite() => Number::Finite(value),
        wide => Number::Other(wide.to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_every_value() {
        let tensor = Tensor::from_f32(vec![1, 4], &[0.25, -1.0, f32::NAN, 0.1]).unwrap();
        assert_eq!(
            json_line(7, None, &[("prob".to_owned(), tensor)]),
            r#"{"job":7,"outputs":{"prob":{"type":"FP32","shape":[1,4],"data":[0.25,-1.0,"NaN",0.1]}}}"#
        );
    }

    #[test]
    fn numbers_are_read_back_as_they_were() {
        let values: Vec<f32> = (0..2000).map(|k| (k as f32 - 1000.0) / 7.0 * 1e-3f32).collect();
        let tensor = Tensor::from_f32(vec![values.len()], &values).unwrap();
        let line = json_line(0, Some("a.npy"), &[("y".to_owned(), tensor)]);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["input"], "a.npy");
        let data = json["outputs"]["y"]["data"].as_array().unwrap();
        let read: Vec<f32> = data.iter().map(|v| v.as_f64().unwrap() as f32).collect();
        assert_eq!(read, values);
    }
}
