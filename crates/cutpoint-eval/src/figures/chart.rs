//! Lines over a common axis as a self-contained SVG: axes with labels, a legend that does not rely on
//! colour alone, light and dark.

use std::fmt::Write;

/// A named line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub name: String,
    /// By x.
    pub points: Vec<(f64, f64)>,
}

/// Lines in one frame; the x axis is logarithmic.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub title: String,
    pub x_label: &'static str,
    pub y_label: &'static str,
    /// Where the x axis has marks.
    pub x_marks: Vec<f64>,
    pub lines: Vec<Line>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 180.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 52.0;

const CAPTION_LINE: f64 = 15.0;

/// How many marks the y axis has.
const Y_MARKS: u32 = 5;

/// Colours that stay apart for every kind of sight (Okabe and Ito), each with a dash pattern.
const STYLES: [(&str, &str); 8] = [
    ("#0072b2", ""),
    ("#d55e00", "7 3"),
    ("#009e73", "2 3"),
    ("#cc79a7", "9 3 2 3"),
    ("#e69f00", "5 2"),
    ("#56b4e9", "1 2"),
    ("#7a7a7a", "4 4"),
    ("#000000", "12 3"),
];

/// Several charts one below the other in one file.
pub(crate) fn render(charts: &[Chart], caption: &[String]) -> String {
    let foot = CAPTION_LINE * caption.len() as f64 + 14.0;
    let height = HEIGHT * charts.len() as f64 + foot;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<style>\
         .paper{{fill:#fff}}text{{fill:#222}}.grid{{stroke:#ddd}}.axis{{stroke:#666}}\
         @media (prefers-color-scheme:dark){{.paper{{fill:#181818}}text{{fill:#ddd}}\
         .grid{{stroke:#333}}.axis{{stroke:#999}}.ink7{{stroke:#fff}}}}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    for (position, chart) in charts.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate(0 {})\">", position as f64 * HEIGHT);
        chart.draw(&mut svg);
        svg.push_str("</g>\n");
    }
    for (line, text) in (1..).zip(caption) {
        let y = height - foot + CAPTION_LINE * f64::from(line);
        let _ = writeln!(svg, "<text x=\"12\" y=\"{y}\" font-size=\"10\">{}</text>", escaped(text));
    }
    svg.push_str("</svg>\n");
    svg
}

impl Chart {
    fn draw(&self, svg: &mut String) {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let (low, high) = self
            .x_marks
            .iter()
            .chain(all().map(|(x, _)| x))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
        let top = round_up(all().fold(0.0f64, |most, (_, y)| most.max(*y)));
        let x = |value: f64| {
            let share = (value / low).ln() / (high / low).ln().max(1e-9);
            LEFT + share * (WIDTH - LEFT - RIGHT)
        };
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
        self.draw_axes(svg, &x, &y, top);
        for (i, line) in self.lines.iter().enumerate() {
            let (colour, dash) = STYLES[i % STYLES.len()];
            let points: String = (line.points.iter())
                .map(|&(px, py)| format!("{:.1},{:.1} ", x(px), y(py)))
                .collect();
            let ink = i % STYLES.len();
            let stroke = format!("stroke=\"{colour}\" stroke-dasharray=\"{dash}\"");
            let _ = writeln!(
                svg,
                "<polyline class=\"ink{ink}\" points=\"{}\" fill=\"none\" stroke-width=\"2\" {stroke}>\
                 <title>{}</title></polyline>",
                points.trim_end(),
                escaped(&line.name)
            );
            let (at, from) = (TOP + 18.0 * i as f64, WIDTH - RIGHT + 14.0);
            let _ = writeln!(
                svg,
                "<line class=\"ink{ink}\" x1=\"{from}\" y1=\"{at}\" x2=\"{}\" y2=\"{at}\" \
                 stroke-width=\"2\" {stroke}/><text x=\"{}\" y=\"{}\">{}</text>",
                from + 28.0,
                from + 34.0,
                at + 4.0,
                escaped(&line.name)
            );
        }
    }

    fn draw_axes(
        &self,
        svg: &mut String,
        x: &dyn Fn(f64) -> f64,
        y: &dyn Fn(f64) -> f64,
        top: f64,
    ) {
        let (floor, end) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let title = escaped(&self.title);
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{title}</text>");
        for mark in 0..=Y_MARKS {
            let value = top * f64::from(mark) / f64::from(Y_MARKS);
            let (at, shown) = (y(value), number(value));
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{end}\" y2=\"{at:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{shown}</text>",
                LEFT - 6.0,
                at + 4.0
            );
        }
        for &mark in &self.x_marks {
            let (at, shown) = (x(mark), number(mark));
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{floor}\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{shown}</text>",
                floor + 16.0
            );
        }
        let middle = (LEFT + end) / 2.0;
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{floor}\" x2=\"{end}\" y2=\"{floor}\"/>\
             <line class=\"axis\" x1=\"{LEFT}\" y1=\"{TOP}\" x2=\"{LEFT}\" y2=\"{floor}\"/>\
             <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 16.0,
            escaped(self.x_label),
            (TOP + floor) / 2.0,
            escaped(self.y_label)
        );
    }
}

/// The next number up that is a short one times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|&step| step >= value * 0.999).unwrap_or(value)
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_every_line_and_no_number_that_is_none() {
        let line =
            |name: &str, points: &[(f64, f64)]| Line { name: name.into(), points: points.into() };
        let chart = Chart {
            title: "a < b".into(),
            x_label: "jobs",
            y_label: "ms",
            x_marks: vec![1.0, 10.0, 100.0],
            lines: vec![line("one", &[(1.0, 3.0), (100.0, 1.0)]), line("two", &[(1.0, 0.0)])],
        };
        let svg = render(&[chart.clone(), chart], &["seed 0 & more".to_owned()]);
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert!(svg.contains("a &lt; b") && svg.contains("seed 0 &amp; more"));
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("\"-"), "{svg}");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        let found = [0.0, 0.9, 1.0, 2.2, 2.6, 70.0].map(|value| number(round_up(value)));
        assert_eq!(found, ["1", "1", "1", "2.5", "3", "80"]);
    }
}
