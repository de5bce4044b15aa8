//! `cutpoint report`.

use std::path::Path;
use std::process::{Command, Output};

fn report(arguments: &[&str], folder: &Path) -> Output {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata");
    Command::new(env!("CARGO_BIN_EXE_cutpoint"))
        .arg("report")
        .arg(format!("{root}/workloads/two-jobs.json"))
        .arg(format!("{root}/plans/two-jobs.json"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn a_report_is_one_self_contained_page() {
    let folder = tempfile::tempdir().unwrap();
    let output = report(&[], folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    for reference in ["src=", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(reference), "{reference}");
    }
    let to_stdout = report(&["-o", "-"], folder.path());
    assert_eq!(to_stdout.stdout, page.into_bytes());
}

#[test]
fn a_trace_of_another_plan_is_refused_and_no_report_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let trace = r#"{"traceEvents":[],"otherData":{"planned_makespan_ms":1.0}}"#;
    std::fs::write(folder.path().join("trace.json"), trace).unwrap();
    let output = report(&["--trace", "trace.json"], folder.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("trace.json: otherData.planned_makespan_ms: the trace is of another plan"),
        "{stderr}"
    );
    assert!(!folder.path().join("report.html").exists());
}
