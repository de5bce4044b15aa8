//! The page as a whole, its data, and the rows of models.

use super::contents::Report;
use super::cuts::cuts_in_use;
use super::data::data;
use super::html;
use super::model_rows::{common_name, edges, layer_order, prefix_length, units};
use super::places::Places;
use super::plane::cloud;
use crate::trace::read_measured;
use cutpoint_plan::format::read_workload;
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::plan::{Machine, Operation, Plan};
use cutpoint_plan::policy::plan;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{ModelId, Workload};
use serde_json::{Value, json};

fn workload(models: Value, jobs: Value, uplink_mbps: f64) -> Workload {
    let file = json!({
        "schema": "cutpoint.workload/1",
        "link": { "uplink_mbps": uplink_mbps, "rtt_ms": 4 },
        "server": { "executors": 1 },
        "models": models,
        "jobs": jobs,
    });
    read_workload(file.to_string().as_bytes()).unwrap()
}

fn joint(workload: &Workload) -> Plan {
    let options = PlanOptions::raw(Granularity::Layer);
    plan(workload, Policy::Joint, &options).unwrap()
}

/// `count` layers in a row, their outputs shrinking.
fn line(count: usize) -> Value {
    let layers = (0..count).map(|i| {
        let reads = if i == 0 { "in".to_owned() } else { format!("t{}", i - 1) };
        let bytes = 40_000 / (i + 1);
        json!({ "name": format!("l.{i}"), "reads": [reads], "device_ms": 2, "server_ms": 0.1,
                "writes": { format!("t{i}"): bytes } })
    });
    json!({ "inputs": { "in": 50_000 }, "layers": layers.collect::<Vec<_>>() })
}

/// A layer, `blocks` times two branches of two layers that meet, and a layer.
fn branches(blocks: usize) -> Value {
    let mut layers = vec![layer("stem", &["in"], "b0", 9000)];
    for b in 0..blocks {
        let [input, left, right, side] =
            [format!("b{b}"), format!("x{b}"), format!("y{b}"), format!("z{b}")];
        layers.push(layer(&format!("block{b}/left"), &[&input], &left, 4000));
        layers.push(layer(&format!("block{b}/right"), &[&input], &right, 4000));
        layers.push(layer(&format!("block{b}/side"), &[&right], &side, 3000));
        layers.push(layer(
            &format!("block{b}/join"),
            &[&left, &side],
            &format!("b{}", b + 1),
            8000,
        ));
    }
    layers.push(layer("head", &[&format!("b{blocks}")], "out", 10));
    json!({ "inputs": { "in": 50_000 }, "layers": layers })
}

fn layer(name: &str, reads: &[&str], writes: &str, bytes: u64) -> Value {
    json!({ "name": name, "reads": reads, "writes": { writes: bytes }, "device_ms": 2,
            "server_ms": 0.1 })
}

fn data_of(workload: &Workload) -> Value {
    data(&Report::new(workload, &joint(workload), None))
}

