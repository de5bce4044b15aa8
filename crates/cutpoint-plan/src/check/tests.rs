use super::*;
use crate::format::{read_plan, read_workload, write_plan};
use crate::options::Granularity;
use crate::plan::Upload;
use crate::testing::{Sample, arb_workload, list_plan};
use crate::workload::{JobId, LayerId, TensorId};
use expect_test::expect;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

fn two_jobs() -> (Workload, Plan) {
    let workload = std::fs::read(testdata("workloads/two-jobs.json")).unwrap();
    let workload = read_workload(&workload).unwrap();
    let plan = std::fs::read(testdata("plans/two-jobs.json")).unwrap();
    let plan = read_plan(&plan, &workload).unwrap();
    (workload, plan)
}

/// Files are named `CODE.json` or `CODE--VARIANT.json`.
fn invalid_plans() -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(testdata("invalid/check")).unwrap();
    let mut files: Vec<_> = entries
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_stem().unwrap().to_str().unwrap().to_string(), std::fs::read(p).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_plan_in_testdata_is_valid() {
    let (workload, plan) = two_jobs();
    assert_eq!(check_plan(&workload, &plan), []);
    assert!(plan.lower_bound <= load_bound(&workload, plan.granularity));
}

#[test]
fn each_tampered_file_is_refused_with_the_code_in_its_name() {
    let (workload, _) = two_jobs();
    let mut found = String::new();
    for (name, json) in invalid_plans() {
        let plan = read_plan(&json, &workload).unwrap_or_else(|e| panic!("{name}: {e}"));
        let violations = check_plan(&workload, &plan);
        let code = name.split("--").next().unwrap();
        assert!(violations.iter().any(|v| v.code() == code), "{name}: {violations:?}");
        let first = violations.iter().find(|v| v.code() == code).unwrap();
        writeln!(found, "{name} | {} | {}", first.place, first.message).unwrap();
    }
    expect![[r#"
        closed-cut | jobs[0] | layer "second" is on the device, but "first", which it reads from, is not
        completion | jobs[0] | complete at 9.000 ms, expected 9.250 ms
        download-once | jobs[1] | 0 downlink blocks, expected 1
        duration | schedule.server[0] | job 0: from 6.500 ms to 7.700 ms, expected a length of 1.250 ms
        duration--backwards | schedule.uplink[1] | job 1: from 10.500 ms to 6.500 ms, expected a length of 4.000 ms
        duration--encoding | schedule.uplink[0] | job 0: from 3.500 ms to 5.500 ms, expected a length of 4.000 ms
        encodes-once | jobs[0] | tensor "mid" is encoded 0 times, expected 1
        encodes-once--not-chosen | jobs[1] | tensor "mid" is encoded 1 times, expected 0
        layers-once | jobs[1] | layer "first" runs 0 times on the device, expected 1
        layers-once--outside-the-cut | jobs[0] | layer "second" runs 1 times on the device, expected 0
        layers-once--twice | jobs[0] | layer "first" runs 2 times on the device, expected 1
        lower-bound | lower_bound_ms | 14.100 ms is above the makespan of this plan, 14.000 ms
        lower-bound--above-a-trivial-plan | lower_bound_ms | 17.000 ms is above what a trivial plan reaches, 16.000 ms
        makespan | makespan_ms | the last completion is 14.000 ms, not 13.000 ms
        one-at-a-time | schedule.device[2] | starts at 3.250 ms, while 1 other runs; the first, schedule.device[1], ends at 3.500 ms
        one-at-a-time--executors | schedule.server[1] | starts at 11.500 ms, while 1 other runs; the first, schedule.server[0], ends at 12.250 ms
        one-at-a-time--uplink | schedule.uplink[1] | starts at 6.500 ms, while 1 other runs; the first, schedule.uplink[0], ends at 7.500 ms
        optimal | optimal | optimal, but the lower bound leaves a gap of 0.75
        precedence | schedule.uplink[0] | job 0: starts at 3.000 ms, but its tensor is ready at 3.500 ms
        precedence--arrival | schedule.server[1] | job 1: starts at 10.500 ms, but its tensors have arrived at 11.500 ms
        precedence--download | schedule.downlink[0] | job 0: starts at 7.500 ms, but its server block ends at 7.750 ms
        precedence--encode | jobs[0] | the encode of "mid" starts at 0 ns, but its layer ends at 3.500 ms
        suffix-once | jobs[0] | 0 server blocks, expected 1
        suffix-once--local-job | jobs[1] | 1 server blocks, expected 0
        transfers-once | jobs[0] | tensor "mid" crosses the uplink 0 times, expected 1
        transfers-once--twice | jobs[1] | tensor "mid" crosses the uplink 2 times, expected 1
        uploads-are-frontier | jobs[1] | tensor "mid" is in uploads 0 times, expected 1
        uploads-are-frontier--input | jobs[1] | tensor "in" is in uploads 1 times, expected 0
        uploads-are-frontier--twice | jobs[1] | tensor "mid" is in uploads 2 times, expected 1
    "#]].assert_eq(&found);
}

/// Rules that no file can break: reading it refuses them already, or sorts.
const BEYOND_FILES: [PlanRule; 5] = [
    PlanRule::OneEntryPerJob,
    PlanRule::KnownName,
    PlanRule::RightMachine,
    PlanRule::Sorted,
    PlanRule::PossibleTransfer,
];

#[test]
fn every_rule_has_a_paragraph_and_a_tampered_file() {
    let docs = std::fs::read_to_string(testdata("../docs/errors.md")).unwrap();
    let section = docs.split("\n## ").find(|s| s.starts_with("Plans")).unwrap();
    let described: BTreeSet<&str> =
        section.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let coded: BTreeSet<&str> = PlanRule::ALL.iter().map(|rule| rule.code()).collect();
    assert_eq!(described, coded);
    let files = invalid_plans();
    let mut tested: BTreeSet<&str> =
        files.iter().map(|(name, _)| name.split("--").next().unwrap()).collect();
    tested.extend(BEYOND_FILES.iter().map(|rule| rule.code()));
    assert_eq!(tested, coded);
}

/// A plan in memory can be wrong in more ways than a file.
#[test]
fn rules_that_only_typed_plans_can_break_are_checked() {
    let codes = |tamper: &dyn Fn(&mut Workload, &mut Plan)| -> Vec<PlanRule> {
        let (mut workload, mut plan) = two_jobs();
        tamper(&mut workload, &mut plan);
        check_plan(&workload, &plan).iter().map(|v| v.rule).collect()
    };
    let found = codes(&|_, plan| plan.partitions.truncate(1));
    assert_eq!(found, [PlanRule::OneEntryPerJob]);
    let found = codes(&|_, plan| plan.schedule.uplink[0].job = JobId(2));
    assert_eq!(found, [PlanRule::KnownName]);
    let found = codes(&|_, plan| plan.schedule.device[0].work = Work::Layer(LayerId(2)));
    assert_eq!(found, [PlanRule::KnownName]);
    let upload = Upload { tensor: TensorId(1), encoding: Some(1) };
    let found = codes(&|_, plan| plan.partitions[1].uploads[0] = upload.clone());
    assert_eq!(found, [PlanRule::KnownName]);
    let found = codes(&|_, plan| plan.schedule.server[0].work = Work::Download);
    assert_eq!(found, [PlanRule::RightMachine]);
    let found = codes(&|_, plan| plan.schedule.server.reverse());
    assert_eq!(found, [PlanRule::Sorted]);
    let found = codes(&|workload, _| {
        workload.link.uplink = crate::units::Bandwidth::from_mbit_per_s(0.0).unwrap();
    });
    assert_eq!(found, [PlanRule::PossibleTransfer; 2]);
}

#[test]
fn times_may_differ_by_millisecond_rounding_only() {
    let (workload, plan) = two_jobs();
    for (off, is_valid) in [(1, true), (2, false)] {
        let mut plan = plan.clone();
        plan.schedule.device[1].start += Time::from_nanoseconds(off);
        assert_eq!(check_plan(&workload, &plan).is_empty(), is_valid, "{off} ns");
    }
}

#[test]
fn the_bound_of_a_balanced_chain_is_its_load() {
    // One layer of 5 ms, or 5 ms on the link: 10 jobs share the load of two machines, 25 ms each.
    let json =
        br#"{ "schema": "cutpoint.workload/1", "link": { "uplink_mbps": 8 }, "models": { "m":
        { "inputs": { "in": 5000 }, "layers": [{ "name": "a", "reads": ["in"], "device_ms": 5 }] }
        }, "jobs": [{ "model": "m", "count": 10 }] }"#;
    let workload = read_workload(json).unwrap();
    let bound = load_bound(&workload, Granularity::Layer);
    assert_eq!(bound, Time::from_milliseconds(25.0).unwrap());
    assert_eq!(simple_makespan(&workload), Time::from_milliseconds(50.0).unwrap());
}

