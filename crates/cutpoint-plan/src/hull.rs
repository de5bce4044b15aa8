//! The lower convex hull of points in the plane of device time and uplink time.

use crate::flow_shop::pareto::pareto;
use crate::units::Time;

/// The positions of those on the lower hull of device and uplink time, by device time.
pub(crate) fn lower_hull<T>(all: &[T], times: impl Fn(&T) -> (Time, Time)) -> Vec<usize> {
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
