//! Points in the plane of device time and uplink time: those that none beats in both, and the lower
//! convex hull.
//!
//! Cuts off the hull matter only through a term that does not grow with the number of jobs. Where
//! uplink times grow as 1 / bandwidth, the same cuts are on the hull at every bandwidth, and only
//! the point where the hull meets "device time = uplink time" moves.
//!
//! Source: theory of the parametric minimum cut, Theorem 4 and section 5.7.

use crate::units::Time;

/// The points by their first time; each has a smaller second time than all before it. Of points
/// equal in both the one with the least third time is kept, and of these the first.
/// O(points log points).
pub(crate) fn pareto<T>(points: impl Iterator<Item = ((Time, Time, Time), T)>) -> Vec<T> {
    let mut points: Vec<((Time, Time, Time), T)> = points.collect();
    points.sort_by_key(|&(times, _)| times);
    let mut least = None;
    points.retain(|&((_, second, _), _)| {
        let is_less = least.is_none_or(|least| second < least);
        least = if is_less { Some(second) } else { least };
        is_less
    });
    points.into_iter().map(|(_, point)| point).collect()
}

/// The positions of the items on the lower hull of their device and uplink times, by device time.
/// O(items log items).
pub fn lower_hull<T>(all: &[T], times: impl Fn(&T) -> (Time, Time)) -> Vec<usize> {
    let points = all.iter().enumerate().map(|(m, item)| {
        let (device, uplink) = times(item);
        ((device, uplink, Time::ZERO), m)
    });
    let at = |m: usize| {
        let (device, uplink) = times(&all[m]);
        (i128::from(device.nanoseconds()), i128::from(uplink.nanoseconds()))
    };
    let mut hull: Vec<usize> = Vec::new();
    for m in pareto(points) {
        let point = at(m);
        while let [.., a, b] = hull[..]
            && (at(b).0 - at(a).0) * (point.1 - at(a).1)
                <= (at(b).1 - at(a).1) * (point.0 - at(a).0)
        {
            hull.pop();
        }
        hull.push(m);
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pareto_points_are_the_first_undominated_points(
            times in proptest::collection::vec((0u64..40, 0u64..40, 0u64..3), 0..300),
        ) {
            let points = || times.iter().enumerate().map(|(k, &(first, second, third))| {
                ((Time::from_nanoseconds(first), Time::from_nanoseconds(second),
                  Time::from_nanoseconds(third)), k)
            });
            let mut order: Vec<_> = points().collect();
            order.sort();
            let mut expected: Vec<((Time, Time, Time), usize)> = Vec::new();
            for point in order {
                if expected.last().is_none_or(|last| point.0.1 < last.0.1) {
                    expected.push(point);
                }
            }
            let expected: Vec<usize> = expected.into_iter().map(|(_, k)| k).collect();
            prop_assert_eq!(pareto(points()), expected);
        }
    }
}
