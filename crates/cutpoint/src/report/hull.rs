//! The lower-left hull of points (f, g), and the slope at which a whole workload is balanced.

use cutpoint_plan::units::Time;

/// A cut's device time f and uplink time g.
pub(super) type Point = (Time, Time);

/// The lower-left convex hull: from the point with the least f to the point with the least g, every
/// step further right and lower, each step less steep than the one before. O(n log n).
pub(super) fn lower_hull(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    sorted.sort_unstable();
    let mut hull: Vec<Point> = Vec::new();
    for point in sorted {
        // Equal f, or no improvement of g: the point is beaten.
        if hull.last().is_some_and(|last| point.1 >= last.1) {
            continue;
        }
        while let [.., a, b] = hull.as_slice()
            && turn(*a, *b, point) <= 0
        {
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// Positive where the way from `a` over `b` to `c` turns left, zero where it is straight.
fn turn(a: Point, b: Point, c: Point) -> i128 {
    let d = |to: Time, from: Time| i128::from(to.nanoseconds()) - i128::from(from.nanoseconds());
    d(b.0, a.0) * d(c.1, a.1) - d(b.1, a.1) * d(c.0, a.0)
}

/// The step of the hulls at which the jobs together are balanced: going along all hulls at once,
/// steepest step first, `weights` jobs each, the step in which the sum of f passes the sum of g.
/// `None` where no step does: one machine is the bottleneck whatever is chosen.
pub(super) fn balance_step(hulls: &[(u64, Vec<Point>)]) -> Option<(Point, Point)> {
    let start = |axis: fn(&Point) -> Time| {
        let each = hulls.iter().filter_map(|(weight, hull)| {
            hull.first().map(|p| i128::from(*weight) * i128::from(axis(p).nanoseconds()))
        });
        each.sum::<i128>()
    };
    let (mut f, mut g) = (start(|p| p.0), start(|p| p.1));
    if f >= g {
        return None;
    }
    let mut steps: Vec<(u64, Point, Point)> = hulls
        .iter()
        .flat_map(|(weight, hull)| hull.windows(2).map(|w| (*weight, w[0], w[1])))
        .collect();
    let size = |s: &(u64, Point, Point)| {
        let ((f1, g1), (f2, g2)) = (s.1, s.2);
        (i128::from((f2 - f1).nanoseconds()), i128::from((g1 - g2).nanoseconds()))
    };
    steps.sort_by(|a, b| {
        let ((fa, ga), (fb, gb)) = (size(a), size(b));
        (gb * fa).cmp(&(ga * fb))
    });
    for step in steps {
        let (more, less) = size(&step);
        f += i128::from(step.0) * more;
        g -= i128::from(step.0) * less;
        if f >= g {
            return Some((step.1, step.2));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(f: u64, g: u64) -> Point {
        (Time::from_nanoseconds(f), Time::from_nanoseconds(g))
    }

    #[test]
    fn the_hull_has_only_what_a_mix_cannot_beat() {
        // (4, 6) lies on the line from (0, 10) to (10, 0); (2, 9) and (9, 9) above it; (3, 3) below.
        let points = [(0, 10), (2, 9), (4, 6), (3, 3), (10, 0), (12, 0), (9, 9), (0, 12)]
            .map(|(f, g)| point(f, g));
        assert_eq!(lower_hull(&points), [point(0, 10), point(3, 3), point(10, 0)]);
        assert_eq!(lower_hull(&points[..1]), [point(0, 10)]);
        assert_eq!(lower_hull(&[]), []);
    }

    #[test]
    fn points_on_a_straight_line_are_no_corners() {
        let points = [(0, 4), (1, 3), (2, 2), (4, 0)].map(|(f, g)| point(f, g));
        assert_eq!(lower_hull(&points), [point(0, 4), point(4, 0)]);
    }

    #[test]
    fn jobs_are_balanced_where_their_sums_meet() {
        let one = vec![point(0, 10), point(3, 3), point(10, 0)];
        // Ten jobs begin with f = 0, g = 100; the first step brings f = 30, g = 30.
        assert_eq!(balance_step(&[(10, one.clone())]), Some((one[0], one[1])));
        // With twenty jobs that only compute (f = 9), the sum of f is above that of g at once.
        assert_eq!(balance_step(&[(10, one), (20, vec![point(9, 0)])]), None);
        // Steps of 2 per unit and 1 per unit: 0/12 + 0/8, then 4/4 + 0/8, then 4/4 + 8/0.
        let hulls = [(1, vec![point(0, 12), point(4, 4)]), (1, vec![point(0, 8), point(8, 0)])];
        assert_eq!(balance_step(&hulls), Some((point(0, 8), point(8, 0))));
    }
}
