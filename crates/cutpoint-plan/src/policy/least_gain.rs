//! Is it worth splitting at all?

use crate::cut::LayerSet;
use crate::options::{Objective, PlanOptions, Policy};
use crate::plan::{Partition, Plan, Work};
use crate::simulate::{Decision, plan_of};
use crate::workload::{JobId, Workload};

/// `best`, if it is a plan by another policy than `joint` or saves at least
/// [`PlanOptions::least_gain`]; otherwise the plan that keeps every job on the device, with the bound
/// of `best`. O(layers of all jobs).
pub fn with_least_gain(workload: &Workload, best: Plan, options: &PlanOptions) -> Plan {
    let is_asked =
        best.policy == Policy::Joint && best.period.is_none() && options.least_gain > 0.0;
    if !is_asked || best.partitions.iter().all(|p| p.uploads.is_empty()) {
        return best;
    }
    let local = local(workload, &best);
    let value = |plan: &Plan| match best.objective {
        Objective::Makespan => plan.makespan.nanoseconds() as f64,
        Objective::MeanCompletion => plan.completions.iter().map(|t| t.milliseconds()).sum(),
    };
    if value(&best) <= value(&local) * (1.0 - options.least_gain) {
        return best;
    }
    local
}

/// The plan that keeps every job on the device, with policy and bound of another one.
fn local(workload: &Workload, of: &Plan) -> Plan {
    let jobs = || (0..workload.jobs.len()).map(JobId::at);
    let layers = |job: JobId| workload.model_of(job).topological.iter();
    let decision = Decision {
        partitions: jobs()
            .map(|job| {
                let device_layers = LayerSet::all(workload.model_of(job));
                Partition { device_layers, uploads: Vec::new() }
            })
            .collect(),
        device: jobs().flat_map(|job| layers(job).map(move |&l| (job, Work::Layer(l)))).collect(),
        uplink: Vec::new(),
        server: None,
        period: None,
    };
    plan_of(workload, of.policy, of.granularity, of.objective, decision, |_| of.lower_bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_plan;
    use crate::options::Granularity;
    use crate::policy::plan;
    use crate::units::{Bandwidth, Time};
    use crate::workload::{LayerBuilder, Link, ModelBuilder};

    fn workload(uplink_mbps: f64) -> Workload {
        let ms = |ms| Time::from_milliseconds(ms).expect("a time");
        let uplink = Bandwidth::from_mbit_per_s(uplink_mbps).expect("a bandwidth");
        let model = ModelBuilder::new("m")
            .input("i", 9000)
            .layer(LayerBuilder::new("a").read("i").write("x", 9000).device(ms(4.0)))
            .layer(LayerBuilder::new("b").read("x").write("y", 10).device(ms(4.0)));
        Workload::builder(Link { round_trip: ms(1.0), ..Link::at(uplink) })
            .add_model(model)
            .add_jobs("m", 20)
            .build()
            .expect("a valid workload")
    }

    #[test]
    fn jobs_are_split_only_for_the_least_gain() {
        for objective in [Objective::Makespan, Objective::MeanCompletion] {
            let mut is_split = Vec::new();
            for uplink_mbps in [0.02, 0.1, 0.4, 1.0, 4.0, 16.0] {
                let workload = workload(uplink_mbps);
                let raw = PlanOptions { objective, ..PlanOptions::raw(Granularity::Layer) };
                let options = PlanOptions { objective, ..PlanOptions::at(Granularity::Layer) };
                let [joint, local] = [Policy::Joint, Policy::LocalOnly]
                    .map(|policy| plan(&workload, policy, &raw).expect("it can be planned"));
                let chosen = plan(&workload, Policy::Joint, &options).expect("it can be planned");
                assert_eq!(check_plan(&workload, &chosen), []);
                assert_eq!(chosen.policy, Policy::Joint);
                assert_eq!(chosen.lower_bound, joint.lower_bound);
                let value = |plan: &Plan| match objective {
                    Objective::Makespan => plan.makespan.milliseconds(),
                    Objective::MeanCompletion => {
                        plan.completions.iter().map(|t| t.milliseconds()).sum()
                    }
                };
                let gain = 1.0 - value(&joint) / value(&local);
                let expected = if gain >= options.least_gain { &joint } else { &local };
                let (found, expected) = (value(&chosen), value(expected));
                assert!((found - expected).abs() < 1e-9, "{uplink_mbps} Mbit/s, gain {gain}");
                is_split.push(gain >= options.least_gain);
                // Other policies do what they are named after.
                assert_eq!(with_least_gain(&workload, local.clone(), &options), local);
            }
            assert!(is_split.contains(&true) && is_split.contains(&false), "{is_split:?}");
        }
    }
}
