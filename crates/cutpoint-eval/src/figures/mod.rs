//! `figure N`: the experiments as self-contained SVG files, simulated from the measured profiles.

mod chart;

use crate::experiment::{Forms, Setting, Strategy, Study, Uplink};
use crate::origin;
use crate::profiles::Profiles;
use chart::{Chart, Line, render};
use cutpoint_plan::options::{Granularity, Policy};
use std::path::PathBuf;
use std::process::ExitCode;

/// Draw one of the figures of docs/results.md from the measured profiles.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its number.
    #[arg(required_unless_present = "list")]
    number: Option<usize>,

    /// Say what each figure is, and draw none.
    #[arg(long)]
    list: bool,

    /// The SVG file to write; without it, docs/figures/figure-N.svg of the source tree.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The folder of the profiles; without it, testdata/profiles.
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
}

struct Entry {
    title: &'static str,
    make: fn(&Profiles) -> anyhow::Result<Vec<Chart>>,
}

/// All figures; a figure's number is its position, from 1.
const FIGURES: [Entry; 4] = [
    Entry {
        title: "Makespan for each job over the number of jobs, by policy; device 1/4, raw tensors",
        make: over_jobs,
    },
    Entry {
        title: "Makespan over the uplink, relative to the better of local-only and server-only; 50 jobs, \
                device 1/4, raw tensors",
        make: over_uplink,
    },
    Entry {
        title: "What layer level saves over job level, in %, by number of jobs; 18.88 Mbit/s, device 1/4",
        make: layer_level,
    },
    Entry {
        title: "Makespan over the uplink with raw tensors, JPEG inputs and all encodings; 50 jobs, device \
                1/4",
        make: forms,
    },
];

const COUNTS: [usize; 10] = [1, 2, 3, 5, 7, 10, 20, 30, 50, 100];

/// Mbit/s, evenly on a logarithmic axis.
const UPLINKS: [f64; 13] =
    [0.5, 0.8, 1.1, 1.7, 2.5, 4.0, 5.85, 9.0, 13.0, 18.88, 30.0, 55.0, 100.0];

/// Server-only is left out: with raw inputs it is so slow that it would flatten all others.
const POLICIES: [Policy; 6] = [
    Policy::Joint,
    Policy::LocalOnly,
    Policy::PartitionOnly,
    Policy::ScheduleOnly,
    Policy::BestSingle,
    Policy::Adjacent,
];

/// Writes an SVG file.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(number) = args.number.filter(|_| !args.list) else {
        for (number, entry) in (1..).zip(&FIGURES) {
            println!("{number}  {}", entry.title);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(entry) = number.checked_sub(1).and_then(|index| FIGURES.get(index)) else {
        eprintln!("error: there are figures 1 to {}", FIGURES.len());
        return Ok(ExitCode::from(2));
    };
    let profiles = Profiles::load(args.profiles.as_deref())?;
    let charts = (entry.make)(&profiles)?;
    let path = match &args.output {
        Some(path) => path.clone(),
        None => {
            let folder = origin::source_root().join("docs/figures");
            std::fs::create_dir_all(&folder)?;
            folder.join(format!("figure-{number}.svg"))
        }
    };
    let (commit, origin) = (origin::commit(), profiles.origin());
    let caption = [
        format!(
            "cutpoint-eval figure {number}, simulated at commit {commit} from measured profiles:"
        ),
        origin,
    ];
    std::fs::write(&path, render(&charts, &caption))?;
    println!("{}: {}", path.display(), entry.title);
    Ok(ExitCode::SUCCESS)
}

fn makespan_ms(
    profiles: &Profiles,
    setting: &Setting,
    granularity: Granularity,
    policy: Policy,
) -> anyhow::Result<f64> {
    let workload = setting.workload(profiles)?;
    let study = Study { workload, granularity, seed: 0 };
    Ok(study.outcome(Strategy::Policy(policy))?.makespan.milliseconds())
}

