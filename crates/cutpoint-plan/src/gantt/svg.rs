//! The chart as one SVG file: no script, no font, no other file; light or dark as the reader has
//! it; what a bar is shows when the pointer rests on it.

use crate::gantt::chart::{Axis, Bar, Chart, ChartLane};
use crate::units::Time;
use crate::units::count;
use std::fmt::Write;

/// The width of the whole picture.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 48.0;
/// The height of a lane with one row.
const LANE: f64 = 34.0;
/// The least height of a row where a lane has several.
const ROW_MIN: f64 = 6.0;
/// Rows of overlapping bars that are drawn; the bars of further rows go on the last.
const ROWS_MAX: usize = 64;
const LANE_GAP: f64 = 12.0;
/// Bars narrower than this are joined with their neighbours.
const BAR_MIN: f64 = 0.75;
/// Bars narrower than this have no edge: it would cover them, and a busy machine would look idle.
const EDGED_MIN: f64 = 3.0;
/// The width of a digit of a label.
const DIGIT: f64 = 7.0;

/// Okabe and Ito's colours, which people with any kind of colour blindness tell apart, without
/// black and without the palest.
const COLORS: [&str; 6] = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2"];

const STYLE: &str = "\
svg{--ink:#1a1a1a;--soft:#6b6b6b;--line:#d9d9d9;--paper:#ffffff;\
font:12px system-ui,sans-serif}\
@media(prefers-color-scheme:dark){svg{--ink:#ececec;--soft:#a5a5a5;--line:#3d3d3d;--paper:#16181c}}\
.paper{fill:var(--paper)}text{fill:var(--ink)}.soft{fill:var(--soft)}\
.line{stroke:var(--line)}.mark{stroke:var(--ink);stroke-dasharray:4 3}\
.lane{fill:var(--line);opacity:.35}\
rect.b{stroke:var(--paper);stroke-width:.6}text.n{fill:#101010;pointer-events:none;font-size:11px}\
.c5+text.n{fill:#ffffff}.many{fill:var(--soft)}";

/// The chart as SVG. O(bars log bars); the file grows with the bars until they are too narrow to
/// see, and no further.
pub fn render_svg(chart: &Chart) -> String {
    let lanes: Vec<(&ChartLane, Vec<Vec<&Bar>>)> =
        chart.lanes.iter().map(|lane| (lane, lane.rows())).collect();
    let bottom = TOP + lanes.iter().map(|(_, rows)| height(rows) + LANE_GAP).sum::<f64>();
    let (total, title) = (bottom + 34.0, Xml(&chart.title));
    let colors = COLORS.iter().enumerate().map(|(i, color)| format!(".c{i}{{fill:{color}}}"));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total:.0}\" \
         width=\"{WIDTH}\" height=\"{total:.0}\" role=\"img\">\n<title>{title}</title>\n\
         <style>{STYLE}{colors}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{total:.0}\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\" font-weight=\"600\">{title}</text>\n",
        colors = colors.collect::<String>()
    );
    out += &axis(chart, bottom);
    let mut y = TOP;
    for (lane, rows) in &lanes {
        out += &draw_lane(lane, rows, chart.end, y);
        y += height(rows) + LANE_GAP;
    }
    out += &marks(chart, bottom);
    out + "</svg>\n"
}

fn height(rows: &[Vec<&Bar>]) -> f64 {
    (rows.len().min(ROWS_MAX) as f64 * ROW_MIN).max(LANE)
}

/// The column of a moment.
fn x(time: Time, end: Time) -> f64 {
    let share = time.nanoseconds() as f64 / end.nanoseconds().max(1) as f64;
    LEFT + share.min(1.0) * (WIDTH - LEFT - RIGHT)
}

fn axis(chart: &Chart, bottom: f64) -> String {
    let axis = Axis::new(chart.end, 12);
    let (end_x, y) = (x(chart.end, chart.end), bottom + 18.0);
    let line = |x: f64| format!("<path class=\"line\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/>");
    let mut out = String::new();
    for (time, label) in &axis.ticks {
        let x = x(*time, chart.end);
        out += &line(x);
        if x < end_x - 60.0 {
            out += &format!(
                "<text class=\"soft\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>\n"
            );
        }
    }
    let (line, label) = (line(end_x), &axis.end);
    out + &format!(
        "{line}<text x=\"{end_x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>\n"
    )
}

