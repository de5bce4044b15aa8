//! The page as a whole, what it is made from, and the layout of models.

use crate::report::cuts::cuts_in_use;
use crate::report::model_layout::{common_name, lanes, layer_order, prefix_length, units};
use crate::report::plane::cloud;
use crate::report::verdict::Places;
use crate::report::{Report, policy_outcomes, render_report};
use crate::trace::read_measured;
use cutpoint_plan::format::read_workload;
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
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

fn page(workload: &Workload, plan: &Plan) -> String {
    let policies = policy_outcomes(workload, plan.granularity);
    render_report(&Report { workload, plan, measured: None, policies: &policies })
}

#[test]
fn names_from_files_are_nothing_but_text() {
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
    let policies = policy_outcomes(&workload, plan.granularity);
    let report =
        Report { workload: &workload, plan: &plan, measured: Some(&measured), policies: &policies };
    let page = render_report(&report);
    for tag in ["<script", "</script", "<style", "</style", "<title>Cutpoint"] {
        assert_eq!(page.matches(tag).count(), 1, "{tag}");
    }
    for tag in ["<img", "<b>", "<!--", "\"'>"] {
        assert_eq!(page.matches(tag).count(), 0, "{tag}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.contains("&lt;script&gt;alert"));
}

#[test]
fn five_hundred_jobs_fit_in_a_megabyte() {
    let workload =
        workload(json!({ "m": branches(6) }), json!([{ "model": "m", "count": 500 }]), 8.0);
    let page = page(&workload, &joint(&workload));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert!(page.contains("500 jobs and their cuts"));
}

#[test]
fn a_page_of_no_jobs_says_so() {
    let workload = workload(json!({ "m": line(3) }), json!([]), 8.0);
    assert!(page(&workload, &joint(&workload)).contains("There is nothing to do"));
}

#[test]
fn on_a_slow_link_the_advice_is_not_to_split() {
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
fn a_cut_in_use_is_a_line_across_the_rows() {
    let jobs = json!([{ "model": "m", "count": 6 }]);
    let workload = workload(json!({ "m": branches(2) }), jobs, 8.0);
    let plan = joint(&workload);
    let cuts = cuts_in_use(&workload, &plan, ModelId(0));
    let model = &workload.models[0];
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
        let model = &workload.models[0];
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
    let model = &workload.models[0];
    let order = layer_order(model, &[]);
    assert_eq!(units(model, &order, &[]).len(), 26);
    assert_eq!(common_name(model, &order[1..5]), Some("block0"));
    assert_eq!(common_name(model, &order[1..4]), None);
}

#[test]
fn branches_take_lanes_of_their_own_and_give_them_back() {
    let workload = workload(json!({ "m": branches(1) }), json!([{ "model": "m" }]), 8.0);
    let model = &workload.models[0];
    let order = layer_order(model, &[]);
    let slices = lanes(model, &order, &units(model, &order, &[]));
    // Input, stem, left, right, side, join, head. While left's output waits in lane 1, right takes
    // over lane 0, which the block's input leaves.
    let nodes: Vec<usize> = slices.iter().map(|s| s.node).collect();
    assert_eq!(nodes, [0, 0, 1, 0, 0, 0, 0]);
    let waiting: Vec<usize> = slices[4].through.iter().map(|t| t.0).collect();
    assert_eq!(waiting, [1]);
    assert_eq!(slices[5].into.len(), 2);
    assert!(slices[6].out.is_empty());
}

#[test]
fn the_plane_has_every_downward_closed_set() {
    let workload = workload(json!({ "m": branches(1) }), json!([{ "model": "m" }]), 8.0);
    let cloud = cloud(&workload.models[0], &workload.link, &[]);
    // Nothing; stem; stem with left, with right, with both, each of the latter also with side;
    // all but the head; all.
    assert_eq!((cloud.cuts, cloud.is_complete), (9, true));
    // 50,000 B at 8 Mbit/s take 50 ms; all six layers take 12 ms.
    let ends = [cloud.hull[0], *cloud.hull.last().unwrap()];
    let ms = |t: u64| Time::from_nanoseconds(t * 1_000_000);
    assert_eq!(ends, [(ms(0), ms(50)), (ms(12), ms(0))]);
}
