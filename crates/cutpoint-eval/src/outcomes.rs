//! `outcomes`: what strategies make of settings, simulated from the measured profiles. Settings are
//! JSON lines on standard input, outcomes JSON lines on standard output; scripts/tables asks.

use crate::experiment::{Setting, Strategy, Study};
use crate::origin;
use crate::plans::{Bounds, Figures, plan};
use crate::profiles::Profiles;
use anyhow::Context;
use cutpoint_plan::options::Granularity;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Simulate settings, one JSON object a line, from the measured profiles.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the profiles; without it, testdata/profiles.
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
}

/// A line of the input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    setting: Setting,
    strategy: Strategy,
    #[serde(default = "layer", deserialize_with = "by_name")]
    granularity: Granularity,
    /// Of everything random.
    #[serde(default)]
    seed: u64,
    /// The two-machine flow shop of the literature: no server times and no round trip.
    #[serde(default)]
    without_server: bool,
    /// How often to make the plan and take the time.
    #[serde(default)]
    repeats: usize,
    /// Whether the checker is to prove the lower bound by its own means.
    #[serde(default)]
    prove: bool,
}

fn layer() -> Granularity {
    Granularity::Layer
}

fn by_name<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Granularity, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

/// A line of the output.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    figures: Figures,
    /// Of the first model.
    layers: usize,
    /// One for each repeat.
    plan_ms: Vec<f64>,
    #[serde(flatten)]
    bounds: Option<Bounds>,
}

/// Says where the profiles are from, then answers line by line.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let profiles = Profiles::load(args.profiles.as_deref())?;
    let models: Vec<_> = (profiles.names())
        .map(|name| json!({ "name": name, "takes_jpeg": profiles.takes_jpeg(name) }))
        .collect();
    let about = json!({
        "commit": origin::commit(),
        "machine": origin::machine(),
        "profiles": profiles.origin(),
        "models": models,
    });
    println!("{about}");
    for (number, line) in (1..).zip(std::io::stdin().lines()) {
        let question = serde_json::from_str(&line?);
        let question = question.with_context(|| format!("standard input, line {number}"))?;
        println!("{}", serde_json::to_string(&answer(&profiles, &question)?)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(profiles: &Profiles, question: &Question) -> anyhow::Result<Answer> {
    let mut workload = question.setting.workload(profiles)?;
    if question.without_server {
        workload = workload.without_server_times();
    }
    let study = Study { workload, granularity: question.granularity, seed: question.seed };
    let found = study.plan_by(question.strategy)?;
    let workload = &study.workload;
    let mut plan_ms = Vec::with_capacity(question.repeats);
    for _ in 0..question.repeats {
        let start = Instant::now();
        plan(workload, found.policy, study.granularity)?;
        plan_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Answer {
        figures: Figures::of(&found),
        layers: workload.models().first().map_or(0, |model| model.layers.len()),
        plan_ms,
        bounds: question.prove.then(|| Bounds::of(workload, &found)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutpoint_plan::options::Policy;

    /// A setting from the committed profiles, asked about with a strategy.
    fn question(model: &str, jobs: usize, mbps: f64, strategy: &str, further: &str) -> Question {
        let rtt_ms = if mbps < 10.0 { 50 } else { 5 };
        let text = format!(
            r#"{{"setting":{{"jobs":[["{model}",{jobs}]],"device_fraction":0.25,"forms":"raw",
            "uplink":{{"mbps":{mbps},"rtt_ms":{rtt_ms}}}}},"strategy":"{strategy}"{further}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn makespan_ns(profiles: &Profiles, question: &Question) -> u64 {
        answer(profiles, question).unwrap().figures.makespan_ns
    }

    #[test]
    fn outcomes_repeat_and_joint_is_never_behind_another_policy() {
        let profiles = Profiles::load(None).unwrap();
        let cells = [
            ("alexnet", 5.85),
            ("resnet18", 18.88),
            ("mobilenet-v2", 18.88),
            ("squeezenet", 18.88),
        ];
        for (model, mbps) in cells {
            for jobs in [1, 2, 3, 5, 10, 20, 50, 100] {
                let of =
                    |policy: &str| makespan_ns(&profiles, &question(model, jobs, mbps, policy, ""));
                let joint = of("joint");
                assert_eq!(joint, of("joint"), "{jobs} {model}");
                for policy in Policy::ALL.into_iter().filter(|p| *p != Policy::Exhaustive) {
                    assert!(joint <= of(policy.name()), "{jobs} {model}, {policy}");
                }
            }
        }
    }

    #[test]
    fn layer_level_pays_on_branches_and_not_on_chains() {
        let profiles = Profiles::load(None).unwrap();
        let saved = |network: &str| {
            let of = |granularity: &str| {
                let further = format!(r#","granularity":"{granularity}""#);
                makespan_ns(&profiles, &question(network, 1, 18.88, "joint", &further)) as f64
            };
            1.0 - of("layer") / of("job")
        };
        for network in ["four-camera", "multi-head", "fpn-detector"] {
            assert!(saved(network) > 0.05, "{network}");
        }
        for network in ["alexnet", "vgg16"] {
            assert!(saved(network).abs() < 1e-9, "{network}");
        }
    }

    #[test]
    fn answers_have_the_requested_bounds_and_times() {
        let profiles = Profiles::load(None).unwrap();
        let further = r#","prove":true,"repeats":2,"without_server":true"#;
        let found = answer(&profiles, &question("squeezenet", 5, 18.88, "joint", further)).unwrap();
        let bounds = found.bounds.unwrap();
        assert!(bounds.load_bound_ns <= found.figures.makespan_ns);
        assert!(bounds.proved_bound_ns <= found.figures.lower_bound_ns);
        assert!(found.figures.lower_bound_ns <= found.figures.makespan_ns);
        assert_eq!(found.plan_ms.len(), 2);
        let unknown = r#"{"setting":{"jobs":[]},"stratgy":"joint"}"#;
        assert!(serde_json::from_str::<Question>(unknown).is_err());
    }
}
