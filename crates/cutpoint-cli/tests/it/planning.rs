//! `cutpoint plan`, `check`, `gantt` and `explain`, which need nothing but files.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn testdata(name: &str) -> String {
    format!("{}/../../testdata/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn cutpoint(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutpoint"));
    command.args(arguments).current_dir(folder).env_remove("COLUMNS").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn plan_check_gantt_and_explain_work_on_one_workload() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["alexnet", "two-cameras", "two-jobs"] {
        let workload = testdata(&format!("workloads/{name}.json"));
        for granularity in ["layer", "job"] {
            for policy in ["joint", "local-only", "schedule-only", "adjacent", "best-single"] {
                let arguments = ["plan", &workload, "--policy", policy];
                let options = ["--granularity", granularity, "-o", "plan.json"];
                let made = cutpoint(&[&arguments[..], &options].concat(), folder);
                assert!(made.status.success(), "{}", text(&made.stderr));
                assert!(text(&made.stdout).contains("lower bound"), "{}", text(&made.stdout));
                let checked = cutpoint(&["check", &workload, "plan.json"], folder);
                assert!(checked.status.success(), "{}", text(&checked.stdout));
            }
        }
        let drawn = cutpoint(&["gantt", &workload, "plan.json", "--width", "60"], folder);
        let picture = text(&drawn.stdout);
        assert!(picture.contains("device") && picture.contains("uplink"), "{picture}");
        let svg = ["gantt", &workload, "plan.json", "--format", "svg", "-o", "plan.svg"];
        assert!(cutpoint(&svg, folder).status.success());
        let svg = std::fs::read_to_string(folder.join("plan.svg")).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        let explained = cutpoint(&["explain", &workload, "plan.json"], folder);
        assert!(text(&explained.stdout).contains("Prices:"), "{}", text(&explained.stdout));
    }
}

#[test]
fn format_json_prints_only_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let workload = testdata("workloads/two-jobs.json");
    let made = cutpoint(&["plan", &workload, "--format", "json"], folder.path());
    let plan = json(&made.stdout);
    assert_eq!(plan["schema"], "cutpoint.plan/1");
    assert!(plan["objective"].is_null() && plan["period_ms"].is_null());
    assert_eq!(plan["jobs"].as_array().unwrap().len(), 2);
    // What was written can be read from standard input.
    let mut check = Command::new(env!("CARGO_BIN_EXE_cutpoint"))
        .args(["check", &workload, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(&made.stdout).unwrap();
    let checked = check.wait_with_output().unwrap();
    assert!(checked.status.success());
    assert!(text(&checked.stdout).starts_with("valid"), "{}", text(&checked.stdout));
}

#[test]
fn jobs_do_not_start_before_they_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let workload = testdata("workloads/alexnet.json");
    let arguments = ["plan", &workload, "--arrivals", "25", "-o", "plan.json"];
    let made = cutpoint(&arguments, folder);
    let summary = text(&made.stdout);
    assert!(summary.contains("arrivals     every 25.000 ms; keeps up"), "{summary}");
    assert!(summary.contains("latency "), "{summary}");
    let plan = json(&std::fs::read(folder.join("plan.json")).unwrap());
    assert_eq!(plan["period_ms"], 25.0);
    for machine in ["device", "uplink"] {
        for operation in plan["schedule"][machine].as_array().unwrap() {
            let arrival = operation["job"].as_f64().unwrap() * 25.0;
            assert!(operation["start_ms"].as_f64().unwrap() >= arrival, "{operation}");
        }
    }
    assert!(cutpoint(&["check", &workload, "plan.json"], folder).status.success());
    // A plan that starts a job before it arrives is found out.
    let mut early = plan;
    early["period_ms"] = serde_json::json!(26.0);
    std::fs::write(folder.join("early.json"), early.to_string()).unwrap();
    let checked = cutpoint(&["check", &workload, "early.json"], folder);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked.stdout).contains("its job arrives"), "{}", text(&checked.stdout));
}

