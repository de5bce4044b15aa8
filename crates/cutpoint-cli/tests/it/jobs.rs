//! `cutpoint.toml`: several models in one run, and served.

use super::run::{Served, check_trace, difference, outputs, path, run, squeezenet, stderr};
use std::path::Path;

#[test]
fn two_models_in_one_plan_give_the_outputs_they_give_alone() {
    let folder = tempfile::tempdir().unwrap();
    let one = squeezenet(folder.path());
    let fork = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models/fork.onnx");
    std::fs::copy(fork, folder.path().join("fork.onnx")).unwrap();
    let jobs = folder.path().join("jobs.toml");
    let text = "[[jobs]]\nmodel = \"squeezenet.onnx\"\ninputs = \"synthetic:2\"\n\
                [[jobs]]\nmodel = \"fork.onnx\"\ninputs = [\"synthetic:1\", \"synthetic:2\"]\n";
    std::fs::write(&jobs, text).unwrap();
    let served = Served::start(&one);
    let trace = folder.path().join("trace.json");
    for policy in ["joint", "server-only"] {
        let common = ["--engine", "rten", "--threads", "1", "--raw", "--trace", path(&trace)];
        let arguments = ["run", path(&jobs), "--server", &served.address, "--policy", policy];
        let output = run(&[&arguments[..], &common].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let found = outputs(&output);
        assert_eq!(found.len(), 5);
        for (model, made, jobs) in [
            ("squeezenet", &["synthetic:2"][..], 0..2),
            ("fork", &["synthetic:1", "synthetic:2"], 2..5),
        ] {
            let file = folder.path().join(format!("{model}.onnx"));
            let alone = ["run", path(&file), "--engine", "rten", "--threads", "1"];
            let alone = run(&[&alone[..], made].concat());
            assert!(alone.status.success(), "{}", stderr(&alone));
            assert!(difference(&found[jobs], &outputs(&alone)) <= 1e-5, "{policy} {model}");
        }
        check_trace(&trace);
    }
}

#[test]
fn a_configuration_takes_no_inputs_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = folder.path().join("jobs.toml");
    std::fs::write(&jobs, "[[jobs]]\nmodel = \"no.onnx\"\ninputs = \"synthetic:1\"\n").unwrap();
    let besides = run(&["run", path(&jobs), "synthetic:1"]);
    assert_eq!(besides.status.code(), Some(2), "{}", stderr(&besides));
    let missing = run(&["run", path(&jobs)]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("no.onnx"), "{}", stderr(&missing));
    let no_inputs = run(&["run", "model.onnx"]);
    assert_eq!(no_inputs.status.code(), Some(2), "{}", stderr(&no_inputs));
    assert!(stderr(&no_inputs).contains("no inputs"), "{}", stderr(&no_inputs));
}

#[test]
fn one_configuration_serves_and_runs_a_model_under_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let fork = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models/fork.onnx");
    std::fs::copy(fork, folder.path().join("fork.onnx")).unwrap();
    let config = folder.path().join("cutpoint.toml");
    let text = "[server]\nlisten = \"127.0.0.1:0\"\n[device]\nengine = \"rten\"\nthreads = 1\n\
                [[models]]\nname = \"forked\"\npath = \"fork.onnx\"\n\
                [[jobs]]\nmodel = \"forked\"\ninputs = \"synthetic:3\"\n";
    std::fs::write(&config, text).unwrap();
    let served = Served::start_with(&["--config", path(&config)]);
    let workload = folder.path().join("workload.json");
    let common = ["run", path(&config), "--workload-output", path(&workload)];
    let alone = run(&common);
    assert!(alone.status.success(), "{}", stderr(&alone));
    let together = ["--server", &served.address, "--policy", "server-only", "--raw"];
    let together = run(&[&common[..], &together].concat());
    assert!(together.status.success(), "{}", stderr(&together));
    assert!(difference(&outputs(&together), &outputs(&alone)) <= 1e-5);
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&workload).unwrap()).unwrap();
    assert_eq!(written["jobs"], serde_json::json!([{ "model": "forked", "count": 3 }]));

    std::fs::write(&config, text.replace("threads", "thread")).unwrap();
    for arguments in [["run", path(&config)], ["serve", "--config"]] {
        let all = if arguments[0] == "run" { vec![] } else { vec![path(&config)] };
        let refused = run(&[&arguments[..], &all].concat());
        let message = stderr(&refused);
        assert!(message.contains("line 5") && message.contains("`threads`?"), "{message}");
    }
}