fn over_jobs(profiles: &Profiles) -> anyhow::Result<Vec<Chart>> {
    let chart = |network: &str, uplink: Uplink| -> anyhow::Result<Chart> {
        let line = |policy: Policy| -> anyhow::Result<Line> {
            let mut points = Vec::new();
            for count in COUNTS {
                let setting = Setting::identical(network, count).at(uplink);
                let ms = makespan_ms(profiles, &setting, Granularity::Layer, policy)?;
                points.push((count as f64, ms / count as f64));
            }
            Ok(Line { name: policy.to_string(), points })
        };
        Ok(Chart {
            title: format!("{network}, {} Mbit/s", uplink.mbps),
            x_label: "jobs",
            y_label: "makespan / jobs, ms",
            x_marks: vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
            lines: POLICIES.into_iter().map(line).collect::<Result<_, _>>()?,
        })
    };
    Ok(vec![chart("alexnet", Uplink::CELLULAR_4G)?, chart("resnet18", Uplink::WIFI)?])
}

/// A link of another rate with the round trip of Wi-Fi.
fn link(mbps: f64) -> Uplink {
    Uplink { mbps, ..Uplink::WIFI }
}

fn over_uplink(profiles: &Profiles) -> anyhow::Result<Vec<Chart>> {
    let chart = |network: &str| -> anyhow::Result<Chart> {
        let ms = |mbps, policy| {
            let setting = Setting::identical(network, 50).at(link(mbps));
            makespan_ms(profiles, &setting, Granularity::Layer, policy)
        };
        let mut lines = Vec::new();
        for policy in POLICIES.iter().filter(|policy| **policy != Policy::LocalOnly) {
            let mut points = Vec::new();
            for mbps in UPLINKS {
                let whole = ms(mbps, Policy::LocalOnly)?.min(ms(mbps, Policy::ServerOnly)?);
                points.push((mbps, ms(mbps, *policy)? / whole));
            }
            lines.push(Line { name: policy.to_string(), points });
        }
        Ok(Chart {
            title: network.to_owned(),
            x_label: "uplink, Mbit/s",
            y_label: "over the better of local and server",
            x_marks: vec![0.5, 1.1, 2.5, 5.85, 18.88, 50.0, 100.0],
            lines,
        })
    };
    ["alexnet", "resnet18", "vgg16"].into_iter().map(chart).collect()
}

fn layer_level(profiles: &Profiles) -> anyhow::Result<Vec<Chart>> {
    let networks =
        ["four-camera", "multi-head", "fpn-detector", "googlenet", "resnet18", "alexnet"];
    let line = |network: &str| -> anyhow::Result<Line> {
        let mut points = Vec::new();
        for count in COUNTS {
            let setting = Setting::identical(network, count);
            let ms = |granularity| makespan_ms(profiles, &setting, granularity, Policy::Joint);
            let saved = 1.0 - ms(Granularity::Layer)? / ms(Granularity::Job)?;
            points.push((count as f64, saved.max(0.0) * 100.0));
        }
        Ok(Line { name: network.to_owned(), points })
    };
    Ok(vec![Chart {
        title: "Layer level against job level".into(),
        x_label: "jobs",
        y_label: "makespan saved, %",
        x_marks: vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
        lines: networks.into_iter().map(line).collect::<Result<_, _>>()?,
    }])
}

fn forms(profiles: &Profiles) -> anyhow::Result<Vec<Chart>> {
    let chart = |network: &str| -> anyhow::Result<Chart> {
        let kinds = [
            ("joint, all encodings", Forms::All, Policy::Joint),
            ("local-only", Forms::Raw, Policy::LocalOnly),
            ("send every JPEG", Forms::Jpeg, Policy::ServerOnly),
            ("schedule-only, JPEG", Forms::Jpeg, Policy::ScheduleOnly),
            ("joint, raw tensors", Forms::Raw, Policy::Joint),
        ];
        let mut lines = Vec::new();
        for (name, forms, policy) in kinds {
            let mut points = Vec::new();
            for mbps in UPLINKS {
                let setting = Setting::identical(network, 50).at(link(mbps)).with(forms);
                let ms = makespan_ms(profiles, &setting, Granularity::Layer, policy)?;
                points.push((mbps, ms / 50.0));
            }
            lines.push(Line { name: name.to_owned(), points });
        }
        // Sending everything over the slowest link would flatten all other lines.
        let local = lines[1].points[0].1;
        lines[2].points.retain(|(_, ms)| *ms <= 1.5 * local);
        Ok(Chart {
            title: network.to_owned(),
            x_label: "uplink, Mbit/s",
            y_label: "makespan / jobs, ms",
            x_marks: vec![0.5, 1.1, 2.5, 5.85, 18.88, 50.0, 100.0],
            lines,
        })
    };
    ["resnet18", "squeezenet", "open-nsfw"].into_iter().map(chart).collect()
}
