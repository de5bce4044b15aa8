//! The timeline: what each machine does when, planned above measured, on one axis.

use crate::report::markup::{Markup, shortened};
use crate::report::scale::{Percent, axis_unit, mark, share, ticks, time};
use crate::report::timeline_blocks::{Block, blocks};
use cutpoint_plan::plan::{Machine, Operation, Schedule, Work};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;

const ROW: usize = 34;
const BAR: usize = 26;
const HEADER: usize = 30;
const BETWEEN: usize = 12;
const AXIS: usize = 34;

/// A block at least this wide, in hundredths of the axis, carries its job's number.
const NUMBERED_FROM: f64 = 3.2;

/// The filling of encodes.
const HATCH: &str = "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" \
     patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect class=\"h0\" \
     width=\"6\" height=\"6\"></rect><rect class=\"h1\" width=\"3\" height=\"6\"></rect>\
     </pattern></defs>";

/// One of the two charts.
pub(super) struct Part<'a> {
    pub title: &'static str,
    pub schedule: &'a Schedule,
    pub makespan: Time,
    /// The share of its makespan each machine is busy.
    pub busy: [f64; 4],
}

/// Both charts, and below them the axis.
pub(super) fn timeline(m: &mut Markup, workload: &Workload, parts: &[Part<'_>], lower_bound: Time) {
    let end = parts.iter().map(|p| p.makespan).max().unwrap_or_default();
    let height = parts.iter().map(part_height).sum::<usize>() + BETWEEN * (parts.len() - 1) + AXIS;
    m.element("div", &[("class", &"timeline")], |m| {
        labels(m, parts, height);
        let name = "Timeline. Arrow keys move from operation to operation, plus and minus zoom.";
        let attributes: &[(_, &dyn std::fmt::Display)] =
            &[("class", &"scroll"), ("tabindex", &"0"), ("role", &"group"), ("aria-label", &name)];
        m.element("div", attributes, |m| {
            let (unit, length) = axis_unit(end);
            let end_in_unit = end.milliseconds() / length;
            let attributes: &[(_, &dyn std::fmt::Display)] = &[
                ("class", &"plot"),
                ("height", &height),
                ("role", &"img"),
                ("aria-label", &summary(parts, lower_bound)),
                ("data-end", &end_in_unit),
                ("data-unit", &unit),
            ];
            m.element("svg", attributes, |m| {
                m.literal(HATCH);
                axis(m, end_in_unit, unit, height);
                let mut top = 0;
                for part in parts {
                    chart(m, workload, part, top, end, lower_bound);
                    top += part_height(part) + BETWEEN;
                }
            });
        });
    });
}

fn rows(part: &Part<'_>) -> impl Iterator<Item = Machine> {
    Machine::ALL
        .into_iter()
        .filter(|&m| m != Machine::Downlink || !part.schedule.on(Machine::Downlink).is_empty())
}

fn part_height(part: &Part<'_>) -> usize {
    HEADER + ROW * rows(part).count()
}

fn summary(parts: &[Part<'_>], lower_bound: Time) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|p| {
            let busy: Vec<String> = rows(p)
                .map(|m| format!("{} busy {}", m.name(), share(p.busy[m as usize])))
                .collect();
            format!("{}: makespan {}, {}", p.title, time(p.makespan), busy.join(", "))
        })
        .collect();
    format!("{}. Lower bound {}.", parts.join(". "), time(lower_bound))
}

