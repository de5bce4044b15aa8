//! 32-bit numbers as one of 256 evenly spaced values, and back.

use crate::error::{Error, Result};

/// How many numbers are looked at side by side, so that the compiler can use wide registers.
const LANES: usize = 16;

/// 2^23: a 32-bit floating point number between this and twice this is a whole number, which its
/// lowest bits spell out. Adding it to a small number rounds that to the nearest whole number.
const ROUNDING: f32 = 8_388_608.0;

/// What 8-bit numbers stand for: `least + number * step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) least: f32,
    pub(super) step: f32,
}

impl Range {
    /// Refuses a range that does not lead from finite numbers to finite numbers.
    pub(super) fn check(self) -> Result<()> {
        let greatest = self.least + 255.0 * self.step;
        if self.least.is_finite() && self.step >= 0.0 && greatest.is_finite() {
            return Ok(());
        }
        Err(Error::input(format!("8-bit numbers from {} in steps of {}", self.least, self.step)))
    }

    /// The number that comes back for an 8-bit one.
    pub(super) fn value(self, number: u8) -> f32 {
        self.least + f32::from(number) * self.step
    }
}

/// The least and the greatest of some numbers, being found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    least: [f32; LANES],
    greatest: [f32; LANES],
    /// NaN as soon as a number is infinite or NaN.
    finite: [f32; LANES],
}

impl Extent {
    /// Of no numbers.
    pub(super) fn new() -> Extent {
        let (least, greatest) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        Extent { least, greatest, finite: [0.0; LANES] }
    }

    /// Takes more numbers into account.
    pub(super) fn add(&mut self, values: &[f32]) {
        let (chunks, rest) = values.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &value) in chunk.iter().enumerate() {
                self.add_one(lane, value);
            }
        }
        for (lane, &value) in rest.iter().enumerate() {
            self.add_one(lane, value);
        }
    }

    #[inline(always)]
    fn add_one(&mut self, lane: usize, value: f32) {
        self.least[lane] = if value < self.least[lane] { value } else { self.least[lane] };
        self.greatest[lane] = if value > self.greatest[lane] { value } else { self.greatest[lane] };
        self.finite[lane] += value * 0.0;
    }

    /// The least and the greatest; 0 and 0 of no numbers.
    ///
    /// # Errors
    /// If a number is infinite or NaN.
    pub(super) fn ends(&self) -> Result<(f32, f32)> {
        if self.finite.iter().any(|f| f.is_nan()) {
            return Err(Error::input("a number is infinite or NaN"));
        }
        let least = self.least.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = self.greatest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Ok(if least <= greatest { (least, greatest) } else { (0.0, 0.0) })
    }

    /// The range whose 8-bit numbers reach from the least to the greatest.
    ///
    /// # Errors
    /// As [`Extent::ends`], and if they are too far apart for a 32-bit difference.
    pub(super) fn range(&self) -> Result<Range> {
        let (least, greatest) = self.ends()?;
        let step = (greatest - least) / 255.0;
        // Numbers that lie closer together than the smallest normal ones count as equal.
        let step = if step < f32::MIN_POSITIVE { 0.0 } else { step };
        let range = Range { least, step };
        range.check()?;
        Ok(range)
    }
}

/// Appends the 8-bit number of each value, the nearest in `range`.
pub(super) fn quantise(values: &[f32], range: Range, numbers: &mut Vec<u8>) {
    let inverse = if range.step > 0.0 { range.step.recip() } else { 0.0 };
    numbers.extend(values.iter().map(|&value| {
        let steps = ((value - range.least) * inverse).min(255.0);
        (steps + ROUNDING).to_bits() as u8
    }));
}

/// Writes the value of each 8-bit number.
pub(super) fn restore(numbers: &[u8], range: Range, values: &mut [[u8; 4]]) {
    for (value, &number) in values.iter_mut().zip(numbers) {
        *value = range.value(number).to_le_bytes();
    }
}
