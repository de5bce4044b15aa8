//! Any bytes as a plan for a small workload: refused, or checked without a panic.

#![no_main]

use cutpoint_plan::check::check_plan;
use cutpoint_plan::format::{read_plan, read_workload, write_plan};
use cutpoint_plan::workload::Workload;
use std::sync::LazyLock;

static WORKLOAD: LazyLock<Workload> = LazyLock::new(|| {
    let json = include_bytes!("../../testdata/workloads/two-jobs.json");
    read_workload(json).expect("the workload in testdata is valid")
});

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let Ok(plan) = read_plan(json, &WORKLOAD) else { return };
    let violations = check_plan(&WORKLOAD, &plan);
    if violations.is_empty() {
        let mut written = Vec::new();
        write_plan(&WORKLOAD, &plan, &mut written).expect("a Vec takes everything");
        read_plan(&written, &WORKLOAD).expect("what was written can be read");
    }
});