/// The column of names left of the plot, at the same heights.
fn labels(m: &mut Markup, parts: &[Part<'_>], height: usize) {
    m.element("svg", &[("class", &"names"), ("height", &height), ("aria-hidden", &"true")], |m| {
        let mut top = 0;
        for part in parts {
            m.leaf("text", &[("class", &"part"), ("x", &0), ("y", &(top + 19))], part.title);
            for (i, machine) in rows(part).enumerate() {
                let y = top + HEADER + i * ROW;
                let name = &[("x", &0 as _), ("y", &(y + 13) as _)];
                m.leaf("text", name, machine.name());
                let busy = format!("{:.0} % busy", part.busy[machine as usize] * 100.0);
                m.leaf("text", &[("class", &"dim"), ("x", &0), ("y", &(y + 26))], busy);
            }
            top += part_height(part) + BETWEEN;
        }
    });
}

fn axis(m: &mut Markup, end: f64, unit: &'static str, height: usize) {
    let base = height - AXIS;
    m.element("g", &[("class", &"axis"), ("data-base", &base)], |m| {
        let (marks, step) = ticks(end, 8);
        for tick in marks {
            let x = Percent(100.0 * tick / end.max(f64::MIN_POSITIVE));
            if x.0 > 94.0 {
                continue;
            }
            m.start("line", &[("x1", &x), ("x2", &x), ("y1", &0), ("y2", &(base + 5))]);
            m.literal("</line>");
            let anchor = if tick > 0.0 { "middle" } else { "start" };
            let at: &[(_, &dyn std::fmt::Display)] =
                &[("x", &x), ("y", &(base + 21)), ("text-anchor", &anchor)];
            m.leaf("text", at, mark(tick, step));
        }
        let at: &[(_, &dyn std::fmt::Display)] =
            &[("x", &"100%"), ("y", &(base + 21)), ("text-anchor", &"end")];
        m.leaf("text", at, format_args!("{end:.1} {unit}"));
    });
}

fn chart(
    m: &mut Markup,
    workload: &Workload,
    part: &Part<'_>,
    top: usize,
    end: Time,
    lower_bound: Time,
) {
    let height = part_height(part) - HEADER;
    for (i, machine) in rows(part).enumerate() {
        let y = top + HEADER + i * ROW;
        let ground: &[(_, &dyn std::fmt::Display)] = &[
            ("class", &"ground"),
            ("x", &0),
            ("y", &y),
            ("width", &Percent::of(part.makespan, end)),
            ("height", &BAR),
        ];
        m.start("rect", ground);
        m.literal("</rect>");
        let (blocks, lanes) = blocks(part.schedule.on(machine), end);
        m.element("g", &[("class", &machine.name()), ("data-row", &machine.name())], |m| {
            for block in &blocks {
                draw(m, workload, block, machine, (y, lanes), end);
            }
        });
    }
    let bottom = top + HEADER + height - (ROW - BAR);
    let mut line = |class: &'static str, at: Time, from: usize| {
        let x = Percent::of(at.min(end), end);
        let at: &[(_, &dyn std::fmt::Display)] =
            &[("class", &class), ("x1", &x), ("x2", &x), ("y1", &from), ("y2", &bottom)];
        m.start("line", at);
        m.literal("</line>");
    };
    line("bound", lower_bound, top + HEADER - 4);
    line("makespan", part.makespan, top + 8);
    let x = Percent::of(part.makespan, end);
    let at: &[(_, &dyn std::fmt::Display)] = &[
        ("class", &"strong"),
        ("x", &x),
        ("dx", &"-8"),
        ("y", &(top + 19)),
        ("text-anchor", &"end"),
    ];
    m.leaf("text", at, format_args!("makespan {}", time(part.makespan)));
}

fn draw(
    m: &mut Markup,
    workload: &Workload,
    block: &Block,
    machine: Machine,
    (y, lanes): (usize, usize),
    end: Time,
) {
    let height = BAR as f64 / lanes as f64;
    let y = y as f64 + block.lane as f64 * height;
    let height = if lanes > 1 { height - 1.0 } else { height };
    let width = Percent::of(block.end - block.start, end);
    let class = match block.first.job.0 % 2 {
        _ if block.is_encode() => "e",
        _ if block.is_mixed => "a",
        0 => "a",
        _ => "b",
    };
    let job = block.job().map_or(String::new(), |j| j.0.to_string());
    let density = format!("{:.2}", block.density().max(0.05));
    let at: &[(_, &dyn std::fmt::Display)] = &[
        ("class", &class),
        ("x", &Percent::of(block.start, end)),
        ("y", &y),
        ("width", &width),
        ("height", &height),
        ("data-j", &job),
        ("fill-opacity", &density),
    ];
    let at = if block.is_mixed { at } else { &at[..at.len() - 1] };
    m.shape("rect", at, format_args!("{}\n{}", what(workload, block, machine), when(block)));
    if width.0 >= NUMBERED_FROM && lanes == 1 && !block.is_mixed && !block.is_encode() {
        let middle = Percent(Percent::of(block.start, end).0 + width.0 / 2.0);
        let class = format!("n {class}");
        let at: &[(_, &dyn std::fmt::Display)] =
            &[("class", &class), ("x", &middle), ("y", &(y + 17.5))];
        m.leaf("text", at, block.first.job.0);
    }
}

/// What a block does, for its hover text.
fn what(workload: &Workload, block: &Block, machine: Machine) -> String {
    if block.is_mixed {
        let (first, last, count) = (block.first.job.0, block.last.job.0, block.operations);
        return format!("{}: {count} operations, job {first} to job {last}", machine.name());
    }
    let first = operation_name(workload, &block.first);
    let name = match block.operations {
        1 => first,
        count => {
            let last = operation_name(workload, &block.last);
            format!("{first} … {last} ({count} operations)")
        }
    };
    format!("job {} on the {}: {name}", block.first.job.0, machine.name())
}

fn when(block: &Block) -> String {
    let length = block.end - block.start;
    let idle = length.saturating_sub(block.busy);
    let busy = if block.operations > 1 && idle > Time::ZERO {
        format!(", busy {}", time(block.busy))
    } else {
        String::new()
    };
    format!("{} to {}, {} long{busy}", time(block.start), time(block.end), time(length))
}

/// What an operation is called.
pub(super) fn operation_name(workload: &Workload, operation: &Operation) -> String {
    let model = workload.model_of(operation.job);
    let name = |name: &str| shortened(name, 48);
    match operation.work {
        Work::Layer(layer) => name(&model.layers[layer.index()].name),
        Work::Encode(tensor) => format!("encode {}", name(&model.tensors[tensor.index()].name)),
        Work::Transfer(tensor) => name(&model.tensors[tensor.index()].name),
        Work::Suffix => "remaining layers".to_owned(),
        Work::Download => "outputs".to_owned(),
    }
}
