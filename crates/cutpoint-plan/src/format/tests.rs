use super::*;
use crate::error::*;
use crate::plan::Plan;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

fn load(name: &str) -> Vec<u8> {
    std::fs::read(testdata(name)).unwrap_or_else(|e| panic!("testdata/{name}: {e}"))
}

fn json_files(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(testdata(folder)).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|n| n.ends_with(".json")).collect();
    names.sort();
    names
}

/// A file's name says the code it is refused with: `CODE.json` or `CODE--VARIANT.json`.
fn code_in_name(name: &str) -> &str {
    name.trim_end_matches(".json").split("--").next().unwrap()
}

fn check_refusals(folder: &str, read: impl Fn(&[u8]) -> Option<InputError>, expected: Expect) {
    let mut found = String::new();
    for name in json_files(folder) {
        let error = read(&load(&format!("{folder}/{name}")));
        let error = error.unwrap_or_else(|| panic!("{folder}/{name} is accepted"));
        assert_eq!(error.code(), code_in_name(&name), "{folder}/{name}: {error}");
        writeln!(found, "{name} | {} | {}", error.place, error.message).unwrap();
    }
    expected.assert_eq(&found);
}

#[test]
fn workloads_that_break_a_rule_are_refused_with_its_code_and_place() {
    check_refusals(
        "invalid/workload",
        |json| read_workload(json).err(),
        expect![[r#"
        cycle--self.json | models.pair.layers | layers wait for each other: second -> second
        cycle.json | models.pair.layers | layers wait for each other: second -> third -> first -> second
        duplicate-key--field.json | link | duplicate field `rtt_ms` at line 5 column 25
        duplicate-key.json | models.pair.inputs | duplicate key "in" at line 14 column 8
        duplicate-layer.json | models.pair.layers[1].name | layer "first" is already at position 0
        missing-key.json | models.pair.layers[0] | missing field `device_ms` at line 34 column 5
        negative--bandwidth.json | link.uplink_mbps | found -1, expected 0 or more
        negative--size.json | models.pair.inputs.in | found -1, expected 0 or more
        negative.json | models.pair.layers[1].device_ms | found -5, expected 0 or more
        not-finite.json | link.uplink_mbps | the number is not finite
        not-whole.json | jobs[0].count | found 1.5, expected a whole number
        schema.json | schema | schema is "cutpoint.workload/2", expected "cutpoint.workload/1"
        syntax--empty.json |  | not JSON: EOF while parsing a value at line 2 column 0
        syntax--not-a-number.json | link.uplink_mbps | not JSON: expected value at line 4 column 18
        syntax--trailing.json |  | not JSON: trailing characters at line 57 column 1
        syntax.json | link | not JSON: trailing comma at line 1 column 66
        too-large--executors.json | server.executors | found 4294967296, expected at most 4294967295
        too-large.json | models.pair.layers[0].writes.mid.bytes | found 9223372036854775809, expected at most 9223372036854775808
        too-long.json | models.pair.layers[0].server_ms | 1000000000000000 ms is longer than the longest time, 2^61 ns (73 years)
        too-many.json | jobs | found 2000000 jobs, expected at most 1048576
        total-time--slow-link.json | jobs | all operations of all jobs together may take longer than 2^61 ns (73 years)
        total-time.json | jobs | all operations of all jobs together may take longer than 2^61 ns (73 years)
        unknown-key--encoding.json | models.pair.layers[0].writes.mid.encodings.f16.size | unknown field `size`, expected one of `bytes`, `encode_ms`, `decode_ms` at line 29 column 15
        unknown-key.json | models.pair.layers[0].divice_ms | unknown field `divice_ms`, expected one of `name`, `reads`, `writes`, `device_ms`, `server_ms` at line 35 column 16
        unknown-model.json | jobs[1].model | the workload has no model "Pair"
        unknown-tensor--output.json | models.pair.outputs[0] | tensor "result" is neither an input nor written by a layer
        unknown-tensor.json | models.pair.layers[1].reads[1] | tensor "middle" is neither an input nor written by a layer
        written-twice--input.json | models.pair.layers[1].writes.in | tensor "in" is already an input or written by another layer
        written-twice.json | models.pair.layers[1].writes.mid | tensor "mid" is already an input or written by another layer
        wrong-type--size.json | models.pair.inputs.in | invalid type: string "10000", expected a number of bytes, or an object with bytes and encodings at line 13 column 17
        wrong-type.json | models.pair.layers[0].device_ms | invalid type: string "3", expected f64 at line 33 column 21
    "#]],
    );
}

#[test]
fn plans_of_another_workload_are_refused_with_code_and_place() {
    let workload = read_workload(&load("workloads/two-jobs.json")).unwrap();
    check_refusals(
        "invalid/plan",
        |json| read_plan(json, &workload).err(),
        expect![[r#"
        job-count.json | jobs | the plan has 1 jobs, the workload 2
        job-number.json | jobs[1].job | found job 0, expected job 1
        layer-or-encode--neither.json | schedule.device[1] | expected either `layer` or `encode`
        layer-or-encode.json | schedule.device[1] | expected either `layer` or `encode`
        missing-key.json | jobs[1] | missing field `uploads` at line 31 column 3
        negative.json | schedule.server[1].start_ms | found -1, expected 0 or more
        repeated-layer.json | jobs[0].device_layers[1] | layer "first" is listed twice
        schema.json | schema | schema is "cutpoint.workload/1", expected "cutpoint.plan/1"
        too-long.json | makespan_ms | 10000000000000000 ms is longer than the longest time, 2^61 ns (73 years)
        unknown-encoding.json | jobs[0].uploads[0].encoding | the tensor has no encoding "f8"
        unknown-job.json | schedule.uplink[1].job | the workload has no job 2
        unknown-key.json | schedule.server[0].layer | unknown field `layer`, expected one of `job`, `start_ms`, `end_ms` at line 78 column 11
        unknown-layer--job.json | jobs[0].device_layers[1] | the job's model has no layer "fourth"
        unknown-layer.json | schedule.device[2].layer | the job's model has no layer "third"
        unknown-name--granularity.json | granularity | unknown granularity "tensor"; expected layer or job
        unknown-name.json | policy | unknown policy "best"; expected one of local-only, server-only, partition-only, schedule-only, best-single, adjacent, joint, exhaustive
        unknown-tensor.json | jobs[0].uploads[0].tensor | tensor "middle" is neither an input nor written by a layer
        wrong-gap.json | gap | the gap is 0.75 by makespan and lower bound, the plan says 0.5
        wrong-model.json | jobs[1].model | the plan says model "other", the workload "pair"
    "#]],
    );
}

#[test]
fn every_code_has_a_file_and_a_paragraph() {
    let docs = std::fs::read_to_string(testdata("../docs/errors.md")).unwrap();
    let section = docs.split("\n## ").find(|s| s.starts_with("Files")).unwrap();
    let described: BTreeSet<&str> =
        section.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let names = [json_files("invalid/workload"), json_files("invalid/plan")].concat();
    let tested: BTreeSet<&str> = names.iter().map(|name| code_in_name(name)).collect();
    let coded: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    assert!(coded.len() > 20, "{coded:?}");
    assert_eq!(described, coded);
    assert_eq!(tested, coded);
}

#[test]
fn the_example_of_the_format_is_read_as_written() {
    let workload = read_workload(&load("workloads/alexnet.json")).unwrap();
    assert_eq!(workload.jobs.len(), 100);
    let model = &workload.models[0];
    assert_eq!(model.layers[0].device.nanoseconds(), 12_100_000);
    assert_eq!(model.tensors[2].name, "pool1_out");
    assert_eq!(model.tensors[2].encodings[0].name, "u8+zstd");
    assert_eq!(model.tensors[2].encodings[0].encode.nanoseconds(), 300_000);
    assert_eq!(workload.link.round_trip.nanoseconds(), 5_000_000);
}

#[test]
fn defaults_match_the_file_format() {
    let json = br#"{ "schema": "cutpoint.workload/1", "link": { "uplink_mbps": 0 }, "models": {
        "m": { "inputs": { "in": 6e2, "spare": 1 }, "layers": [
            { "name": "b", "reads": ["x", "x"], "writes": { "y": 1, "z": 2 }, "device_ms": 1 },
            { "name": "a", "reads": ["in"], "writes": { "x": 3 }, "device_ms": 2 }] } },
        "jobs": [{ "model": "m" }] }"#;
    let workload = read_workload(json).unwrap();
    assert_eq!(workload.jobs.len(), 1);
    assert_eq!(workload.executors, None);
    assert_eq!(workload.link.downlink, None);
    let model = &workload.models[0];
    assert_eq!(model.tensors[0].bytes, 600);
    let names = |ids: &[crate::workload::TensorId]| -> Vec<&str> {
        ids.iter().map(|t| model.tensors[t.index()].name.as_str()).collect()
    };
    assert_eq!(names(&model.outputs), ["y", "z"]);
    assert_eq!(names(&model.layers[0].reads), ["x"]);
    let order: Vec<_> = model.topological.iter().map(|l| l.index()).collect();
    assert_eq!(order, [1, 0]);
}

#[test]
fn empty_workloads_and_empty_models_are_valid() {
    let json = br#"{ "schema": "cutpoint.workload/1", "link": { "uplink_mbps": 1 }, "server": {},
        "models": { "m": { "inputs": {}, "layers": [] } }, "jobs": [{ "model": "m", "count": 0 }] }"#;
    assert_eq!(read_workload(json).unwrap().jobs.len(), 0);
}

#[test]
fn workloads_in_testdata_survive_writing_and_reading() {
    for name in json_files("workloads") {
        let workload = read_workload(&load(&format!("workloads/{name}"))).unwrap();
        let mut json = Vec::new();
        write_workload(&workload, &mut json).unwrap();
        assert_eq!(read_workload(&json).unwrap(), workload, "{name}");
    }
}

/// What fuzzing found, and hand-made extremes: no panic, and what is read can be used.
#[test]
fn the_fuzzing_corpus_does_no_harm() {
    let two_jobs = two_jobs().0;
    let corpus = |kind: &str| {
        let folder = testdata("../fuzz/corpus").join(kind);
        let entries = std::fs::read_dir(folder).unwrap();
        let files: Vec<_> = entries.map(|e| std::fs::read(e.unwrap().path()).unwrap()).collect();
        assert!(!files.is_empty());
        files
    };
    for json in corpus("workload") {
        let Ok(workload) = read_workload(&json) else { continue };
        let mut written = Vec::new();
        write_workload(&workload, &mut written).unwrap();
        assert_eq!(read_workload(&written).unwrap(), workload);
        let granularity = crate::options::Granularity::Layer;
        let bound = crate::check::load_bound(&workload, granularity);
        assert!(bound <= crate::check::simple_makespan(&workload));
        let options = crate::options::PlanOptions::raw(granularity);
        for policy in crate::options::Policy::ALL {
            if let Ok(plan) = crate::policy::plan(&workload, policy, &options) {
                assert_eq!(crate::check::check_plan(&workload, &plan), []);
            }
        }
    }
    for json in corpus("plan") {
        if let Ok(plan) = read_plan(&json, &two_jobs) {
            crate::check::check_plan(&two_jobs, &plan);
        }
    }
}

fn two_jobs() -> (crate::workload::Workload, Plan) {
    let workload = read_workload(&load("workloads/two-jobs.json")).unwrap();
    let plan = read_plan(&load("plans/two-jobs.json"), &workload).unwrap();
    (workload, plan)
}

#[test]
fn a_plan_is_written_as_it_was_read() {
    let (workload, plan) = two_jobs();
    let mut json = Vec::new();
    write_plan(&workload, &plan, &mut json).unwrap();
    let expected = String::from_utf8(load("plans/two-jobs.json")).unwrap();
    assert_eq!(String::from_utf8(json).unwrap(), expected);
}

#[test]
fn names_with_quotes_and_control_characters_survive() {
    let (mut workload, plan) = two_jobs();
    workload.models[0].name = "pa\"ir\n".into();
    workload.models[0].layers[0].name = "\\first\u{7}é".into();
    workload.models[0].tensors[1].name = "/mid:0 \"x\"".into();
    let mut json = Vec::new();
    write_plan(&workload, &plan, &mut json).unwrap();
    assert_eq!(read_plan(&json, &workload).unwrap(), plan);
}

proptest! {
    /// Below 2^51 ns (26 days) milliseconds as 64-bit floating point tell every nanosecond apart.
    #[test]
    fn times_survive_writing_and_reading(nanoseconds in 0u64..1 << 51) {
        let (workload, mut plan) = two_jobs();
        plan.lower_bound = crate::units::Time::from_nanoseconds(nanoseconds);
        plan.makespan = plan.lower_bound;
        let mut json = Vec::new();
        write_plan(&workload, &plan, &mut json).unwrap();
        prop_assert_eq!(read_plan(&json, &workload).unwrap(), plan);
    }

    /// Damaged files are refused or read, never a panic.
    #[test]
    fn damaged_files_do_no_harm(position in 0usize..4000, byte: u8, cut: bool) {
        let workload = read_workload(&load("workloads/two-jobs.json")).unwrap();
        for name in ["workloads/two-cameras.json", "plans/two-jobs.json"] {
            let mut json = load(name);
            let position = position % json.len();
            if cut { json.truncate(position) } else { json[position] = byte }
            let _ = read_workload(&json);
            let _ = read_plan(&json, &workload);
        }
    }
}
