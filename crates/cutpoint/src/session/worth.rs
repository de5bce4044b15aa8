//! Is it worth splitting at all?
//!
//! A plan with a server in it hangs on more that is foreseen than one without: both sides' times, the
//! link's, and that nothing fails. Where it promises hardly more than the device alone, what comes of it
//! is as likely to be slower as faster, so everything stays on the device.

use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::plan;
use cutpoint_plan::workload::Workload;

/// Jobs are split if that is foreseen to save at least this share of what the device takes alone:
/// about what predictions are off by.
pub const GAIN_MIN: f64 = 0.03;

/// `best`, if it is a plan by `joint` that saves enough; otherwise the plan that keeps everything on
/// the device, with the bound of `best`. O(planning local-only).
pub fn worth_splitting(workload: &Workload, best: Plan, options: &PlanOptions) -> Plan {
    if best.policy != Policy::Joint || best.partitions.iter().all(|p| p.uploads.is_empty()) {
        return best;
    }
    let Ok(local) = plan(workload, Policy::LocalOnly, options) else { return best };
    let least = local.makespan.nanoseconds() as f64 * (1.0 - GAIN_MIN);
    if best.makespan.nanoseconds() as f64 <= least {
        return best;
    }
    log::debug!("not split: {} instead of {} is too little", best.makespan, local.makespan);
    let (policy, lower_bound) = (best.policy, best.lower_bound);
    Plan { policy, lower_bound, optimal: local.makespan == lower_bound, ..local }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::parse_workload;
    use cutpoint_plan::check::check_plan;
    use cutpoint_plan::options::Granularity;

    #[test]
    fn jobs_are_split_only_for_a_gain_that_can_be_relied_on() {
        let mut is_split = Vec::new();
        for uplink_mbps in [0.02, 0.1, 0.4, 1.0, 4.0, 16.0] {
            let text = format!(
                r#"{{ "schema": "cutpoint.workload/1",
                "link": {{ "uplink_mbps": {uplink_mbps}, "rtt_ms": 1.0 }},
                "models": {{ "m": {{ "inputs": {{ "i": 9000 }}, "layers": [
                    {{ "name": "a", "reads": ["i"], "writes": {{ "x": 9000 }}, "device_ms": 4 }},
                    {{ "name": "b", "reads": ["x"], "writes": {{ "y": 10 }}, "device_ms": 4 }}
                ] }} }},
                "jobs": [ {{ "model": "m", "count": 20 }} ] }}"#
            );
            let workload = parse_workload(&text, "test").expect("a valid workload");
            let options = PlanOptions::at(Granularity::Layer);
            let [joint, local] = [Policy::Joint, Policy::LocalOnly]
                .map(|policy| plan(&workload, policy, &options).expect("it can be planned"));
            let gain = 1.0 - joint.makespan.milliseconds() / local.makespan.milliseconds();
            let chosen = worth_splitting(&workload, joint.clone(), &options);
            assert_eq!(check_plan(&workload, &chosen), []);
            assert_eq!(chosen.policy, Policy::Joint);
            assert_eq!(chosen.lower_bound, joint.lower_bound);
            let expected = if gain >= GAIN_MIN { joint.makespan } else { local.makespan };
            assert_eq!(chosen.makespan, expected, "{uplink_mbps} Mbit/s, gain {gain}");
            is_split.push(gain >= GAIN_MIN);
            // Other policies do what they are named after.
            assert_eq!(worth_splitting(&workload, local.clone(), &options), local);
        }
        assert!(is_split.contains(&true) && is_split.contains(&false), "{is_split:?}");
    }
}
