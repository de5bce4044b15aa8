//! How far outputs moved, and how far they may.

use crate::error::{Error, ErrorKind};
use crate::tensor::{ElementType, Tensor};
use std::fmt;
use std::str::FromStr;

/// How far outputs are from those of the unsplit model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The largest absolute difference of two numbers.
    pub max_abs: f64,
    /// The smallest cosine similarity of an output.
    pub cosine: f64,
    /// In which share of the rows, along the last axis, the largest number has the same place.
    pub top1: f64,
    rows: u64,
}

impl Effect {
    /// Of some outputs; those that only the unsplit model has, because the device makes them, count
    /// as equal.
    pub fn between(found: &[(String, Tensor)], expected: &[(String, Tensor)]) -> Effect {
        let mut all = Effect { max_abs: 0.0, cosine: 1.0, top1: 1.0, rows: 0 };
        for (name, found) in found {
            if let Some((_, expected)) = expected.iter().find(|(n, _)| n == name) {
                all = all.and(Effect::of(found, expected));
            }
        }
        all
    }

    fn of(found: &Tensor, expected: &Tensor) -> Effect {
        let row = expected.shape().last().copied().unwrap_or(1).max(1);
        let (found, expected) = (numbers(found), numbers(expected));
        if found.len() != expected.len() {
            return Effect { max_abs: f64::INFINITY, cosine: 0.0, top1: 0.0, rows: 1 };
        }
        // A NaN on one side is infinitely far.
        let distance = |a: f64, b: f64| match (a - b).abs() {
            d if d.is_nan() => {
                if a.is_nan() && b.is_nan() {
                    0.0
                } else {
                    f64::INFINITY
                }
            }
            d => d,
        };
        let pairs = || found.iter().copied().zip(expected.iter().copied());
        let max_abs = pairs().fold(0.0f64, |m, (a, b)| m.max(distance(a, b)));
        let rows = found.chunks(row).zip(expected.chunks(row));
        let (same, rows) = rows.fold((0u64, 0u64), |(same, rows), (a, b)| {
            (same + u64::from(largest(a) == largest(b)), rows + 1)
        });
        let top1 = if rows == 0 { 1.0 } else { same as f64 / rows as f64 };
        Effect { max_abs, cosine: cosine(&found, &expected), top1, rows }
    }

    /// Both together: the larger difference, the smaller similarity, all rows.
    #[must_use]
    pub fn and(self, other: Effect) -> Effect {
        let rows = self.rows + other.rows;
        let same = self.top1 * self.rows as f64 + other.top1 * other.rows as f64;
        Effect {
            max_abs: self.max_abs.max(other.max_abs),
            cosine: self.cosine.min(other.cosine),
            top1: if rows == 0 { 1.0 } else { same / rows as f64 },
            rows,
        }
    }

    /// What is worse of each.
    #[must_use]
    pub fn worse(self, other: Effect) -> Effect {
        let both = self.and(other);
        Effect { top1: self.top1.min(other.top1), ..both }
    }
}

/// The position of the largest number; the first of equals.
fn largest(values: &[f64]) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (1..values.len()).fold(0, better)
}

/// The cosine of the angle between two lists; 1 between two that are zero, and never NaN.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let (of_a, of_b) = (dot(a, a), dot(b, b));
    if of_a <= 0.0 && of_b <= 0.0 {
        return 1.0;
    }
    let cosine = dot(a, b) / (of_a * of_b).sqrt();
    if cosine.is_finite() { cosine.min(1.0) } else { 0.0 }
}

/// The elements of a tensor as numbers.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    fn read<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let (elements, _) = bytes.as_chunks::<N>();
        elements.iter().map(|&element| number(element)).collect()
    }
    let bytes = tensor.bytes();
    match tensor.element_type() {
        ElementType::F32 => read(bytes, |b| f32::from_le_bytes(b).into()),
        ElementType::F16 => read(bytes, |b| half::f16::from_le_bytes(b).into()),
        ElementType::F64 => read(bytes, f64::from_le_bytes),
        ElementType::I8 => read(bytes, |b| i8::from_le_bytes(b).into()),
        ElementType::I16 => read(bytes, |b| i16::from_le_bytes(b).into()),
        ElementType::I32 => read(bytes, |b| i32::from_le_bytes(b).into()),
        ElementType::I64 => read(bytes, |b| i64::from_le_bytes(b) as f64),
        ElementType::U8 | ElementType::Bool => read(bytes, |[b]: [u8; 1]| b.into()),
        ElementType::U16 => read(bytes, |b| u16::from_le_bytes(b).into()),
        ElementType::U32 => read(bytes, |b| u32::from_le_bytes(b).into()),
        ElementType::U64 => read(bytes, |b| u64::from_le_bytes(b) as f64),
    }
}

/// How far outputs may move. Every bound that is set must hold; without any, nothing may be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AccuracyBudget {
    /// The most that a number may differ.
    pub max_abs: Option<f64>,
    /// The least cosine similarity.
    pub cosine: Option<f64>,
    /// The least share of rows whose largest number keeps its place.
    pub top1: Option<f64>,
}

impl AccuracyBudget {
    /// Whether only exact encodings will do.
    pub fn is_exact(&self) -> bool {
        *self == AccuracyBudget::default()
    }

    /// Whether an effect is within the budget.
    pub fn allows(&self, effect: &Effect) -> bool {
        !self.is_exact()
            && self.max_abs.is_none_or(|most| effect.max_abs <= most)
            && self.cosine.is_none_or(|least| effect.cosine >= least)
            && self.top1.is_none_or(|least| effect.top1 >= least)
    }
}

impl fmt::Display for AccuracyBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = [("max_abs", self.max_abs), ("cosine", self.cosine), ("top1", self.top1)];
        let set = bounds.iter().filter_map(|(name, bound)| bound.map(|b| format!("{name}={b}")));
        let text: Vec<String> = set.collect();
        f.pad(&if text.is_empty() { "exact".to_owned() } else { text.join(",") })
    }
}

impl FromStr for AccuracyBudget {
    type Err = Error;

    /// `exact`, or bounds as in `max_abs=0.01,top1=0.99`.
    fn from_str(text: &str) -> Result<AccuracyBudget, Error> {
        let mut budget = AccuracyBudget::default();
        if text == "exact" {
            return Ok(budget);
        }
        for bound in text.split(',') {
            let misuse = |why: &str| Err(Error::new(ErrorKind::Usage, format!("{bound:?}: {why}")));
            let parsed =
                bound.split_once('=').map(|(name, value)| (name.trim(), value.trim().parse()));
            let Some((name, Ok(value))) = parsed else {
                return misuse("expected exact, or max_abs=, cosine= or top1= with a number");
            };
            let value: f64 = value;
            let (slot, most) = match name {
                "max_abs" => (&mut budget.max_abs, f64::MAX),
                "cosine" => (&mut budget.cosine, 1.0),
                "top1" => (&mut budget.top1, 1.0),
                _ => return misuse("expected max_abs, cosine or top1"),
            };
            if !(0.0..=most).contains(&value) {
                return misuse("out of range");
            }
            *slot = Some(value);
        }
        Ok(budget)
    }
}
