//! The outputs of a job as one line of JSON.

use crate::tensor::{ElementType, Tensor};
use serde_json::{Value, json};

/// `{"job":0,"outputs":{"prob":{"type":"FP32","shape":[1,2],"data":[0.25,0.75]}}}`; values that
/// JSON has no number for (NaN, infinities) are strings. `"input"` besides if the job is from a file
/// of that name.
pub fn json_line(job: u32, input: Option<&str>, outputs: &[(String, Tensor)]) -> String {
    let outputs: serde_json::Map<String, Value> = outputs
        .iter()
        .map(|(name, tensor)| {
            let value = json!({
                "type": tensor.element_type().protocol_name(),
                "shape": tensor.shape(),
                "data": numbers(tensor),
            });
            (name.clone(), value)
        })
        .collect();
    let mut line = json!({ "job": job, "outputs": outputs });
    if let Some(input) = input {
        line["input"] = json!(input);
    }
    line.to_string()
}

fn numbers(tensor: &Tensor) -> Vec<Value> {
    let bytes = tensor.bytes();
    macro_rules! numbers {
        ($type:ty) => {
            bytes
                .chunks_exact(size_of::<$type>())
                .map(|c| json!(<$type>::from_le_bytes(c.try_into().expect("exact chunks"))))
                .collect()
        };
    }
    let float = |v: f64, shown: Value| if v.is_finite() { shown } else { json!(v.to_string()) };
    match tensor.element_type() {
        ElementType::F32 => {
            let values = tensor.to_f32().unwrap_or_default();
            values.into_iter().map(|v| float(v.into(), json!(v))).collect()
        }
        ElementType::F64 => bytes
            .chunks_exact(8)
            .map(|c| f64::from_le_bytes(c.try_into().expect("exact chunks")))
            .map(|v| float(v, json!(v)))
            .collect(),
        ElementType::F16 => bytes
            .chunks_exact(2)
            .map(|c| half::f16::from_le_bytes([c[0], c[1]]).to_f64())
            .map(|v| float(v, json!(v)))
            .collect(),
        ElementType::I8 => numbers!(i8),
        ElementType::I16 => numbers!(i16),
        ElementType::I32 => numbers!(i32),
        ElementType::I64 => numbers!(i64),
        ElementType::U8 => numbers!(u8),
        ElementType::U16 => numbers!(u16),
        ElementType::U32 => numbers!(u32),
        ElementType::U64 => numbers!(u64),
        ElementType::Bool => bytes.iter().map(|&b| json!(b != 0)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_every_value() {
        let tensor = Tensor::from_f32(vec![1, 3], &[0.25, -1.0, f32::NAN]).unwrap();
        assert_eq!(
            json_line(7, None, &[("prob".to_owned(), tensor)]),
            r#"{"job":7,"outputs":{"prob":{"data":[0.25,-1.0,"NaN"],"shape":[1,3],"type":"FP32"}}}"#
        );
    }
}
