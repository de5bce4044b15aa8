use super::*;
use crate::trace::read_measured;
use cutpoint_plan::format::read_workload;
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::policy::plan;

/// A server that takes any number of jobs at a time, and is slow enough to have several.
fn workload() -> Workload {
    let file = json!({
        "schema": "cutpoint.workload/1",
        "link": { "uplink_mbps": 8, "downlink_mbps": 8, "rtt_ms": 2 },
        "models": { "m": {
            "inputs": { "in": 9000 },
            "layers": [
                { "name": "first", "reads": ["in"], "writes": { "mid": 3000 }, "device_ms": 2.5, "server_ms": 1 },
                { "name": "second", "reads": ["mid"], "writes": { "out": 40 }, "device_ms": 50, "server_ms": 9 }
            ]
        } },
        "jobs": [{ "model": "m", "count": 6 }],
    });
    read_workload(file.to_string().as_bytes()).unwrap()
}

fn joint(workload: &Workload) -> Plan {
    let options = PlanOptions::raw(Granularity::Layer);
    plan(workload, Policy::Joint, &options).unwrap()
}

/// A slice as viewers see it, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Slice {
    row: (u64, u64),
    start: u64,
    end: u64,
    job: u64,
}

fn nanoseconds(event: &Value, key: &str) -> u64 {
    (event[key].as_f64().unwrap() * 1e3).round() as u64
}

fn row(event: &Value) -> (u64, u64) {
    (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap())
}

fn slices(trace: &Value) -> Vec<Slice> {
    let events = trace["traceEvents"].as_array().unwrap();
    let slices = events.iter().filter(|e| e["ph"] == "X").map(|e| {
        let start = nanoseconds(e, "ts");
        let (end, job) = (start + nanoseconds(e, "dur"), e["args"]["job"].as_u64().unwrap());
        Slice { row: row(e), start, end, job }
    });
    slices.collect()
}

fn executed(plan: &Plan) -> Execution {
    Execution {
        schedule: plan.schedule.clone(),
        completions: plan.completions.iter().copied().map(Some).collect(),
        makespan: plan.makespan,
        ..Execution::default()
    }
}

#[test]
fn nothing_overlaps_in_a_row() {
    let workload = workload();
    let plan = joint(&workload);
    let trace = chrome_trace(&workload, &plan, Some(&executed(&plan)));
    let slices = slices(&trace);
    let is_parallel = slices.iter().any(|s| s.row.1 > 3);
    assert!(is_parallel, "the server has several jobs at a time, so several rows");
    for (i, a) in slices.iter().enumerate() {
        for b in slices[i + 1..].iter().filter(|b| b.row == a.row) {
            assert!(a.end <= b.start || b.end <= a.start, "{a:?} {b:?}");
        }
    }
}

#[test]
fn arrows_go_from_inside_an_operation_to_one_of_the_same_job() {
    let workload = workload();
    let plan = joint(&workload);
    let trace = chrome_trace(&workload, &plan, Some(&executed(&plan)));
    let slices = slices(&trace);
    let hangs_on = |event: &Value| {
        let (row, at) = (row(event), nanoseconds(event, "ts"));
        let inside = |s: &&Slice| s.row == row && s.start <= at && at < s.end.max(s.start + 1);
        slices.iter().find(inside).unwrap_or_else(|| panic!("{event} hangs on nothing")).job
    };
    let events = trace["traceEvents"].as_array().unwrap();
    let mut ends: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for event in events.iter().filter(|e| e["ph"] == "s" || e["ph"] == "f") {
        ends.entry(event["id"].as_u64().unwrap()).or_default().push(event);
    }
    // Six jobs, device to uplink to server to downlink, planned and measured.
    assert_eq!(ends.len(), 6 * 3 * 2);
    for (id, pair) in ends {
        let [from, to] = pair[..] else { panic!("arrow {id} has {} ends", pair.len()) };
        assert_eq!((from["ph"].as_str(), to["ph"].as_str()), (Some("s"), Some("f")));
        assert_eq!(hangs_on(from), hangs_on(to), "arrow {id}");
    }
}

#[test]
fn a_trace_can_be_read_back() {
    let workload = workload();
    let plan = joint(&workload);
    let execution = executed(&plan);
    let json = chrome_trace(&workload, &plan, Some(&execution)).to_string();
    let measured = read_measured(json.as_bytes(), &workload, &plan).unwrap().unwrap();
    assert_eq!(measured.schedule, execution.schedule);
    assert_eq!(measured.completions, execution.completions);
    assert_eq!(measured.makespan, execution.makespan);
    let planned = chrome_trace(&workload, &plan, None).to_string();
    assert_eq!(read_measured(planned.as_bytes(), &workload, &plan).unwrap(), None);
}
