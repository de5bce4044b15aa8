//! One instance planned by `joint`, and what is known about how good the plan can be.

use super::instance::{Family, Machines, instance};
use crate::oracle::{self, Limits};
use crate::plans::{Bounds, Figures, checked, plan};
use cutpoint_plan::options::{Granularity, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::PlanError;
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;
use serde::Serialize;

/// The plan of one instance at one granularity, and how good it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PlanGap {
    pub machines: Machines,
    pub family: Family,
    pub granularity: &'static str,
    pub jobs: usize,
    pub seed: u64,
    #[serde(flatten)]
    pub figures: Figures,
    #[serde(flatten)]
    pub bounds: Bounds,
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
    pub makespan_ns: u64,
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

/// Plans the instance and judges the plan. `nodes` limits the integer program; without it the optimum
/// is not looked for.
pub(super) fn measure(
    family: Family,
    machines: Machines,
    granularity: Granularity,
    jobs: usize,
    seed: u64,
    nodes: Option<u64>,
) -> anyhow::Result<PlanGap> {
    let workload = instance(family, machines, jobs, seed);
    let joint = checked(&workload, plan(&workload, Policy::Joint, granularity)?)?;
    let optimum = match nodes {
        Some(nodes) => find_optimum(&workload, machines, &joint, nodes)?,
        None => None,
    };
    let over = |optimum: Optimum| {
        let longer = joint.makespan.nanoseconds().saturating_sub(optimum.makespan_ns);
        longer as f64 / optimum.makespan_ns.max(1) as f64
    };
    Ok(PlanGap {
        machines,
        family,
        granularity: granularity.name(),
        jobs,
        seed,
        figures: Figures::of(&joint),
        bounds: Bounds::of(&workload, &joint),
        optimum,
        gap_to_optimum: optimum.map(over),
        behind: shorter_plans(&workload, &joint)?,
        refuted: optimum.map_or_else(Vec::new, |o| refuted(&joint, o)),
    })
}

/// By the integer program; by the planner's own search where that does not end, or does not apply.
fn find_optimum(
    workload: &Workload,
    machines: Machines,
    joint: &Plan,
    nodes: u64,
) -> anyhow::Result<Option<Optimum>> {
    let of = |makespan: Time, by| Some(Optimum { makespan_ns: makespan.nanoseconds(), by });
    if machines == Machines::Two {
        let limits = Limits { nodes, reached: Some(joint.makespan) };
        if let Some(makespan) = oracle::optimum(workload, joint.granularity, limits)? {
            return Ok(of(makespan, Source::Program));
        }
    }
    match plan(workload, Policy::Exhaustive, joint.granularity) {
        Ok(best) => Ok(of(best.makespan, Source::Exhaustive)),
        Err(error) => match error.downcast_ref() {
            Some(PlanError::TooLarge { .. }) => Ok(None),
            _ => Err(error),
        },
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
        let other = checked(workload, plan(workload, policy, granularity)?)?;
        if other.makespan < joint.makespan {
            shorter.push(format!("{policy} at {granularity}: {}", other.makespan));
        }
    }
    Ok(shorter)
}

fn refuted(joint: &Plan, optimum: Optimum) -> Vec<String> {
    let best = Time::from_nanoseconds(optimum.makespan_ns);
    let claims = [
        (
            joint.makespan < best,
            format!("a plan of {} where the optimum is {best}", joint.makespan),
        ),
        (joint.lower_bound > best, format!("bound {} above the optimum {best}", joint.lower_bound)),
        (
            joint.optimal && joint.makespan > best,
            format!("optimal at {}, but the optimum is {best}", joint.makespan),
        ),
    ];
    claims.into_iter().filter(|(is_refuted, _)| *is_refuted).map(|(_, claim)| claim).collect()
}