fn marks(chart: &Chart, bottom: f64) -> String {
    let mark = |(time, word): &(Time, String)| {
        let (x, top) = (x(*time, chart.end), TOP - 8.0);
        format!(
            "<path class=\"mark\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"><title>{word}: {time}</title>\
             </path><text class=\"soft\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{word}</text>\n",
            y = top - 3.0,
            word = Xml(word)
        )
    };
    chart.marks.iter().map(mark).collect()
}

fn draw_lane(lane: &ChartLane, rows: &[Vec<&Bar>], end: Time, top: f64) -> String {
    let (full, width) = (height(rows), WIDTH - LEFT - RIGHT);
    let mut out = format!(
        "<text x=\"16\" y=\"{middle:.1}\">{name}</text>\
         <text class=\"soft\" x=\"{right}\" y=\"{middle:.1}\" text-anchor=\"end\">{share:.0} %</text>\
         <rect class=\"lane\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width}\" height=\"{full:.1}\"/>\n",
        middle = top + full / 2.0 + 4.0,
        right = WIDTH - 16.0,
        name = Xml(&lane.name),
        share = lane.busy_share(end) * 100.0
    );
    let row_height = full / rows.len().clamp(1, ROWS_MAX) as f64;
    for (i, row) in rows.iter().enumerate() {
        let y = top + i.min(ROWS_MAX - 1) as f64 * row_height;
        let mut rest = row.as_slice();
        while !rest.is_empty() {
            let (group, after) = rest.split_at(group_length(rest, end));
            out += &draw_bars(group, end, y, row_height);
            rest = after;
        }
    }
    out
}

/// How many bars from the first are drawn as one: those too narrow to see that follow each other
/// closely.
fn group_length(bars: &[&Bar], end: Time) -> usize {
    let left = |bar: &Bar| x(bar.start, end);
    let right = |bar: &Bar| x(bar.end, end);
    if right(bars[0]) - left(bars[0]) >= BAR_MIN {
        return 1;
    }
    let joined = bars.windows(2).take_while(|pair| {
        right(pair[1]) - left(pair[1]) < BAR_MIN
            && left(pair[1]) - right(pair[0]) < BAR_MIN
            && right(pair[1]) - left(bars[0]) < 8.0
    });
    1 + joined.count()
}

fn draw_bars(bars: &[&Bar], end: Time, y: f64, height: f64) -> String {
    let (first, last) = (bars[0], bars[bars.len() - 1]);
    let left = x(first.start, end);
    let width = (x(last.end, end) - left).max(0.4);
    let is_one_job = bars.iter().all(|bar| bar.job == first.job);
    let color = match is_one_job {
        true => format!("c{}", first.job % COLORS.len()),
        false => "many".to_string(),
    };
    let edge = if width < EDGED_MIN { "thin" } else { "b" };
    let operations = count(bars.len(), "operation");
    let what = match bars {
        [bar] => format!("job {}: {}", bar.job, Xml(&bar.label)),
        _ if is_one_job => format!("job {}: {operations}", first.job),
        _ => {
            let (least, most) = (first.job.min(last.job), first.job.max(last.job));
            format!("jobs {least} to {most}: {operations}")
        }
    };
    let length = last.end.saturating_sub(first.start);
    let times = format!("{} to {}, {length}", first.start, last.end);
    let mut out = format!(
        "<rect class=\"{edge} {color}\" x=\"{left:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" \
         height=\"{height:.1}\"><title>{what}\n{times}</title></rect>"
    );
    let label = first.job.to_string();
    if is_one_job && height >= 12.0 && width >= DIGIT * label.len() as f64 + 4.0 {
        out += &format!(
            "<text class=\"n\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>",
            x = left + width / 2.0,
            y = y + height / 2.0 + 4.0
        );
    }
    out + "\n"
}

/// Text with the characters that XML reserves or forbids replaced.
struct Xml<'a>(&'a str);

impl std::fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\t' => f.write_char(' ')?,
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                    f.write_char('\u{fffd}')?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
