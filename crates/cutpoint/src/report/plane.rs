//! The plane of device time f and uplink time g: every cut a point, the hull below them, the cuts
//! in use, and the line on which device and uplink are equally busy.

use crate::report::cuts::{CutInUse, cut_cost};
use crate::report::hull::{Point, lower_hull};
use crate::report::markup::{Markup, shortened};
use crate::report::model_chart::CUTS_DRAWN;
use crate::report::scale::{axis_unit, mark, ticks, time};
use cutpoint_plan::cut::{LayerSet, frontier, visit_cuts};
use cutpoint_plan::plan::{Partition, Upload};
use cutpoint_plan::units::{TIME_MAX, Time};
use cutpoint_plan::workload::{Link, Model};
use std::collections::BTreeSet;
use std::fmt::Display;

/// Up to this many cuts are all listed; a model with more shows those along its order.
const CUTS_LISTED: usize = 20_000;

/// The chart's height, and what of it is above and below the plane.
const HEIGHT: f64 = 380.0;
const ABOVE: f64 = 14.0;
const BELOW: f64 = 48.0;

/// Points closer than one part in this many of either axis are drawn once.
const CELLS: u64 = 150;

/// The cuts of one model as points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cloud {
    /// Each cut, raw and in the forms that cross fastest.
    pub points: BTreeSet<Point>,
    /// How many downward-closed sets of layers are behind them.
    pub cuts: usize,
    /// Whether those are all.
    pub is_complete: bool,
    pub hull: Vec<Point>,
}

/// The cuts of `model`: all of them while they are few, otherwise those along its order and those
/// in use.
pub(super) fn cloud(model: &Model, link: &Link, cuts: &[CutInUse]) -> Cloud {
    let mut found = Found { model, link, points: BTreeSet::new(), cuts: 0 };
    let is_complete = visit_cuts(model, CUTS_LISTED, |layers, _| {
        found.add(layers);
        true
    });
    if !is_complete {
        found = Found { model, link, points: BTreeSet::new(), cuts: 0 };
        let mut layers = LayerSet::none(model);
        found.add(&layers);
        for &layer in &model.topological {
            layers.insert(layer);
            found.add(&layers);
        }
    }
    let Found { mut points, cuts: count, .. } = found;
    points.extend(cuts.iter().map(|c| (c.cost.device, c.cost.uplink)));
    points.retain(|p| p.0 < TIME_MAX && p.1 < TIME_MAX);
    let listed: Vec<Point> = points.iter().copied().collect();
    Cloud { hull: lower_hull(&listed), points, cuts: count, is_complete }
}

struct Found<'a> {
    model: &'a Model,
    link: &'a Link,
    points: BTreeSet<Point>,
    cuts: usize,
}

impl Found<'_> {
    fn add(&mut self, layers: &LayerSet) {
        self.cuts += 1;
        for is_encoded in [false, true] {
            self.points.insert(point(self.model, self.link, layers, is_encoded));
        }
    }
}

/// Where a cut is, its tensors raw or each in the form with the least sum of encode and transfer.
fn point(model: &Model, link: &Link, layers: &LayerSet, is_encoded: bool) -> Point {
    let transfer = |bytes| link.uplink.transfer_time(bytes).unwrap_or_default();
    let uploads = frontier(model, layers).into_iter().map(|tensor| {
        let all = &model.tensors[tensor.index()];
        let raw = (transfer(all.bytes), None);
        let forms = all.encodings.iter().enumerate();
        let forms = forms.map(|(e, form)| (form.encode + transfer(form.bytes), Some(e)));
        let forms = forms.filter(|_| is_encoded);
        let encoding = std::iter::once(raw).chain(forms).min().and_then(|best| best.1);
        Upload { tensor, encoding }
    });
    let partition = Partition { device_layers: layers.clone(), uploads: uploads.collect() };
    let cost = cut_cost(model, link, &partition);
    (cost.device, cost.uplink)
}

/// The line that shows the balance.
pub(super) enum Balance {
    /// One model: f = g.
    Equal,
    /// Several models: the slope at which all of them together are balanced.
    Step(Point, Point),
    /// None is reached.
    Nowhere,
}

/// The chart of one model.
pub(super) fn plane(
    m: &mut Markup,
    model: &Model,
    cloud: &Cloud,
    cuts: &[CutInUse],
    balance: &Balance,
) {
    let plane = Plane::new(cloud, cuts);
    let label = format!(
        "Plane of {}: {} cuts, hull of {} corners",
        shortened(&model.name, 60),
        cloud.cuts,
        cloud.hull.len()
    );
    m.element("div", &[("class", &"plane")], |m| {
        plane.y_axis(m);
        let attributes: &[(_, &dyn Display)] =
            &[("class", &"plot"), ("height", &HEIGHT), ("role", &"img"), ("aria-label", &label)];
        m.element("svg", attributes, |m| {
            plane.grid(m);
            m.element("g", &[("class", &"cloud")], |m| plane.points(m, cloud));
            plane.balance(m, cloud, balance);
            plane.hull(m, cloud);
            plane.cuts(m, cuts);
        });
    });
}