/// The JSON object that a page holds.
fn embedded(page: &str) -> Value {
    let start = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap().1;
    serde_json::from_str(start.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn names_from_files_are_only_text() {
    let evil = "\"'><script>alert(1)</script><img src=x onerror=alert(2)></title></style>";
    let model = json!({
        "inputs": { evil: 9000 },
        "layers": [
            { "name": evil, "reads": [evil], "device_ms": 3,
              "writes": { "</svg>": { "bytes": 4000, "encodings": { evil: { "bytes": 900 } } } } },
            { "name": "<b>", "reads": ["</svg>"], "writes": { "<!--": 10 }, "device_ms": 9 }
        ]
    });
    let workload = workload(json!({ evil: model }), json!([{ "model": evil, "count": 4 }]), 4.0);
    let plan = joint(&workload);
    let trace = json!({
        "traceEvents": [{ "name": format!("job 0 {evil}"), "ph": "X", "pid": 2, "cat": "device",
                          "ts": 0, "dur": 3000, "args": { "job": 0 } }],
        "otherData": { "fallbacks": [{ "job": 0, "cause": evil }] },
    });
    let measured = read_measured(trace.to_string().as_bytes(), &workload, &plan).unwrap().unwrap();
    let page = html(&workload, &plan, Some(&measured));
    // The script holds no markup, so tags are those of the page.
    let counts = [("<script", 2), ("</script", 2), ("<style", 1), ("</style", 1), ("<title", 1)];
    for (tag, count) in counts {
        assert_eq!(page.matches(tag).count(), count, "{tag}");
    }
    for tag in ["<img", "<b>", "<!--", "\"'>", "</svg"] {
        assert_eq!(page.matches(tag).count(), 0, "{tag}");
    }
    assert!(page.contains("&lt;script&gt;alert"));
    assert_eq!(embedded(&page)["models"][0]["rows"][1]["name"], "<b>");
    assert_eq!(embedded(&page), data(&Report::new(&workload, &plan, Some(&measured))));
}

#[test]
fn five_hundred_jobs_fit_in_a_megabyte() {
    let workload =
        workload(json!({ "m": branches(6) }), json!([{ "model": "m", "count": 500 }]), 8.0);
    let page = html(&workload, &joint(&workload), None);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert_eq!(embedded(&page)["jobs"].as_array().unwrap().len(), 500);
}

#[test]
fn the_page_is_deterministic() {
    let jobs = json!([{ "model": "m", "count": 20 }]);
    let workload = workload(json!({ "m": branches(3) }), jobs, 8.0);
    let plan = joint(&workload);
    assert_eq!(html(&workload, &plan, None), html(&workload, &plan, None));
}

#[test]
fn a_page_without_jobs_says_so_and_has_no_invalid_numbers() {
    let workload = workload(json!({ "m": line(3) }), json!([]), 8.0);
    let page = html(&workload, &joint(&workload), None);
    assert!(page.contains("There is nothing to do") && page.contains("0 jobs of no model"));
    let verdict = page.split_once("<script").unwrap().0;
    assert!(!verdict.contains("NaN") && !verdict.contains("inf"), "{verdict}");
}

#[test]
fn without_javascript_a_page_has_the_verdict_and_the_figures() {
    let jobs = json!([{ "model": "m", "count": 6 }]);
    let workload = workload(json!({ "m": branches(2) }), jobs, 8.0);
    let plan = joint(&workload);
    let page = html(&workload, &plan, None);
    let text = page.split_once("<script").unwrap().0;
    let advice = Places::of(&workload, &plan).advice();
    for expected in [advice.as_str(), "Lower bound", "local-only", " of 10 layers"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_report_with_a_trace_leads_with_what_was_measured() {
    let jobs = json!([{ "model": "m", "count": 2 }]);
    let workload = workload(json!({ "m": line(3) }), jobs, 8.0);
    let plan = joint(&workload);
    let trace = json!({
        "traceEvents": [{ "name": "job 0 l.0", "ph": "X", "pid": 2, "cat": "device",
                          "ts": 0, "dur": 3000, "args": { "job": 0 } }],
        "otherData": { "measured_makespan_ms": 2.0 * plan.makespan.milliseconds() },
    });
    let measured = read_measured(trace.to_string().as_bytes(), &workload, &plan).unwrap().unwrap();
    let page = html(&workload, &plan, Some(&measured));
    assert!(page.contains("<p class=\"lead\">Measured makespan"));
    assert!(page.contains("100.0\u{a0}% above the plan’s"));
    let first = &embedded(&page)["policies"][0];
    assert_eq!((&first["isMeasured"], &first["own"]), (&json!(true), &json!(true)));
    assert_eq!(first["makespan"], 2 * plan.makespan.nanoseconds());
}

#[test]
fn all_rows_use_the_best_proved_bound() {
    let jobs = json!([{ "model": "m", "count": 3 }]);
    let workload = workload(json!({ "m": branches(2) }), jobs, 8.0);
    let weak = Plan { lower_bound: Time::from_nanoseconds(1), optimal: false, ..joint(&workload) };
    let report = Report::new(&workload, &weak, None);
    assert!(report.bound > weak.lower_bound && report.bound <= weak.makespan);
    assert_eq!(data(&report)["bound"], report.bound.nanoseconds());
}

#[test]
fn ten_thousand_jobs_give_bounded_data() {
    let jobs = json!([{ "model": "m", "count": 10_000 }]);
    let workload = workload(json!({ "m": line(3) }), jobs, 8.0);
    let plan = joint(&workload);
    let report = Report {
        workload: &workload,
        plan: &plan,
        measured: None,
        policies: vec![],
        bound: plan.lower_bound,
    };
    let data = data(&report);
    for row in data["timeline"][0]["rows"].as_array().unwrap() {
        let blocks = row["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 1000, "{} blocks", blocks.len());
    }
    assert_eq!((data["jobs"].as_array().unwrap().len(), &data["jobsLeftOut"]), (500, &json!(9500)));
    assert!(data.to_string().len() < 500_000);
}

#[test]
fn the_data_says_how_busy_each_machine_is() {
    let jobs = json!([{ "model": "m", "count": 5 }]);
    let workload = workload(json!({ "m": line(4) }), jobs, 8.0);
    let plan = joint(&workload);
    let data = data_of(&workload);
    for row in data["timeline"][0]["rows"].as_array().unwrap() {
        // One executor: operations of a machine do not overlap.
        let machine = Machine::ALL.into_iter().find(|m| row["machine"] == m.name()).unwrap();
        let length = |o: &Operation| (o.end - o.start).nanoseconds();
        assert_eq!(row["busy"], plan.schedule.on(machine).iter().map(length).sum::<u64>());
    }
}

#[test]
fn the_verdict_on_a_slow_link_is_not_to_split() {
    let jobs = json!([{ "model": "m", "count": 3 }]);
    let workload = workload(json!({ "m": line(4) }), jobs, 0.001);
    let plan = joint(&workload);
    let places = Places::of(&workload, &plan);
    assert_eq!(places, Places { on_device: 3, on_server: 0, cut: 0 });
    assert_eq!(places.advice(), "Do not split: keep every job on the device");
    let some = Places { on_device: 1, on_server: 2, cut: 4 };
    let expected = "Split 4 jobs, keep 1 on the device, send 2 whole to the server";
    assert_eq!(some.advice(), expected);
}

#[test]
fn cuts_in_use_lie_between_rows() {
    let jobs = json!([{ "model": "m", "count": 6 }]);
    let workload = workload(json!({ "m": branches(2) }), jobs, 8.0);
    let plan = joint(&workload);
    let cuts = cuts_in_use(&workload, &plan, ModelId(0));
    let model = &workload.models()[0];
    let order = layer_order(model, &cuts);
    let place = |l: cutpoint_plan::workload::LayerId| order.iter().position(|&o| o == l).unwrap();
    for layer in &order {
        for tensor in &model.layers[layer.index()].reads {
            if let Some(producer) = model.tensors[tensor.index()].producer {
                assert!(place(producer) < place(*layer));
            }
        }
    }
    let units = units(model, &order, &cuts);
    for cut in &cuts {
        let set = &cut.partition.device_layers;
        if let Some(length) = prefix_length(&order, set) {
            let is_between = units.iter().any(|u| u.layers.end == length) || length == 0;
            assert!(is_between, "cut {} is inside a row", cut.letter);
        }
    }
    assert_eq!(cuts.iter().map(|c| c.jobs.len()).sum::<usize>(), 6);
    assert_eq!(cuts[0].letter, "A");
}

#[test]
fn long_models_are_shown_in_few_rows() {
    for (model, least) in [(line(200), 20), (branches(50), 20)] {
        let workload = workload(json!({ "m": model }), json!([{ "model": "m" }]), 8.0);
        let model = &workload.models()[0];
        let order = layer_order(model, &[]);
        let units = units(model, &order, &[]);
        assert!((least..=44).contains(&units.len()), "{} rows", units.len());
        assert_eq!(units.iter().map(|u| u.layers.len()).sum::<usize>(), model.layers.len());
        let device: Time = model.layers.iter().map(|l| l.device).sum();
        assert_eq!(units.iter().map(|u| u.device).sum::<Time>(), device);
    }
}

#[test]
fn short_models_are_shown_layer_by_layer() {
    let workload = workload(json!({ "m": branches(6) }), json!([{ "model": "m" }]), 8.0);
    let model = &workload.models()[0];
    let order = layer_order(model, &[]);
    assert_eq!(units(model, &order, &[]).len(), 26);
    assert_eq!(common_name(model, &order[1..5]), Some("block0"));
    assert_eq!(common_name(model, &order[1..4]), None);
}

#[test]
fn tensors_cross_from_the_row_that_writes_them_to_every_later_row_that_reads_them() {
    let workload = workload(json!({ "m": branches(1) }), json!([{ "model": "m" }]), 8.0);
    let model = &workload.models()[0];
    let order = layer_order(model, &[]);
    let edges = edges(model, &order, &units(model, &order, &[]));
    let names: Vec<_> =
        edges.iter().map(|e| model.tensors[e.tensor.index()].name.as_str()).collect();
    let rows: Vec<_> =
        edges.iter().map(|e| (e.from, e.to.iter().copied().collect::<Vec<_>>())).collect();
    // Rows: inputs, stem, left, right, side, join, head.
    assert_eq!(names, ["in", "b0", "x0", "y0", "z0", "b1", "out"]);
    let expected = [[1].to_vec(), vec![2, 3], vec![5], vec![4], vec![5], vec![6], vec![]];
    assert_eq!(rows, (0..).zip(expected).collect::<Vec<_>>());
}

#[test]
fn the_plane_has_every_downward_closed_set() {
    let workload = workload(json!({ "m": branches(1) }), json!([{ "model": "m" }]), 8.0);
    let cloud = cloud(&workload.models()[0], &workload.link(), &[]);
    // Nothing; stem; stem with left, with right, with both, each of the latter also with side;
    // all but the head; all.
    assert_eq!((cloud.cuts, cloud.is_complete, cloud.outside), (9, true, 0));
    // 50,000 B at 8 Mbit/s take 50 ms; all six layers take 12 ms.
    let ends = [cloud.hull[0], *cloud.hull.last().unwrap()];
    let ms = |t: u64| Time::from_nanoseconds(t * 1_000_000);
    assert_eq!(ends, [(ms(0), ms(50)), (ms(12), ms(0))]);
}
