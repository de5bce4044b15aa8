//! Time and bandwidth as types, so that nanoseconds, milliseconds, bits and bytes cannot mix.
//!
//! Inside the planner time is whole nanoseconds; floating point appears only here, at the border.

use crate::error::Rule;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub, SubAssign};

/// The longest time a single operation or a whole workload may take: about 73 years.
///
/// Sums of times that respect this limit cannot overflow 64 bits.
pub const TIME_MAX: Time = Time(1 << 61);

/// A length of time, or a moment counted from the start of the schedule, in whole nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// No time at all.
    pub const ZERO: Time = Time(0);

    /// A time of `nanoseconds`.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Time {
        Time(nanoseconds)
    }

    /// The nearest whole nanosecond to `milliseconds`; `None` if it is negative, not a number or
    /// longer than [`TIME_MAX`].
    pub fn from_milliseconds(milliseconds: f64) -> Option<Time> {
        let nanoseconds = (milliseconds * 1e6).round();
        // A comparison with a NaN is false, so NaN is refused too.
        let fits = nanoseconds >= 0.0 && nanoseconds <= TIME_MAX.0 as f64;
        fits.then_some(Time(nanoseconds as u64))
    }

    /// Whole nanoseconds.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// Milliseconds, exact up to the precision of `f64`.
    pub fn milliseconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Half of this time, rounded down to a whole nanosecond.
    pub const fn half(self) -> Time {
        Time(self.0 / 2)
    }

    /// `self - other`, or zero where that would be negative.
    pub const fn saturating_sub(self, other: Time) -> Time {
        Time(self.0.saturating_sub(other.0))
    }

    /// `self + other`, or `None` above [`TIME_MAX`].
    pub fn checked_add(self, other: Time) -> Option<Time> {
        self.0.checked_add(other.0).map(Time).filter(|&t| t <= TIME_MAX)
    }

    /// `self * count`, or `None` above [`TIME_MAX`].
    pub fn checked_mul(self, count: u64) -> Option<Time> {
        self.0.checked_mul(count).map(Time).filter(|&t| t <= TIME_MAX)
    }
}

impl Add for Time {
    type Output = Time;
    fn add(self, other: Time) -> Time {
        Time(self.0 + other.0)
    }
}

impl AddAssign for Time {
    fn add_assign(&mut self, other: Time) {
        self.0 += other.0;
    }
}

impl Sub for Time {
    type Output = Time;
    fn sub(self, other: Time) -> Time {
        Time(self.0 - other.0)
    }
}

impl SubAssign for Time {
    fn sub_assign(&mut self, other: Time) {
        self.0 -= other.0;
    }
}

impl Mul<u64> for Time {
    type Output = Time;
    fn mul(self, count: u64) -> Time {
        Time(self.0 * count)
    }
}

impl Sum for Time {
    fn sum<I: Iterator<Item = Time>>(times: I) -> Time {
        times.fold(Time::ZERO, Add::add)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            0..1_000 => return write!(f, "{} ns", self.0),
            1_000..1_000_000 => (self.0 as f64 / 1e3, "µs"),
            1_000_000..10_000_000_000 => (self.0 as f64 / 1e6, "ms"),
            _ => (self.0 as f64 / 1e9, "s"),
        };
        write!(f, "{value:.3} {unit}")
    }
}

/// The nearest-rank percentile of times in ascending order; zero if there are none.
pub fn percentile(ascending: &[Time], percent: usize) -> Time {
    let rank = (ascending.len() * percent).div_ceil(100).max(1) - 1;
    ascending.get(rank).copied().unwrap_or_default()
}

/// In files times are milliseconds.
impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.milliseconds())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let milliseconds = not_negative(deserializer)?;
        Time::from_milliseconds(milliseconds).ok_or_else(|| {
            let limit = "longer than the longest time, 2^61 ns (73 years)";
            Rule::TooLong.in_json(format_args!("{milliseconds} ms is {limit}"))
        })
    }
}

fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    match value < 0.0 {
        true => Err(Rule::Negative.in_json(format_args!("found {value}, expected 0 or more"))),
        false => Ok(value),
    }
}

/// How many bits a link carries in a second; in files, how many million.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Bandwidth {
    mbit_per_s: f64,
}

impl Bandwidth {
    /// No link: nothing with a size can cross it.
    pub const ZERO: Bandwidth = Bandwidth { mbit_per_s: 0.0 };

    /// A bandwidth of `mbit_per_s` million bits per second; `None` if it is negative or not finite.
    pub fn from_mbit_per_s(mbit_per_s: f64) -> Option<Bandwidth> {
        (mbit_per_s.is_finite() && mbit_per_s >= 0.0).then_some(Bandwidth { mbit_per_s })
    }

    /// Million bits per second.
    pub fn mbit_per_s(self) -> f64 {
        self.mbit_per_s
    }

    /// How long `bytes` take on the link, to the nearest nanosecond; `None` where that is longer
    /// than [`TIME_MAX`] (always, at zero bandwidth, unless there is nothing to send).
    pub fn transfer_time(self, bytes: u64) -> Option<Time> {
        if bytes == 0 {
            return Some(Time::ZERO);
        }
        Time::from_milliseconds(bytes as f64 * 8.0 / self.mbit_per_s / 1e3)
    }
}

impl<'de> Deserialize<'de> for Bandwidth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bandwidth, D::Error> {
        let mbit_per_s = not_negative(deserializer)?;
        Bandwidth::from_mbit_per_s(mbit_per_s)
            .ok_or_else(|| Rule::NotFinite.in_json("the number is not finite"))
    }
}

/// A number of things, for people: "1 job", "2 jobs".
pub fn count<N: fmt::Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    format!("{number} {what}{}", if number == N::from(1) { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_round_to_the_nearest_nanosecond() {
        assert_eq!(Time::from_milliseconds(12.1), Some(Time::from_nanoseconds(12_100_000)));
        assert_eq!(Time::from_milliseconds(-0.1), None);
        assert_eq!(Time::from_milliseconds(f64::NAN), None);
        assert_eq!(Time::from_milliseconds(1e308), None);
    }

    #[test]
    fn transfer_time_counts_eight_bits_a_byte() {
        // 186,624 B x 8 = 1,492,992 bit; at 18.88 Mbit/s that is 79.077966 ms.
        let link = Bandwidth::from_mbit_per_s(18.88).expect("positive");
        assert_eq!(link.transfer_time(186_624), Some(Time::from_nanoseconds(79_077_966)));
    }

    #[test]
    fn a_link_without_bandwidth_carries_only_empty_transfers() {
        let link = Bandwidth::from_mbit_per_s(0.0).expect("zero is a bandwidth");
        assert_eq!(link.transfer_time(0), Some(Time::ZERO));
        assert_eq!(link.transfer_time(1), None);
    }
}