struct Plane {
    f_end: Time,
    g_end: Time,
}

impl Plane {
    fn new(cloud: &Cloud, cuts: &[CutInUse]) -> Plane {
        let corners = cloud.hull.iter().copied();
        let used = cuts.iter().map(|c| (c.cost.device, c.cost.uplink));
        let shown: Vec<Point> = corners.chain(used).collect();
        let with_margin = |end: Option<Time>| {
            let end = end.unwrap_or_default().nanoseconds();
            Time::from_nanoseconds((end + end / 14).max(1000))
        };
        Plane {
            f_end: with_margin(shown.iter().map(|p| p.0).max()),
            g_end: with_margin(shown.iter().map(|p| p.1).max()),
        }
    }

    fn x(&self, f: Time) -> String {
        self.x_at(f.nanoseconds() as f64)
    }

    fn x_at(&self, nanoseconds: f64) -> String {
        format!("{:.2}%", 100.0 * nanoseconds / self.f_end.nanoseconds() as f64)
    }

    fn y(&self, g: Time) -> String {
        format!("{:.1}", self.y_at(g.nanoseconds() as f64))
    }

    fn y_at(&self, nanoseconds: f64) -> f64 {
        let height = HEIGHT - ABOVE - BELOW;
        HEIGHT - BELOW - height * nanoseconds / self.g_end.nanoseconds() as f64
    }

    fn holds(&self, point: Point) -> bool {
        point.0 <= self.f_end && point.1 <= self.g_end
    }

    fn y_axis(&self, m: &mut Markup) {
        let (unit, length) = axis_unit(self.g_end);
        let attributes: &[(_, &dyn Display)] =
            &[("class", &"names"), ("height", &HEIGHT), ("aria-hidden", &"true")];
        m.element("svg", attributes, |m| {
            let (marks, step) = ticks(self.g_end.milliseconds() / length, 5);
            for tick in marks {
                let y = format!("{:.1}", self.y_at(tick * length * 1e6) + 4.0);
                let at: &[(_, &dyn Display)] =
                    &[("x", &"100%"), ("dx", &"-8"), ("y", &y), ("text-anchor", &"end")];
                m.leaf("text", at, mark(tick, step));
            }
            let middle = -(HEIGHT - BELOW + ABOVE) / 2.0;
            let at: &[(_, &dyn Display)] = &[
                ("class", &"dim"),
                ("transform", &"rotate(-90)"),
                ("x", &middle),
                ("y", &13),
                ("text-anchor", &"middle"),
            ];
            m.leaf("text", at, format_args!("uplink g, {unit}"));
        });
    }

    fn grid(&self, m: &mut Markup) {
        let (unit, length) = axis_unit(self.f_end);
        let bottom = HEIGHT - BELOW;
        m.element("g", &[("class", &"axis")], |m| {
            let (marks, step) = ticks(self.f_end.milliseconds() / length, 6);
            for tick in marks {
                let x = self.x_at(tick * length * 1e6);
                line(m, "", (&x, &ABOVE), (&x, &(bottom + 5.0)));
                let anchor = if tick > 0.0 { "middle" } else { "start" };
                let at: &[(_, &dyn Display)] =
                    &[("x", &x), ("y", &(bottom + 20.0)), ("text-anchor", &anchor)];
                m.leaf("text", at, mark(tick, step));
            }
            let (_, length) = axis_unit(self.g_end);
            for tick in ticks(self.g_end.milliseconds() / length, 5).0 {
                let y = format!("{:.1}", self.y_at(tick * length * 1e6));
                line(m, "", (&0, &y), (&"100%", &y));
            }
            let at: &[(_, &dyn Display)] = &[
                ("class", &"dim"),
                ("x", &"50%"),
                ("y", &(bottom + 40.0)),
                ("text-anchor", &"middle"),
            ];
            m.leaf("text", at, format_args!("device f, {unit}"));
        });
    }

    fn points(&self, m: &mut Markup, cloud: &Cloud) {
        let mut seen = BTreeSet::new();
        for &point in cloud.points.iter().filter(|&&p| self.holds(p)) {
            let cell = |at: Time, end: Time| {
                u128::from(at.nanoseconds()) * u128::from(CELLS) / u128::from(end.nanoseconds())
            };
            if seen.insert((cell(point.0, self.f_end), cell(point.1, self.g_end))) {
                let (x, y) = (self.x(point.0), self.y(point.1));
                m.start("circle", &[("cx", &x), ("cy", &y), ("r", &2.5)]);
                m.literal("</circle>");
            }
        }
    }

    fn hull(&self, m: &mut Markup, cloud: &Cloud) {
        for step in cloud.hull.windows(2) {
            let [a, b] = [step[0], step[1]].map(|p| (self.x(p.0), self.y(p.1)));
            line(m, "hull", (&a.0, &a.1), (&b.0, &b.1));
        }
        for corner in &cloud.hull {
            let (x, y) = (self.x(corner.0), self.y(corner.1));
            let at: &[(_, &dyn Display)] =
                &[("class", &"corner"), ("cx", &x), ("cy", &y), ("r", &4)];
            m.shape("circle", at, format_args!("f {}, g {}", time(corner.0), time(corner.1)));
        }
    }

