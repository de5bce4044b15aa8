//! The chart as text of a fixed width.
//!
//! A cell is a slice of time. Cells that one job fills show its number, followed by a line as far
//! as it goes; where several jobs share a cell, its shade says how much of it is busy.

use crate::gantt::chart::{Axis, Bar, Chart, ChartLane};
use crate::units::Time;

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// Columns in all; at least 40 are used.
    pub width: usize,
    /// Whether the output is a terminal that shows colour; colour adds nothing that the text does
    /// not say.
    pub color: bool,
}

/// The rows of overlapping bars that are shown one by one; with more, only how many.
const ROWS_MAX: usize = 4;
/// Columns right of the bars: the share of time that the lane is busy.
const SHARE_WIDTH: usize = 6;
/// Foreground colours that differ for the most common kinds of colour blindness.
const COLORS: [u8; 6] = [33, 208, 43, 220, 171, 117];
const SHADES: [char; 4] = ['░', '▒', '▓', '█'];
const LINE: char = '━';
/// Ends all colours.
const RESET: &str = "\u{1b}[0m";

/// The chart in lines of at most `options.width` columns. O(bars log bars + width).
pub fn render_text(chart: &Chart, options: &TextOptions) -> String {
    let name_width = chart.lanes.iter().map(|l| l.name.chars().count() + 3).max().unwrap_or(0);
    let cells = options.width.max(40).saturating_sub(name_width + SHARE_WIDTH).max(20);
    let mut out = String::new();
    for lane in &chart.lanes {
        out.push_str(&lane_text(lane, chart.end, name_width, cells, options.color));
    }
    let legend = [
        out.contains(LINE).then_some("a number begins its job"),
        out.contains(SHADES).then_some("░▒▓█ short or several jobs, by share of time busy"),
        Some("· idle"),
    ];
    let legend = legend.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let axis = axis_text(chart.end, name_width, cells);
    format!("{}\n{out}{axis}{legend}\n", chart.title)
}

fn lane_text(lane: &ChartLane, end: Time, name_width: usize, cells: usize, color: bool) -> String {
    let mut out = String::new();
    let rows = lane.rows();
    let is_crowded = rows.len() > ROWS_MAX;
    let drawn = match rows.len() {
        0 => vec![row(&[], end, cells)],
        1..=ROWS_MAX => rows.iter().map(|bars| row(bars, end, cells)).collect(),
        _ => vec![crowd(&rows, end, cells)],
    };
    for (i, row) in drawn.iter().enumerate() {
        let name = match (i, drawn.len()) {
            (0, 1) => lane.name.clone(),
            _ => format!("{} {}", lane.name, i + 1),
        };
        out += &format!("{name:<name_width$}{}", row.text(color));
        if i == 0 {
            let share = (lane.busy_share(end) * 100.0).round();
            out += &format!(" {share:>3} %");
        }
        out.push('\n');
        if !is_crowded && row.cells.iter().any(|(sign, _)| SHADES.contains(sign)) {
            out += &jobs_text(row, name_width);
        }
    }
    if is_crowded {
        out += &format!("{:name_width$}up to {} at a time\n", "", rows.len());
    }
    out
}

/// A drawn row: a character and the job it belongs to, if one, for each cell, and the jobs that
/// the cell touches.
struct Row {
    cells: Vec<(char, Option<usize>)>,
    jobs: Vec<Option<(usize, usize)>>,
}

impl Row {
    fn text(&self, color: bool) -> String {
        let (mut out, mut current) = (String::new(), None);
        for &(sign, job) in &self.cells {
            if color && job != current {
                out += &match job {
                    Some(job) => format!("\u{1b}[38;5;{}m", COLORS[job % COLORS.len()]),
                    None => RESET.to_string(),
                };
                current = job;
            }
            out.push(sign);
        }
        if current.is_some() {
            out += RESET;
        }
        out
    }
}

/// The part of each cell that a bar covers, in shares of the cell.
fn coverage(bar: &Bar, end: Time, cells: usize) -> impl Iterator<Item = (usize, f64)> {
    let scale = cells as f64 / end.nanoseconds().max(1) as f64;
    let from = bar.start.nanoseconds() as f64 * scale;
    let to = (bar.end.nanoseconds() as f64 * scale).min(cells as f64);
    (from as usize..(to.ceil() as usize).min(cells)).map(move |cell| {
        let share = to.min(cell as f64 + 1.0) - from.max(cell as f64);
        (cell, share.max(0.0))
    })
}

