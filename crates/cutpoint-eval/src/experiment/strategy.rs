//! Ways to make a plan: the planner's policies, what is left of joint without one of its parts, and
//! the rules of other systems.

use super::peers::{self, Rule};
use crate::plans::{checked, plan};
use cutpoint_plan::options::{Granularity, Objective, Policy};
use cutpoint_plan::plan::{Partition, Plan, Upload, Work};
use cutpoint_plan::simulate::{Decision, plan_of};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::{JobId, LayerId, ModelId, Workload};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

/// How often the joint plan's cuts are dealt out to the jobs; the median counts.
const SHUFFLES: u64 = 9;

/// A way to make a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Strategy {
    /// One of the planner's.
    Policy(Policy),
    /// The cuts of joint, dealt out to the jobs at random, each job in its turn.
    JointInArrivalOrder,
    /// Planned as if the server took no time and the link no round trip.
    JointWithoutServer,
    /// One cut by another system's rule, jobs in their turn.
    Peer(Rule),
}

impl TryFrom<String> for Strategy {
    type Error = String;

    /// The name of a policy, of what is left of joint, or of a rule.
    fn try_from(name: String) -> Result<Strategy, String> {
        Ok(match name.as_str() {
            "joint, arrival order" => Strategy::JointInArrivalOrder,
            "joint, no server model" => Strategy::JointWithoutServer,
            "Neurosurgeon" => Strategy::Peer(Rule::Neurosurgeon),
            "DADS, light" => Strategy::Peer(Rule::DadsLight),
            "DADS, heavy" => Strategy::Peer(Rule::DadsHeavy),
            policy => Strategy::Policy(policy.parse::<Policy>().map_err(|e| e.to_string())?),
        })
    }
}

/// A workload on which strategies are tried.
pub(crate) struct Study {
    pub workload: Workload,
    pub granularity: Granularity,
    /// Of everything random.
    pub seed: u64,
}

impl Study {
    /// The plan by a strategy, checked.
    pub(crate) fn plan_by(&self, strategy: Strategy) -> anyhow::Result<Plan> {
        let workload = &self.workload;
        match strategy {
            Strategy::Policy(policy) => {
                checked(workload, plan(workload, policy, self.granularity)?)
            }
            Strategy::JointInArrivalOrder => self.shuffled(),
            Strategy::JointWithoutServer => {
                let blind = workload.clone().without_server_times();
                let decision = decision_of(&plan(&blind, Policy::Joint, self.granularity)?);
                simulated(workload, self.granularity, decision)
            }
            Strategy::Peer(rule) => {
                let of_model = |model| peers::partition(workload, model, rule);
                let cuts: Vec<Partition> = workload.models().iter().map(of_model).collect();
                let of_job = |model: &ModelId| cuts[model.index()].clone();
                let partitions = workload.jobs().iter().map(of_job).collect();
                // Both systems send when the device's part of the job is done.
                simulated(workload, Granularity::Job, in_turn(workload, partitions))
            }
        }
    }

    /// The median of several deals of joint's cuts, each among the jobs of one model.
    fn shuffled(&self) -> anyhow::Result<Plan> {
        let workload = &self.workload;
        let joint = plan(workload, Policy::Joint, self.granularity)?;
        let mut outcomes = Vec::new();
        for shuffle in 0..SHUFFLES {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(shuffle));
            let mut partitions = joint.partitions.clone();
            for model in 0..workload.models().len() {
                let is_of = |j: &usize| workload.jobs()[*j].index() == model;
                let jobs: Vec<usize> = (0..workload.jobs().len()).filter(is_of).collect();
                let mut dealt = jobs.clone();
                dealt.shuffle(&mut random);
                for (&to, &from) in jobs.iter().zip(&dealt) {
                    partitions[to] = joint.partitions[from].clone();
                }
            }
            let decision = in_turn(workload, partitions);
            outcomes.push(simulated(workload, self.granularity, decision)?);
        }
        outcomes.sort_by_key(|outcome| outcome.makespan);
        Ok(outcomes.swap_remove(outcomes.len() / 2))
    }
}

/// These cuts with the jobs in the order of the workload on every machine.
fn in_turn(workload: &Workload, partitions: Vec<Partition>) -> Decision {
    let mut device = Vec::new();
    let mut uplink = Vec::new();
    for (j, partition) in partitions.iter().enumerate() {
        let job = JobId::at(j);
        let model = workload.model_of(job);
        let is_kept = |&layer: &LayerId| partition.device_layers.contains(layer);
        let kept = model.topological.iter().copied().filter(is_kept);
        for made_by in std::iter::once(None).chain(kept.map(Some)) {
            device.extend(made_by.map(|layer| (job, Work::Layer(layer))));
            let is_made =
                |upload: &&Upload| model.tensors[upload.tensor.index()].producer == made_by;
            for upload in partition.uploads.iter().filter(is_made) {
                device.extend(upload.encoding.map(|_| (job, Work::Encode(upload.tensor))));
                uplink.push((job, upload.tensor));
            }
        }
    }
    Decision { partitions, device, uplink, server: None, period: None }
}

/// The plan that follows from a decision, if it keeps every rule. Its policy is only a label.
fn simulated(
    workload: &Workload,
    granularity: Granularity,
    decision: Decision,
) -> anyhow::Result<Plan> {
    let no_bound = |_| Time::ZERO;
    let (policy, objective) = (Policy::PartitionOnly, Objective::Makespan);
    checked(workload, plan_of(workload, policy, granularity, objective, decision, no_bound))
}

/// The decisions in a plan, without times; the server takes jobs as they arrive.
fn decision_of(plan: &Plan) -> Decision {
    let device = plan.schedule.device.iter().map(|op| (op.job, op.work)).collect();
    let sent = plan.schedule.uplink.iter().filter_map(|op| match op.work {
        Work::Transfer(tensor) => Some((op.job, tensor)),
        _ => None,
    });
    Decision {
        partitions: plan.partitions.clone(),
        device,
        uplink: sent.collect(),
        server: None,
        period: None,
    }
}
