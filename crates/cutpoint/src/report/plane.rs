//! The plane of device time f and uplink time g: every cut a point, the hull below them, and the
//! slope at which device and uplink are equally busy.

use super::cuts::{CutInUse, cut_cost};
use cutpoint_plan::cut::{LayerSet, frontier, visit_cuts};
use cutpoint_plan::hull::lower_hull;
use cutpoint_plan::plan::{Partition, Upload};
use cutpoint_plan::units::{TIME_MAX, Time};
use cutpoint_plan::workload::{Link, ModelGraph};
use std::collections::BTreeSet;

/// A model with more cuts than this shows those along its order.
const CUTS_LISTED: usize = 20_000;

/// Points closer than one part in this many of either axis are one.
const CELLS: u64 = 150;

/// A cut's device time f and uplink time g.
pub(super) type Point = (Time, Time);

/// The cuts of one model as points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cloud {
    /// Each cut, raw and in the forms that cross fastest; close ones joined, far ones left out.
    pub points: Vec<Point>,
    /// How many downward-closed sets of layers are behind the points.
    pub cuts: usize,
    /// Whether those are all.
    pub is_complete: bool,
    pub hull: Vec<Point>,
    /// Where the axes end.
    pub ends: Point,
    /// How many points are beyond the axes.
    pub outside: usize,
}

/// The cuts of `model`: all of them if they are few, otherwise those along its order and those in
/// use.
pub(super) fn cloud(model: &ModelGraph, link: &Link, in_use: &[CutInUse]) -> Cloud {
    let mut sets: Vec<LayerSet> = Vec::new();
    let is_complete = visit_cuts(model, CUTS_LISTED, |layers, _| {
        sets.push(layers.clone());
        true
    });
    if !is_complete {
        let mut layers = LayerSet::none(model);
        sets = vec![layers.clone()];
        for &layer in &model.topological {
            layers.insert(layer);
            sets.push(layers.clone());
        }
    }
    let in_use: Vec<Point> = in_use.iter().map(|c| (c.cost.device, c.cost.uplink)).collect();
    let both = |set| [false, true].map(|is_encoded| point(model, link, set, is_encoded));
    let mut found: BTreeSet<Point> = sets.iter().flat_map(both).chain(in_use.clone()).collect();
    found.retain(|p| p.0 < TIME_MAX && p.1 < TIME_MAX);
    let hull = hull_of(&found);
    let end = |axis: fn(&Point) -> Time| {
        let end = hull.iter().chain(&in_use).map(axis).max().unwrap_or_default().nanoseconds();
        (end + end / 14).max(1000)
    };
    let (f_end, g_end) = (end(|p| p.0), end(|p| p.1));
    let is_shown = |p: &&Point| p.0.nanoseconds() <= f_end && p.1.nanoseconds() <= g_end;
    let shown = found.iter().filter(is_shown).count();
    let cell =
        |time: Time, end| u128::from(time.nanoseconds()) * u128::from(CELLS) / u128::from(end);
    let mut cells = BTreeSet::new();
    let is_first = |p: &&Point| cells.insert((cell(p.0, f_end), cell(p.1, g_end)));
    Cloud {
        points: found.iter().filter(is_shown).filter(is_first).copied().collect(),
        cuts: sets.len(),
        is_complete,
        ends: (Time::from_nanoseconds(f_end), Time::from_nanoseconds(g_end)),
        outside: found.len() - shown,
        hull,
    }
}

/// Where a cut is, its tensors raw or each in the form with the least sum of encode and transfer.
fn point(model: &ModelGraph, link: &Link, layers: &LayerSet, is_encoded: bool) -> Point {
    let transfer = |bytes| link.uplink.transfer_time(bytes).unwrap_or_default();
    let uploads = frontier(model, layers).into_iter().map(|tensor| {
        let all = &model.tensors[tensor.index()];
        let raw = (transfer(all.bytes), None);
        let forms = all.encodings.iter().enumerate().filter(|_| is_encoded);
        let forms = forms.map(|(e, form)| (form.encode + transfer(form.bytes), Some(e)));
        let encoding = std::iter::once(raw).chain(forms).min().and_then(|best| best.1);
        Upload { tensor, encoding }
    });
    let partition = Partition { device_layers: layers.clone(), uploads: uploads.collect() };
    let cost = cut_cost(model, link, &partition);
    (cost.device, cost.uplink)
}

/// The lower-left convex hull: from the point with the least f to the point with the least g.
fn hull_of(points: &BTreeSet<Point>) -> Vec<Point> {
    let points: Vec<Point> = points.iter().copied().collect();
    lower_hull(&points, |p| *p).into_iter().map(|i| points[i]).collect()
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
    fn the_hull_leaves_out_cuts_that_a_mix_beats() {
        // (4, 6) lies on the line from (0, 10) to (10, 0); (2, 9) and (9, 9) above it; (3, 3) below.
        let points = [(0, 10), (2, 9), (4, 6), (3, 3), (10, 0), (12, 0), (9, 9), (0, 12)]
            .map(|(f, g)| point(f, g));
        let hull = |points: &[Point]| hull_of(&points.iter().copied().collect());
        assert_eq!(hull(&points), [point(0, 10), point(3, 3), point(10, 0)]);
        assert_eq!(hull(&points[..1]), [point(0, 10)]);
        assert_eq!(hull(&[]), []);
    }

    #[test]
    fn points_on_a_straight_line_are_not_corners() {
        let points = [(0, 4), (1, 3), (2, 2), (4, 0)].map(|(f, g)| point(f, g));
        assert_eq!(hull_of(&points.into()), [point(0, 4), point(4, 0)]);
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