    fn balance(&self, m: &mut Markup, cloud: &Cloud, balance: &Balance) {
        let (f_end, g_end) = (self.f_end.nanoseconds() as f64, self.g_end.nanoseconds() as f64);
        match balance {
            Balance::Nowhere => {}
            Balance::Equal => {
                let end = f_end.min(g_end);
                let (x, y) = (self.x_at(end), self.y_at(end));
                line(m, "balance", (&0, &self.y_at(0.0)), (&x, &y));
            }
            Balance::Step(a, b) => {
                let run = (b.0 - a.0).nanoseconds() as f64;
                let slope = (a.1 - b.1).nanoseconds() as f64 / run.max(1.0);
                let level = |p: &Point| p.1.nanoseconds() as f64 + slope * p.0.nanoseconds() as f64;
                let lowest = cloud.hull.iter().map(level).fold(f64::INFINITY, f64::min);
                if slope <= 0.0 || !lowest.is_finite() {
                    return;
                }
                // From where the line enters the plane at its top or left to the bottom or right.
                let f_from = ((lowest - g_end) / slope).max(0.0);
                let f_to = (lowest / slope).min(f_end);
                let ends = [f_from, f_to].map(|f| (self.x_at(f), self.y_at(lowest - slope * f)));
                line(m, "balance", (&ends[0].0, &ends[0].1), (&ends[1].0, &ends[1].1));
            }
        }
    }

    fn cuts(&self, m: &mut Markup, cuts: &[CutInUse]) {
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for cut in cuts.iter().take(CUTS_DRAWN) {
            let (f, g) = (cut.cost.device, cut.cost.uplink);
            // Where the letter is, in a plane of about 700 units, is only for avoiding others.
            let at_x = 700.0 * f.nanoseconds() as f64 / self.f_end.nanoseconds() as f64;
            let at_y = self.y_at(g.nanoseconds() as f64);
            let offsets =
                [(15.0, -13.0), (-15.0, -13.0), (17.0, 12.0), (30.0, -30.0), (-30.0, -30.0)];
            let is_free = |&&(dx, dy): &&(f64, f64)| {
                let (x, y) = (at_x + dx, at_y + dy);
                let fits = (12.0..688.0).contains(&x) && y > ABOVE + 4.0;
                fits && taken.iter().all(|&(a, b)| (a - x).abs() > 18.0 || (b - y).abs() > 18.0)
            };
            let (dx, dy) = offsets.iter().find(is_free).copied().unwrap_or((30.0, -30.0));
            taken.extend([(at_x + dx, at_y + dy), (at_x, at_y)]);
            let (x, y) = (self.x(f), format!("{at_y:.1}"));
            let text = format!(
                "cut {}: {} jobs, f {}, g {}",
                cut.letter,
                cut.jobs.len(),
                time(f),
                time(g)
            );
            let at: &[(_, &dyn Display)] =
                &[("class", &"used"), ("cx", &x), ("cy", &y), ("r", &6.5)];
            m.shape("circle", at, text);
            let at: &[(_, &dyn Display)] = &[
                ("class", &"usedname"),
                ("x", &x),
                ("y", &y),
                ("dx", &dx),
                ("dy", &(dy + 5.0)),
                ("text-anchor", &"middle"),
            ];
            m.leaf("text", at, &cut.letter);
        }
        self.mean(m, cuts);
    }

    /// What a job costs on average.
    fn mean(&self, m: &mut Markup, cuts: &[CutInUse]) {
        let jobs: u128 = cuts.iter().map(|c| c.jobs.len() as u128).sum();
        if cuts.len() < 2 {
            return;
        }
        let mean = |axis: fn(&CutInUse) -> Time| {
            let sum: u128 =
                cuts.iter().map(|c| c.jobs.len() as u128 * u128::from(axis(c).nanoseconds())).sum();
            Time::from_nanoseconds(u64::try_from(sum / jobs.max(1)).unwrap_or(u64::MAX))
        };
        let (f, g) = (mean(|c| c.cost.device), mean(|c| c.cost.uplink));
        let (x, y) = (self.x(f), self.y(g));
        m.element("svg", &[("class", &"mean"), ("x", &x), ("y", &y)], |m| {
            let title = format!("mean over all jobs: f {}, g {}", time(f), time(g));
            m.shape("path", &[("d", &"M-6 -6L6 6M-6 6L6 -6")], title);
        });
    }
}

fn line(
    m: &mut Markup,
    class: &'static str,
    (x1, y1): (&dyn Display, &dyn Display),
    (x2, y2): (&dyn Display, &dyn Display),
) {
    m.start("line", &[("class", &class), ("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)]);
    m.literal("</line>");
}

/// How many points the chart leaves out on the far side.
pub(super) fn points_outside(cloud: &Cloud, cuts: &[CutInUse]) -> usize {
    let plane = Plane::new(cloud, cuts);
    cloud.points.iter().filter(|&&p| !plane.holds(p)).count()
}