fn row(bars: &[&Bar], end: Time, cells: usize) -> Row {
    let mut busy = vec![0.0; cells];
    let mut owner: Vec<Option<usize>> = vec![None; cells];
    // Cells that show a bar which has no cell of its own.
    let mut is_shaded = vec![false; cells];
    let mut jobs: Vec<Option<(usize, usize)>> = vec![None; cells];
    for run in bars.chunk_by(|a, b| a.job == b.job && a.end == b.start) {
        let job = run[0].job;
        let whole = Bar { start: run[0].start, end: run[run.len() - 1].end, ..run[0].clone() };
        let mut owns_any = false;
        for (cell, share) in coverage(&whole, end, cells) {
            busy[cell] += share;
            if share >= 0.5 {
                (owner[cell], owns_any) = (Some(job), true);
            }
            let (least, most) = jobs[cell].unwrap_or((job, job));
            jobs[cell] = Some((least.min(job), most.max(job)));
        }
        if !owns_any {
            coverage(&whole, end, cells).for_each(|(cell, _)| is_shaded[cell] = true);
        }
    }
    let mut row = Row { cells: vec![('·', None); cells], jobs };
    let mut cell = 0;
    while cell < cells {
        let length = owner[cell..].iter().take_while(|o| **o == owner[cell]).count();
        let number = owner[cell].map_or(String::new(), |job| job.to_string());
        if owner[cell].is_some() && length > number.len() {
            let signs = number.chars().chain(std::iter::repeat(LINE));
            let filled = signs.take(length).map(|sign| (sign, owner[cell]));
            row.cells.splice(cell..cell + length, filled);
        } else {
            for i in (cell..cell + length).filter(|&i| is_shaded[i] || owner[i].is_some()) {
                row.cells[i] = (shade(busy[i]).unwrap_or('·'), owner[i]);
            }
        }
        cell += length;
    }
    row
}

fn shade(share: f64) -> Option<char> {
    // Rounding may take a share a little above 1.
    (share > 1e-9).then(|| SHADES[((share * 4.0 - 1e-6) as usize).min(3)])
}

/// Many rows in one: the shade says how much of the largest number of bars at a time runs.
fn crowd(rows: &[Vec<&Bar>], end: Time, cells: usize) -> Row {
    let mut busy = vec![0.0; cells];
    for bar in rows.iter().flatten() {
        coverage(bar, end, cells).for_each(|(cell, share)| busy[cell] += share);
    }
    let shades = busy.iter().map(|b| (shade(b / rows.len() as f64).unwrap_or('·'), None));
    Row { cells: shades.collect(), jobs: vec![None; cells] }
}

/// The line under a shaded row that says which jobs it shows, at regular columns.
fn jobs_text(row: &Row, name_width: usize) -> String {
    const SPAN: usize = 14;
    let mut line = format!("{:name_width$}", "");
    for span in row.jobs.chunks(SPAN) {
        let (least, most) =
            span.iter().flatten().fold((usize::MAX, 0), |(l, m), &(a, b)| (l.min(a), m.max(b)));
        let text = match least {
            usize::MAX => String::new(),
            _ if least == most => format!("{least}"),
            _ => format!("{least}..{most}"),
        };
        line += &format!("{text:<SPAN$}");
    }
    format!("{}\n", line.trim_end())
}

fn axis_text(end: Time, name_width: usize, cells: usize) -> String {
    let axis = Axis::new(end, cells / 12);
    let mut rule = vec!['─'; cells];
    let mut labels = vec![' '; cells + SHARE_WIDTH];
    // The label of the end stands under the end of the rule, or reaches a little beyond.
    let end_at = (cells + SHARE_WIDTH).saturating_sub(axis.end.chars().count()).min(cells - 1);
    for (time, label) in &axis.ticks {
        let scale = time.nanoseconds() as f64 / end.nanoseconds().max(1) as f64;
        let at = ((scale * cells as f64) as usize).min(cells - 1);
        rule[at] = '┴';
        if at + label.len() < end_at {
            labels.splice(at..at + label.len(), label.chars());
        }
    }
    (rule[0], rule[cells - 1]) = ('└', '┘');
    labels.splice(end_at..end_at + axis.end.chars().count(), axis.end.chars());
    let (rule, labels): (String, String) = (rule.iter().collect(), labels.iter().collect());
    format!("{0:name_width$}{rule}\n{0:name_width$}{labels}\n", "", labels = labels.trim_end())
}