#[test]
fn a_graph_with_too_many_cuts_gives_a_bound_at_once() {
    let layers: Vec<String> = (0..60)
        .map(|i| {
            format!(
                r#"{{ "name": "{i}", "reads": ["in"], "writes": {{ "t{i}": 9 }}, "device_ms": 1 }}"#
            )
        })
        .collect();
    let json = format!(
        r#"{{ "schema": "cutpoint.workload/1", "link": {{ "uplink_mbps": 8, "downlink_mbps": 0 }},
            "models": {{ "m": {{ "inputs": {{ "in": 5 }}, "layers": [{}] }} }},
            "jobs": [{{ "model": "m" }}] }}"#,
        layers.join(",")
    );
    let workload = read_workload(json.as_bytes()).unwrap();
    assert_eq!(load_bound(&workload, Granularity::Layer), Time::ZERO);
}

#[test]
fn at_job_granularity_transfers_wait_for_the_last_layer() {
    let workload = std::fs::read(testdata("workloads/two-cameras.json")).unwrap();
    let workload = read_workload(&workload).unwrap();
    let mut refused = 0;
    for seed in 0..20 {
        let mut plan = list_plan(&workload, Granularity::Layer, seed);
        plan.granularity = Granularity::Job;
        let violations = check_plan(&workload, &plan);
        assert!(violations.iter().all(|v| v.rule == PlanRule::Precedence), "{violations:#?}");
        refused += usize::from(!violations.is_empty());
    }
    assert!(refused > 0);
}

