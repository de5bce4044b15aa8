//! One instance planned by `joint`, and what is known about how good the plan can be.

use super::instance::{Family, Machines, instance};
use crate::oracle::{self, Answer, Limits};
use anyhow::{bail, ensure};
use cutpoint_plan::check::{check_plan, load_bound, proved_bound};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::{PlanError, plan};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;
use serde::Serialize;

/// How much effort goes into finding the optimum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Up to this many jobs.
    pub optimum_jobs: usize,
    /// Nodes that the integer program may visit.
    pub nodes: u64,
}

/// The plan of one instance at one granularity, and how good it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PlanGap {
    pub machines: Machines,
    pub family: Family,
    #[serde(serialize_with = "as_name")]
    pub granularity: Granularity,
    pub jobs: usize,
    pub seed: u64,
    #[serde(serialize_with = "as_nanoseconds", rename = "makespan_ns")]
    pub makespan: Time,
    #[serde(serialize_with = "as_nanoseconds", rename = "lower_bound_ns")]
    pub lower_bound: Time,
    /// As far as the checker proves the lower bound, by its own means.
    #[serde(serialize_with = "as_nanoseconds", rename = "proved_bound_ns")]
    pub proved_bound: Time,
    /// As far as weighted loads prove it.
    #[serde(serialize_with = "as_nanoseconds", rename = "load_bound_ns")]
    pub load_bound: Time,
    /// Certified by the plan itself.
    pub gap: f64,
    /// Whether the plan says that it is optimal.
    pub is_optimal: bool,
    /// The optimum, where it was found.
    pub optimum: Option<Optimum>,
    /// Makespan over optimum, less 1.
    pub gap_to_optimum: Option<f64>,
    /// Policies whose plan is shorter; must be empty.
    pub behind: Vec<String>,
    /// Claims of the plan that the optimum refutes; must be empty.
    pub refuted: Vec<String>,
}

/// The smallest makespan, and who says so.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Optimum {
    #[serde(serialize_with = "as_nanoseconds", rename = "makespan_ns")]
    pub makespan: Time,
    pub by: Source,
}

/// The method that found an optimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// The integer program.
    Program,
    /// The planner's own search.
    Exhaustive,
}

fn as_name<S: serde::Serializer>(granularity: &Granularity, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(granularity.name())
}

fn as_nanoseconds<S: serde::Serializer>(time: &Time, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(time.nanoseconds())
}

/// Plans the instance and judges the plan.
pub(super) fn measure(
    family: Family,
    machines: Machines,
    granularity: Granularity,
    jobs: usize,
    seed: u64,
    effort: Effort,
) -> anyhow::Result<PlanGap> {
    let workload = instance(family, machines, jobs, seed);
    let joint = checked_plan(&workload, Policy::Joint, granularity)?;
    let optimum = match jobs <= effort.optimum_jobs {
        true => find_optimum(&workload, machines, &joint, effort.nodes)?,
        false => None,
    };
    let over = |o: Optimum| {
        let best = o.makespan.nanoseconds().max(1) as f64;
        joint.makespan.saturating_sub(o.makespan).nanoseconds() as f64 / best
    };
    Ok(PlanGap {
        machines,
        family,
        granularity,
        jobs,
        seed,
        makespan: joint.makespan,
        lower_bound: joint.lower_bound,
        proved_bound: proved_bound(&workload, granularity, joint.lower_bound),
        load_bound: load_bound(&workload, granularity),
        gap: joint.gap(),
        is_optimal: joint.optimal,
        optimum,
        gap_to_optimum: optimum.map(over),
        behind: shorter_plans(&workload, &joint)?,
        refuted: optimum.map_or_else(Vec::new, |o| refuted(&joint, o)),
    })
}

fn checked_plan(
    workload: &Workload,
    policy: Policy,
    granularity: Granularity,
) -> anyhow::Result<Plan> {
    let plan = plan(workload, policy, &PlanOptions::raw(granularity))?;
    let violations = check_plan(workload, &plan);
    ensure!(violations.is_empty(), "a plan by {policy} at {granularity} breaks {violations:?}");
    Ok(plan)
}

/// By the integer program; by the planner's own search where that does not end, or does not apply.
fn find_optimum(
    workload: &Workload,
    machines: Machines,
    joint: &Plan,
    nodes: u64,
) -> anyhow::Result<Option<Optimum>> {
    if machines == Machines::Two {
        let limits = Limits { nodes, reached: Some(joint.makespan) };
        if let Answer::Optimum(makespan) = oracle::optimum(workload, joint.granularity, limits)? {
            return Ok(Some(Optimum { makespan, by: Source::Program }));
        }
    }
    let options = PlanOptions::raw(joint.granularity);
    match plan(workload, Policy::Exhaustive, &options) {
        Ok(best) => Ok(Some(Optimum { makespan: best.makespan, by: Source::Exhaustive })),
        Err(PlanError::TooLarge { .. }) => Ok(None),
        Err(error) => bail!(error),
    }
}

/// The other policies, and `joint` at job granularity, as far as their plans are shorter.
fn shorter_plans(workload: &Workload, joint: &Plan) -> anyhow::Result<Vec<String>> {
    let mut others: Vec<(Policy, Granularity)> = Policy::ALL
        .into_iter()
        .filter(|p| !matches!(p, Policy::Joint | Policy::Exhaustive))
        .map(|policy| (policy, joint.granularity))
        .collect();
    if joint.granularity == Granularity::Layer {
        others.push((Policy::Joint, Granularity::Job));
    }
    let mut shorter = Vec::new();
    for (policy, granularity) in others {
        let other = checked_plan(workload, policy, granularity)?;
        if other.makespan < joint.makespan {
            shorter.push(format!("{policy} at {granularity}: {}", other.makespan));
        }
    }
    Ok(shorter)
}

fn refuted(joint: &Plan, optimum: Optimum) -> Vec<String> {
    let best = optimum.makespan;
    let mut refuted = Vec::new();
    if joint.makespan < best {
        refuted.push(format!("a plan of {} where the optimum is {best}", joint.makespan));
    }
    if joint.lower_bound > best {
        refuted.push(format!("bound {} above the optimum {best}", joint.lower_bound));
    }
    if joint.optimal && joint.makespan > best {
        refuted.push(format!("optimal at {}, but the optimum is {best}", joint.makespan));
    }
    refuted
}
