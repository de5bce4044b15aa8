//! Which cores the device and the server run on.

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_getaffinity};
use std::fmt;

/// The least number of cores of the server, if there are enough.
const SERVER_CORES_MIN: usize = 2;

/// Cores by number, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores(Vec<usize>);

impl Cores {
    /// The cores that this process may use.
    pub(crate) fn allowed() -> anyhow::Result<Cores> {
        let set = sched_getaffinity(None).context("cannot read the allowed cores")?;
        Ok(Cores((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect()))
    }

    /// How many cores there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The first `count` cores, and the others, or all again if none are left.
    ///
    /// Two cores may be one that works on two threads, and then slow each other down by a third;
    /// virtual machines do not say which. They are numbered next to each other or half of all apart, so
    /// the others are chosen away from both if that leaves at least [`SERVER_CORES_MIN`].
    ///
    /// # Errors
    ///
    /// If there are not `count` cores.
    pub(crate) fn split(&self, count: usize) -> anyhow::Result<(Cores, Cores)> {
        ensure!(
            (1..=self.count()).contains(&count),
            "the device wants {count} cores, this machine lets us use {}",
            self.count()
        );
        let (first, rest) = self.0.split_at(count);
        let half = self.count() / 2;
        let may_share = |a: usize, b: usize| a ^ 1 == b || a.abs_diff(b) == half;
        let is_apart = |core: &usize| !first.iter().any(|&device| may_share(device, *core));
        let apart: Vec<usize> = rest.iter().copied().filter(is_apart).collect();
        let rest = match () {
            () if apart.len() >= SERVER_CORES_MIN => apart,
            () if rest.is_empty() => self.0.clone(),
            () => rest.to_vec(),
        };
        Ok((Cores(first.to_vec()), Cores(rest)))
    }
}

/// As `taskset --cpu-list` takes them.
impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_and_server_get_cores_of_their_own_where_they_can() {
        let four = Cores(vec![0, 1, 4, 5]);
        assert_eq!(four.split(1).unwrap(), (Cores(vec![0]), Cores(vec![4, 5])));
        assert_eq!(four.split(2).unwrap(), (Cores(vec![0, 1]), Cores(vec![4, 5])));
        let two = Cores(vec![0, 1]);
        assert_eq!(two.split(1).unwrap(), (Cores(vec![0]), Cores(vec![1])));
        let eight = Cores((0..8).collect());
        assert_eq!(eight.split(1).unwrap(), (Cores(vec![0]), Cores(vec![2, 3, 5, 6, 7])));
        let one = Cores(vec![3]);
        assert_eq!(one.split(1).unwrap(), (Cores(vec![3]), Cores(vec![3])));
        assert!(one.split(2).is_err());
        assert!(one.split(0).is_err());
    }

    #[test]
    fn cores_are_listed_with_commas() {
        assert_eq!(Cores(vec![0, 2, 11]).to_string(), "0,2,11");
    }
}