/// Changes one thing of a valid plan in which every operation is as early as its order allows;
/// `None` where there is nothing to change. `which` selects the thing, `by` is at least
/// 5 ns.
fn tamper(workload: &Workload, plan: &Plan, kind: usize, which: usize, by: Time) -> Option<Plan> {
    if workload.jobs.is_empty() {
        return None;
    }
    let mut plan = plan.clone();
    let machine = Machine::ALL[which % 4];
    let Plan { schedule, partitions, completions, .. } = &mut plan;
    let list = match machine {
        Machine::Device => &mut schedule.device,
        Machine::Uplink => &mut schedule.uplink,
        Machine::Server => &mut schedule.server,
        Machine::Downlink => &mut schedule.downlink,
    };
    let at = (which / 4) % list.len().max(1);
    let job = (which / 4) % workload.jobs.len();
    match kind {
        0 => list.get_mut(at)?.end += by,
        1 => list.get_mut(at)?.start += by,
        2 => {
            // Behind an operation without length there may be room before it.
            let start = list.get(at)?.start;
            if start < by || list.iter().any(|op| op.start == op.end && op.end == start) {
                return None;
            }
            let op = &mut list[at];
            (op.start, op.end) = (op.start - by, op.end - by);
            list.sort_by_key(|op| op.start);
        }
        3 => {
            // A download of nothing may be left out.
            list.get(at).filter(|op| op.work != Work::Download || op.end > op.start)?;
            list.remove(at);
        }
        4 => {
            let again = *list.get(at)?;
            list.insert(at, again);
        }
        5 => completions[job] += by,
        6 => plan.makespan += by,
        7 => plan.lower_bound = plan.makespan + by,
        8 => {
            partitions[job].uploads.pop()?;
        }
        9 => {
            let again = partitions[job].uploads.first()?.clone();
            partitions[job].uploads.push(again);
        }
        10 => {
            let layers = workload.model_of(JobId::at(job)).layers.len();
            let layer = LayerId::at(which / 8 % layers.max(1));
            if layers == 0 {
                return None;
            }
            let set = &mut partitions[job].device_layers;
            if !set.remove(layer) {
                set.insert(layer);
            }
        }
        _ => {
            let upload = partitions[job].uploads.first_mut()?;
            let tensor = &workload.model_of(JobId::at(job)).tensors[upload.tensor.index()];
            // Raw and encoded differ in having an encode.
            upload.encoding = match upload.encoding {
                Some(_) => None,
                None => Some(tensor.encodings.len().checked_sub(1)?),
            };
        }
    }
    Some(plan)
}

fn json(workload: &Workload, plan: &Plan) -> String {
    let mut json = Vec::new();
    write_plan(workload, plan, &mut json).unwrap();
    String::from_utf8(json).unwrap()
}

proptest! {
    #[test]
    fn plans_of_any_cuts_and_order_are_valid(Sample(workload) in arb_workload(), seed: u64) {
        for granularity in [Granularity::Layer, Granularity::Job] {
            let plan = list_plan(&workload, granularity, seed);
            let violations = check_plan(&workload, &plan);
            prop_assert!(violations.is_empty(), "{violations:#?}\n{}", json(&workload, &plan));
        }
    }

    #[test]
    fn our_bound_is_below_every_plan(Sample(workload) in arb_workload(), seed: u64) {
        for granularity in [Granularity::Layer, Granularity::Job] {
            let plan = list_plan(&workload, granularity, seed);
            let bound = load_bound(&workload, granularity);
            prop_assert!(bound <= plan.makespan, "{bound} {}", plan.makespan);
            prop_assert!(bound <= simple_makespan(&workload));
        }
    }

    #[test]
    fn every_tampering_is_refused(
        Sample(workload) in arb_workload(),
        seed: u64,
        which: u16,
        by in 5u64..2_000_000,
    ) {
        for granularity in [Granularity::Layer, Granularity::Job] {
            let plan = list_plan(&workload, granularity, seed);
            for kind in 0..12 {
                let by = Time::from_nanoseconds(by);
                let Some(wrong) = tamper(&workload, &plan, kind, which.into(), by) else { continue };
                let violations = check_plan(&workload, &wrong);
                prop_assert!(!violations.is_empty(), "kind {kind} passes: {}", json(&workload, &wrong));
            }
        }
    }
}
