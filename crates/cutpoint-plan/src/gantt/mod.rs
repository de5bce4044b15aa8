//! Gantt charts of schedules: one chart for plans and for traces, as text and as SVG.
//!
//! A [`Chart`] is a list of lanes, each with bars that belong to jobs. Bars of one lane may overlap
//! (a server with several executors); they are then laid on several rows.

mod chart;
mod svg;
mod text;

#[cfg(test)]
mod tests;

pub use chart::{Bar, Chart, ChartLane};
pub use svg::render_svg;
pub use text::{TextOptions, render_text};
