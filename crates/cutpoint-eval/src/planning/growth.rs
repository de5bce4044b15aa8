//! How do the time and the memory of planning grow with the number of jobs?

use cutpoint_plan::instances::{fill_like_cnn, inception, line, unit_link, workload};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::Bandwidth;
use cutpoint_plan::workload::{Link, Server, Workload};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Time the planning of more and more jobs of ten models, each number in a process of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The numbers of jobs; multiples of 10.
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        default_value = "1000,3160,10000,31620,100000,316200,1000000"
    )]
    jobs: Vec<usize>,

    /// The models and their times.
    #[arg(long, default_value_t = 11)]
    seed: u64,

    /// How often each plan is made; the fastest counts.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    repeats: usize,

    /// Draws time over jobs, both on logarithmic scales, into this SVG file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Plans in this process and prints what it took: what the program asks of itself.
    #[arg(long, hide = true)]
    in_process: bool,
}

/// Prints a Markdown table.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let (true, [jobs]) = (args.in_process, args.jobs.as_slice()) {
        let (time_ms, memory_mb) = measure(*jobs, args)?;
        println!("{time_ms} {memory_mb}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("jobs of ten models, seed {}, fastest of {}\n", args.seed, args.repeats);
    println!("| jobs | plan ms | per n log n, relative to the first | peak memory MB |");
    println!("|---|---|---|---|");
    let mut points: Vec<(f64, f64)> = Vec::new();
    for &jobs in &args.jobs {
        let (time_ms, memory_mb) = ask(jobs, args)?;
        let n = jobs as f64;
        points.push((n, time_ms));
        let each = |(n, ms): (f64, f64)| ms / (n * n.log2());
        let relative = each((n, time_ms)) / each(points[0]);
        println!("| {jobs} | {time_ms:.2} | {relative:.2} | {memory_mb:.0} |");
    }
    if let Some(path) = &args.output {
        std::fs::write(path, plot(&points))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What another process of this program says.
fn ask(jobs: usize, args: &Args) -> anyhow::Result<(f64, f64)> {
    let output = Command::new(std::env::current_exe()?)
        .args(["plan-growth", "--in-process", "--jobs", &jobs.to_string()])
        .args(["--seed", &args.seed.to_string(), "--repeats", &args.repeats.to_string()])
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "planning {jobs} jobs failed: {error}");
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    match numbers.as_slice() {
        [time_ms, memory_mb] => Ok((*time_ms, *memory_mb)),
        _ => anyhow::bail!("expected two numbers, got {text:?}"),
    }
}

/// The fastest plan in milliseconds, and the largest memory of this process in MB.
fn measure(jobs: usize, args: &Args) -> anyhow::Result<(f64, f64)> {
    let workload = jobs_of_ten_models(jobs, args.seed);
    let mut fastest = f64::INFINITY;
    for _ in 0..args.repeats.max(1) {
        let start = Instant::now();
        let made = plan(&workload, Policy::Joint, &PlanOptions::raw(Granularity::Layer))?;
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3);
        drop(made);
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kilobytes: f64 = kilobytes.unwrap_or("0").trim().parse()?;
    Ok((fastest, kilobytes / 1e3))
}

fn jobs_of_ten_models(jobs: usize, seed: u64) -> Workload {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let models = (0..10).map(|m| {
        let shape = if m % 2 == 0 { inception() } else { line(20 + 3 * m) };
        fill_like_cnn(&mut rng, &format!("model{m}"), &shape, false)
    });
    let uplink = Bandwidth::from_mbit_per_s(18.88).expect("positive and finite");
    let link = Link { uplink, ..unit_link() };
    workload(models.collect(), &[jobs / 10; 10], link, Server { executors: None })
}

/// The points and a line of slope n log n through the first of them.
fn plot(points: &[(f64, f64)]) -> String {
    let (width, height, margin) = (640.0, 420.0, 60.0);
    let span = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (n_low, n_high) = span(&mut points.iter().map(|p| p.0));
    let guide: Vec<(f64, f64)> = (points.iter())
        .map(|&(n, _)| (n, points[0].1 * n * n.log2() / (points[0].0 * points[0].0.log2())))
        .collect();
    let (ms_low, ms_high) = span(&mut points.iter().chain(&guide).map(|p| p.1));
    let scale = |v: f64, low: f64, high: f64| (v / low).ln() / (high / low).ln().max(1e-9);
    let x = |n: f64| margin + scale(n, n_low, n_high) * (width - 2.0 * margin);
    let y = |ms: f64| height - margin - scale(ms, ms_low, ms_high) * (height - 2.0 * margin);
    let path = |points: &[(f64, f64)]| {
        points.iter().map(|&(n, ms)| format!("{:.1},{:.1} ", x(n), y(ms))).collect::<String>()
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{margin}\" y=\"24\">Planning time over jobs; dashed: n log n</text>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#888\" stroke-dasharray=\"5 4\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#0072b2\" stroke-width=\"2\"/>\n",
        path(&guide),
        path(points)
    );
    for &(n, ms) in points {
        let (x, y) = (x(n), y(ms));
        let (below, beside) = (height - margin + 18.0, y - 8.0);
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#0072b2\"/>\
             <text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{n}</text>\
             <text x=\"{x:.1}\" y=\"{beside:.1}\" text-anchor=\"end\">{ms:.1} ms</text>"
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_every_point_inside() {
        let points = [(1e3, 1.0), (1e4, 20.0), (1e6, 900.0)];
        let svg = plot(&points);
        assert_eq!(svg.matches("<circle").count(), points.len());
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("\"-"));
    }

    #[test]
    fn every_model_has_its_share_of_the_jobs() {
        let workload = jobs_of_ten_models(100, 3);
        assert_eq!(workload.jobs.len(), 100);
        assert_eq!(workload.models.len(), 10);
    }
}
