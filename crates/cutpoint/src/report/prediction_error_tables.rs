//! Tables of where the prediction erred, with bars to both sides of zero.

use crate::report::Report;
use crate::report::markup::Markup;
use crate::report::prediction_error::{Both, Deviation, loads};
use crate::report::scale::{Percent, difference, share, time};
use crate::report::timeline::operation_name;
use crate::trace::MeasuredRun;
use cutpoint_plan::plan::Machine;
use cutpoint_plan::units::Time;
use std::fmt::Display;

/// What the time was spent on, planned and measured.
pub(super) fn spendings(m: &mut Markup, deviation: &Deviation) {
    let sides = Sides::of(deviation.spendings.iter().map(|(_, both)| *both));
    table(m, &["Sum over all jobs", "Planned", "Measured", "Difference", ""], |m| {
        for (spending, both) in &deviation.spendings {
            m.element("tr", &[], |m| {
                m.leaf("th", &[("scope", &"row")], spending.name());
                numbers(m, *both);
                diverging(m, spending.machine().name(), *both, sides);
            });
        }
    });
}

fn table(m: &mut Markup, heads: &[&'static str], rows: impl FnOnce(&mut Markup)) {
    m.element("div", &[("class", &"scroll"), ("tabindex", &"0")], |m| {
        m.element("table", &[("class", &"plain")], |m| {
            m.element("thead", &[], |m| {
                m.element("tr", &[], |m| {
                    for (i, &head) in heads.iter().enumerate() {
                        let class = if i == 0 || head.starts_with("Busy") { "" } else { "r" };
                        match head {
                            "" => m.literal("<td></td>"),
                            _ => m.leaf("th", &[("scope", &"col"), ("class", &class)], head),
                        }
                    }
                });
            });
            m.element("tbody", &[], rows);
        });
    });
}

fn numbers(m: &mut Markup, both: Both) {
    let off = difference(both.planned, both.measured);
    for cell in [time(both.planned), time(both.measured), off] {
        m.leaf("td", &[("class", &"r")], cell);
    }
}

/// How far the bars of a table reach to either side of zero.
#[derive(Clone, Copy)]
struct Sides {
    faster: Time,
    slower: Time,
}

impl Sides {
    fn of(rows: impl Iterator<Item = Both>) -> Sides {
        let mut sides = Sides { faster: Time::ZERO, slower: Time::ZERO };
        for row in rows {
            sides.faster = sides.faster.max(row.planned.saturating_sub(row.measured));
            sides.slower = sides.slower.max(row.measured.saturating_sub(row.planned));
        }
        sides
    }

    /// Where the bar of a row starts, how long it is, and where zero is.
    fn bar(self, row: Both) -> [Percent; 3] {
        let whole = self.faster + self.slower;
        let (zero, width) = (Percent::of(self.faster, whole), Percent::of(row.apart(), whole));
        let start = if row.measured >= row.planned { zero.0 } else { zero.0 - width.0 };
        [Percent(start), width, zero]
    }
}

/// A bar from zero: to the right what took longer than planned, to the left what was faster.
fn diverging(m: &mut Markup, class: &'static str, row: Both, sides: Sides) {
    let [start, width, zero] = sides.bar(row);
    m.element("td", &[("class", &"diverging")], |m| {
        m.element("svg", &[("class", &class), ("aria-hidden", &"true")], |m| {
            let bar: &[(_, &dyn Display)] =
                &[("x", &start), ("y", &2), ("width", &width), ("height", &12)];
            m.start("rect", bar);
            m.literal("</rect>");
            let line: &[(_, &dyn Display)] =
                &[("class", &"zero"), ("x1", &zero), ("x2", &zero), ("y1", &0), ("y2", &16)];
            m.start("line", line);
            m.literal("</line>");
        });
    });
}

/// The operations furthest from their plan.
pub(super) fn largest(m: &mut Markup, report: &Report<'_>, deviation: &Deviation) {
    let sides = Sides::of(deviation.largest.iter().map(|s| s.length));
    table(m, &["Single operation", "Planned", "Measured", "Difference", ""], |m| {
        for single in &deviation.largest {
            let machine = single.operation.work.machine();
            m.element("tr", &[], |m| {
                m.element("th", &[("scope", &"row")], |m| {
                    m.text(format_args!("job {} ", single.operation.job.0));
                    let name = operation_name(report.workload, &single.operation);
                    m.leaf(
                        "span",
                        &[("class", &"dim")],
                        format_args!("{}: {name}", machine.name()),
                    );
                });
                numbers(m, single.length);
                diverging(m, machine.name(), single.length, sides);
            });
        }
    });
}

/// How busy each machine was to be and was.
pub(super) fn utilisation(m: &mut Markup, report: &Report<'_>) {
    let plan = report.plan;
    let planned = loads(&plan.schedule, plan.makespan);
    let measured = report.measured.map(|r| (r, loads(&r.schedule, r.makespan)));
    let part = |busy: Time, all: Time| busy.nanoseconds() as f64 / all.nanoseconds().max(1) as f64;
    let mut heads = vec!["Machine", "Busy, planned"];
    if measured.is_some() {
        heads.extend(["Busy, measured", "More work", "More idle", "Makespan"]);
    }
    table(m, &heads, |m| {
        for (i, load) in planned.iter().enumerate() {
            let also = measured.as_ref().map(|(r, l)| (*r, l[i]));
            let is_used = load.busy > Time::ZERO || also.is_some_and(|(_, l)| l.busy > Time::ZERO);
            if !is_used && load.machine == Machine::Downlink {
                continue;
            }
            m.element("tr", &[], |m| {
                let name = load.machine.name();
                m.leaf("th", &[("scope", &"row")], name);
                busy_cell(m, name, part(load.busy, plan.makespan));
                if let Some((run, now)) = also {
                    busy_cell(m, name, part(now.busy, run.makespan));
                    let off = [
                        difference(load.busy, now.busy),
                        difference(load.idle, now.idle),
                        difference(plan.makespan, run.makespan),
                    ];
                    for cell in off {
                        m.leaf("td", &[("class", &"r")], cell);
                    }
                }
            });
        }
    });
}

fn busy_cell(m: &mut Markup, class: &'static str, busy: f64) {
    m.element("td", &[("class", &"busy")], |m| {
        m.element("div", &[], |m| {
            m.leaf("span", &[], share(busy));
            m.element("svg", &[("class", &class), ("aria-hidden", &"true")], |m| {
                m.literal("<rect class=\"ground\" width=\"100%\" height=\"100%\"></rect>");
                let width = Percent(busy.min(1.0) * 100.0);
                m.start("rect", &[("width", &width), ("height", &"100%")]);
                m.literal("</rect>");
            });
        });
    });
}

/// The share of its makespan each machine is busy, in the order of [`Machine::ALL`].
pub(super) fn shares(schedule: &cutpoint_plan::plan::Schedule, makespan: Time) -> [f64; 4] {
    loads(schedule, makespan)
        .map(|l| l.busy.nanoseconds() as f64 / makespan.nanoseconds().max(1) as f64)
}

/// The jobs: how each was cut, and when it was planned to be complete and was.
pub(super) fn jobs(
    m: &mut Markup,
    report: &Report<'_>,
    letters: &[(String, String)],
    limit: usize,
) {
    let completion = |r: &MeasuredRun, j: usize| r.completions.get(j).copied().flatten();
    let mut heads = vec!["Job", "Cut", "Complete, planned"];
    if report.measured.is_some() {
        heads.extend(["Complete, measured", "Difference"]);
    }
    table(m, &heads, |m| {
        for (j, &planned) in report.plan.completions.iter().enumerate().take(limit) {
            m.element("tr", &[], |m| {
                m.element("th", &[("scope", &"row")], |m| {
                    m.text(format_args!("job {j} "));
                    m.leaf("span", &[("class", &"dim")], &letters[j].1);
                });
                m.element("td", &[("class", &"r")], |m| {
                    m.leaf("span", &[("class", &"letter")], &letters[j].0);
                });
                m.leaf("td", &[("class", &"r")], time(planned));
                if let Some(measured) = report.measured {
                    let found = completion(measured, j);
                    let off = found.map(|f| difference(planned, f));
                    let none = || "–".to_owned();
                    m.leaf("td", &[("class", &"r")], found.map_or_else(none, time));
                    m.leaf("td", &[("class", &"r")], off.unwrap_or_else(none));
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_share_one_zero_and_one_scale() {
        let both = |planned, measured| {
            let [planned, measured] = [planned, measured].map(Time::from_nanoseconds);
            Both { planned, measured }
        };
        let rows = [both(10, 40), both(20, 10), both(5, 5)];
        let sides = Sides::of(rows.into_iter());
        // 10 to the left and 30 to the right: zero at a quarter.
        let expected = [[25.0, 75.0, 25.0], [0.0, 25.0, 25.0], [25.0, 0.0, 25.0]];
        assert_eq!(rows.map(|r| sides.bar(r)), expected.map(|e| e.map(Percent)));
    }
}
