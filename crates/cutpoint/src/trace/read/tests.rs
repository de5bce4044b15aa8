//! Traces that are read back.

use super::*;
use cutpoint_plan::format::read_workload;
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;
use serde_json::{Value, json};

/// Two jobs of a model of three layers, and a plan for them.
fn example(jobs: u64) -> (Workload, Plan) {
    let layer = |name: &str, reads: &str, writes: &str| {
        json!({ "name": name, "reads": [reads], "writes": { writes: 20_000 }, "device_ms": 2,
                "server_ms": 0.1 })
    };
    let layers = [layer("l.0", "in", "t0"), layer("l.1", "t0", "t1"), layer("l.2", "t1", "t2")];
    let file = json!({
        "schema": "cutpoint.workload/1",
        "link": { "uplink_mbps": 8, "rtt_ms": 4 },
        "server": { "executors": 1 },
        "models": { "m": { "inputs": { "in": 50_000 }, "layers": layers } },
        "jobs": [{ "model": "m", "count": jobs }],
    });
    let workload = read_workload(file.to_string().as_bytes()).unwrap();
    let plan = plan(&workload, Policy::Joint, &PlanOptions::raw(Granularity::Layer)).unwrap();
    (workload, plan)
}

fn trace(events: Value, other: Value) -> Vec<u8> {
    json!({ "traceEvents": events, "otherData": other }).to_string().into_bytes()
}

fn event(machine: &str, name: &str, job: u64, ts: f64, dur: f64) -> Value {
    json!({ "name": name, "ph": "X", "pid": 2, "cat": machine, "ts": ts, "dur": dur,
            "args": { "job": job, "model": "m" } })
}

#[test]
fn a_trace_gives_its_measured_operations() {
    let (workload, plan) = example(2);
    let json = trace(
        json!([
            event("uplink", "job 0 t0", 0, 2500.0, 1000.0),
            event("device", "job 1 l.2", 1, 2000.5, 6000.0),
            event("device", "job 0 l.0", 0, 0.0, 2000.0),
            event("server", "job 0 suffix", 0, 5500.0, 250.0),
            { "name": "job 0 l.0", "ph": "X", "pid": 1, "tid": 0, "ts": 0, "dur": 1, "args": { "job": 0 } },
            { "name": "job", "ph": "s", "pid": 2, "tid": 0, "ts": 0 }
        ]),
        json!({ "planned_makespan_ms": plan.makespan.milliseconds(), "measured_makespan_ms": 9.25,
                "fallbacks": [{ "job": 1, "cause": "no answer" }] }),
    );
    let measured = read_measured(&json, &workload, &plan).unwrap().unwrap();
    let counts = [&measured.schedule.device, &measured.schedule.uplink, &measured.schedule.server];
    assert_eq!(counts.map(Vec::len), [2, 1, 1]);
    assert_eq!(measured.schedule.device[0].job, JobId(0));
    assert_eq!(measured.schedule.device[1].start, Time::from_nanoseconds(2_000_500));
    let completions = [5_750_000, 8_000_500].map(|t| Some(Time::from_nanoseconds(t)));
    assert_eq!(measured.completions, completions);
    assert_eq!(measured.makespan, Time::from_nanoseconds(9_250_000));
    assert_eq!(measured.fallbacks, [(JobId(1), "no answer".to_owned())]);
}

#[test]
fn only_a_trace_of_another_plan_or_workload_is_refused() {
    let (workload, plan) = example(1);
    let read = |events: Value, other: Value| read_measured(&trace(events, other), &workload, &plan);
    assert_eq!(read(json!([]), json!({})).unwrap(), None);
    let refused = [
        (json!([event("device", "job 7 l.0", 7, 0.0, 1.0)]), json!({}), "no job 7"),
        (
            json!([event("device", "job 0 l.9", 0, 0.0, 1.0)]),
            json!({}),
            "no layer or tensor \"l.9\"",
        ),
        (
            json!([event("printer", "job 0 l.0", 0, 0.0, 1.0)]),
            json!({}),
            "unknown machine \"printer\"",
        ),
        (
            json!([event("device", "job 0 l.0", 0, -1.0, 1.0)]),
            json!({}),
            "invalid ts: -0.001 ms is not a time",
        ),
        (
            json!([
                event("device", "job 0 l.0", 0, 2e15, 1.0),
                event("device", "job 0 l.1", 0, 2e15, 1.0)
            ]),
            json!({}),
            "too long",
        ),
        (json!([]), json!({ "planned_makespan_ms": 1e6 }), "of another plan"),
    ];
    for (events, other, expected) in refused {
        let error = read(events, other).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(read_measured(b"{", &workload, &plan).is_err());
}