#[test]
fn the_mean_completion_objective_lowers_the_mean_completion() {
    let folder = tempfile::tempdir().unwrap();
    let workload = testdata("workloads/two-cameras.json");
    let mean = |objective: &str| {
        let arguments = ["plan", &workload, "--objective", objective, "--format", "json"];
        let plan = json(&cutpoint(&arguments, folder.path()).stdout);
        let jobs = plan["jobs"].as_array().unwrap().clone();
        let sum: f64 = jobs.iter().map(|job| job["completion_ms"].as_f64().unwrap()).sum();
        sum / jobs.len() as f64
    };
    assert!(mean("mean-completion") <= mean("makespan"));
}

#[test]
fn impossible_values_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let workload = testdata("workloads/two-jobs.json");
    let cases = [
        (vec!["plan", "no-such.json"], 1, "no-such.json"),
        (vec!["plan", &workload, "--policy", "best"], 2, "unknown policy"),
        (vec!["plan", &workload, "--arrivals", "-3"], 2, "number of milliseconds"),
        (vec!["plan", &workload, "--arrivals", "2e12"], 1, "arrives later than"),
        (vec!["plan", &workload, "--objective", "cost"], 2, "unknown objective"),
        (vec!["check", &workload, "no-plan.json"], 1, "no-plan.json"),
        (vec!["plan", &workload, "-o", "no/such/folder/plan.json"], 1, "no/such/folder"),
    ];
    for (arguments, code, message) in cases {
        let output = cutpoint(&arguments, folder);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn plan_and_run_do_not_split_below_the_least_gain() {
    use super::run::{Served, path, run, stderr};
    let folder = tempfile::tempdir().unwrap();
    let model = std::path::PathBuf::from(testdata("models/fork.onnx"));
    let file = folder.path().join("workload.json");
    let engine = ["--engine", "rten", "--threads", "1"];
    let profile = run(&[&["profile", path(&model), "-o", path(&file)][..], &engine].concat());
    assert!(profile.status.success(), "{}", stderr(&profile));

    // 60 jobs of 10 ms; the link takes one job's input to the server in 500 ms and no second one in
    // time: 590 ms instead of 600.
    let mut workload: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    workload["jobs"] = serde_json::json!([{ "model": "fork", "count": 60 }]);
    let described = &mut workload["models"]["fork"];
    let (input, bytes) = described["inputs"].as_object().unwrap().iter().next().unwrap();
    let (input, bytes) = (input.clone(), bytes.as_u64().unwrap());
    let mut is_long = true;
    for layer in described["layers"].as_array_mut().unwrap() {
        let reads = layer["reads"].as_array().unwrap().iter().any(|name| *name == *input);
        layer["device_ms"] = serde_json::json!(if reads && is_long { 10.0 } else { 0.0 });
        layer["server_ms"] = serde_json::json!(0.001);
        is_long &= !reads;
    }
    let uplink_mbps = bytes as f64 * 8.0 / 0.5 / 1e6;
    workload["link"] = serde_json::json!({ "uplink_mbps": uplink_mbps });
    std::fs::write(&file, workload.to_string()).unwrap();

    let planned = run(&["plan", path(&file), "--format", "json"]);
    assert!(planned.status.success(), "{}", stderr(&planned));
    let planned: serde_json::Value = serde_json::from_slice(&planned.stdout).unwrap();
    let gain = 1.0
        - planned["lower_bound_ms"].as_f64().unwrap() / planned["makespan_ms"].as_f64().unwrap();
    assert!((0.01..0.03).contains(&gain), "{gain}");

    let served = Served::start(&model);
    let plan = folder.path().join("plan.json");
    let arguments = ["run", path(&model), "synthetic:60", "--server", &served.address];
    let files = ["--workload", path(&file), "--plan-output", path(&plan)];
    let executed = run(&[&arguments[..], &files, &engine].concat());
    assert!(executed.status.success(), "{}", stderr(&executed));
    assert!(stderr(&executed).contains("do not split"), "{}", stderr(&executed));
    let executed: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    assert_eq!(executed, planned);
}
