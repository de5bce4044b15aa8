use super::*;
use crate::experiment::peers::Rule;
use cutpoint_plan::format::read_workload;
use cutpoint_plan::options::{Granularity, Policy};

/// Two layers, 10 ms each on the device and 1 ms on the server; 1000 bytes are 8 ms. Cuts: nothing
/// (16 ms up, 2 ms there), one layer (10, 4, 1), all (20). One job: 18, 15, 20 ms.
fn study(jobs: usize) -> Study {
    let json = format!(
        r#"{{"schema":"cutpoint.workload/1","link":{{"uplink_mbps":1.0}},"server":{{"executors":1}},
        "models":{{"m":{{"inputs":{{"x":2000}},"layers":[
        {{"name":"a","reads":["x"],"writes":{{"y":500}},"device_ms":10,"server_ms":1}},
        {{"name":"b","reads":["y"],"writes":{{"z":4}},"device_ms":10,"server_ms":1}}]}}}},
        "jobs":[{{"model":"m","count":{jobs}}}]}}"#
    );
    let workload = read_workload(json.as_bytes()).unwrap();
    Study { workload, granularity: Granularity::Layer, seed: 1 }
}

fn makespan_us(study: &Study, strategy: Strategy) -> u64 {
    study.plan_by(strategy).unwrap().makespan.nanoseconds() / 1000
}

#[test]
fn peers_cut_where_their_rules_say() {
    // Three jobs with the cut behind `a`: the device is busy for 30 ms, then 4 + 1.
    let jobs = study(3);
    for rule in [Rule::Neurosurgeon, Rule::DadsLight, Rule::DadsHeavy] {
        assert_eq!(makespan_us(&jobs, Strategy::Peer(rule)), 35_000, "{rule:?}");
    }
    assert_eq!(makespan_us(&jobs, Strategy::Policy(Policy::PartitionOnly)), 35_000);
}

#[test]
fn joint_is_never_behind_its_ablations() {
    for jobs in [1, 2, 5, 12] {
        let study = study(jobs);
        let joint = study.plan_by(Strategy::Policy(Policy::Joint)).unwrap();
        let rest = [
            Strategy::Policy(Policy::BestSingle),
            Strategy::JointInArrivalOrder,
            Strategy::JointWithoutServer,
            Strategy::Peer(Rule::Neurosurgeon),
            Strategy::Peer(Rule::DadsHeavy),
        ];
        for strategy in rest {
            let other = study.plan_by(strategy).unwrap();
            assert!(joint.makespan <= other.makespan, "{jobs} jobs, {strategy:?}");
        }
    }
}

#[test]
fn jobs_of_several_models_take_turns() {
    let setting: Setting = serde_json::from_str(r#"{"jobs":[["a",3],["b",1]],"device_fraction":0.25,"uplink":{"mbps":1,"rtt_ms":5},"forms":"raw"}"#).unwrap();
    let order: Vec<String> = setting.turns().into_iter().map(|jobs| jobs.model).collect();
    assert_eq!(order, ["a", "b", "a", "a"]);
}
