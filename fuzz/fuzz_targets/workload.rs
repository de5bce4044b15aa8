//! Any bytes as a workload: refused, or read, written and read again as the same.

#![no_main]

use cutpoint_plan::format::{read_workload, write_workload};

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let Ok(workload) = read_workload(json) else { return };
    let mut written = Vec::new();
    write_workload(&workload, &mut written).expect("a Vec takes everything");
    let again = read_workload(&written).expect("what was written can be read");
    assert_eq!(again.jobs(), workload.jobs());
    assert_eq!(again.models(), workload.models());
});
