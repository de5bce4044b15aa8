use super::*;
use crate::format::read_workload;
use crate::options::{Granularity, PlanOptions, Policy};
use crate::policy::plan;
use crate::testing::{Sample, arb_workload};
use crate::units::Bandwidth;
use expect_test::expect;
use proptest::prelude::*;

fn workload(name: &str) -> Workload {
    let testdata = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    read_workload(&std::fs::read(testdata.join("workloads").join(name)).unwrap()).unwrap()
}

fn joint(workload: &Workload) -> Plan {
    plan(workload, Policy::Joint, &PlanOptions::raw(Granularity::Job)).unwrap()
}

#[test]
fn alexnet_in_words() {
    let workload = workload("alexnet.json");
    expect![[r#"
        policy       joint, granularity job
        jobs         100
        makespan     1356.210 ms
        lower bound  1353.810 ms (gap 0.18 %)
        busy         device 98 %, uplink 99 %, server 34 %, downlink 6 %

          jobs  model    on device      sent                  bytes
          99    alexnet  2 of 6 layers  pool1_out as u8+zstd  26000
          1     alexnet  0 of 6 layers  data                  602112

        Bottleneck: the uplink, busy 99 % of the makespan; time to spare on the server, the downlink.

        Prices: a second of uplink is worth 0.05 seconds of device. Removing one second of work shortens the lower bound by 0.948 s on the device, 0.052 s on the uplink.

        Cuts of alexnet worth mixing, by device time:
          on device  device      uplink      bytes   balanced at   jobs
          0 of 6     0 ns        255.132 ms  602112  infinite      1
          2 of 6     13.400 ms   11.017 ms   26000   15.52 Mbit/s  99
          6 of 6     104.300 ms  0 ns        0       0             -
        At a bandwidth between the figures of two neighbours these two share the jobs of this model alone; faster links move the jobs up the table, slower ones down. Server, downlink and round trip are not counted here.
    "#]].assert_eq(&explain_plan(&workload, &joint(&workload)));
}

#[test]
fn without_bandwidth_the_verdict_is_not_to_split() {
    let mut workload = workload("two-jobs.json");
    workload.link.uplink = Bandwidth::from_mbit_per_s(0.0).unwrap();
    let others = [(Policy::ServerOnly, None)];
    let summary = render_summary(&workload, &joint(&workload), &others);
    expect![[r#"
        policy       joint, granularity job
        jobs         2
        makespan     16.000 ms
        lower bound  16.000 ms (optimal)
        busy         device 100 %, uplink 0 %, server 0 %, downlink 0 %
        server-only  not possible on this link
        verdict      do not split: the uplink has no bandwidth

          jobs  model  on device      sent  bytes
          2     pair   2 of 2 layers  -     0
    "#]]
    .assert_eq(&summary);
}

#[test]
fn on_a_slow_link_the_verdict_says_why() {
    let mut workload = workload("two-jobs.json");
    workload.link.uplink = Bandwidth::from_mbit_per_s(0.01).unwrap();
    let verdict = summary::do_not_split(&workload, &joint(&workload), &[]);
    expect!["the device does everything in 16.000 ms, and no plan that sends anything is shorter; on this link (0.01 Mbit/s) even the smallest transfer delays a job by 1602.000 ms, and the device finishes its first job in 8.000 ms"].assert_eq(&verdict.unwrap());
}

proptest! {
    #[test]
    fn any_plan_can_be_explained(Sample(workload) in arb_workload()) {
        let plan = joint(&workload);
        let text = explain_plan(&workload, &plan);
        prop_assert!(text.contains("makespan"));
        let jobs: usize = cuts_in_use(&workload, &plan).iter().map(|c| c.jobs.len()).sum();
        prop_assert_eq!(jobs, workload.jobs.len());
    }
}
