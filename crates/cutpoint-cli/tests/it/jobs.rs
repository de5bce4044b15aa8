//! `cutpoint run jobs.toml`: several models in one run.

use super::run::{Served, check_trace, difference, outputs, path, run, squeezenet, stderr};
use std::path::Path;

#[test]
fn two_models_run_in_one_plan_and_answer_as_they_do_alone() {
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
fn a_jobs_file_that_says_too_much_is_refused() {
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
