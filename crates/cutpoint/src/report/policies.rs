//! What every policy would make of the same workload.

use crate::report::markup::Markup;
use crate::report::scale::{Percent, time};
use cutpoint_plan::options::{Granularity, PlanOptions, Policy};
use cutpoint_plan::plan::Plan;
use cutpoint_plan::policy::{PlanError, plan};
use cutpoint_plan::units::Time;
use cutpoint_plan::workload::Workload;
use std::fmt::Display;

/// All plans are tried, for the policy exhaustive, for at most this many jobs.
const EXHAUSTIVE_JOBS_MAX: usize = 6;

/// What one policy makes of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyOutcome {
    /// Which.
    pub policy: Policy,
    /// What its plan comes to, or why there is none.
    pub outcome: Result<Outcome, PlanError>,
}

/// What a plan comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// When the last job is complete.
    pub makespan: Time,
    /// When a job is complete on average.
    pub mean_completion: Time,
    /// How far the makespan is above the lower bound.
    pub gap: f64,
    /// Whether no plan can be faster.
    pub is_optimal: bool,
    /// How many jobs are cut inside their model.
    pub jobs_cut: usize,
}

/// Plans `workload` by every policy; by exhaustive search only if it is small.
pub fn policy_outcomes(workload: &Workload, granularity: Granularity) -> Vec<PolicyOutcome> {
    let is_small = workload.jobs.len() <= EXHAUSTIVE_JOBS_MAX;
    let tried = Policy::ALL.into_iter().filter(|&p| p != Policy::Exhaustive || is_small);
    let outcome = |policy| PolicyOutcome {
        policy,
        outcome: plan(workload, policy, &PlanOptions::at(granularity))
            .map(|plan| outcome(workload, &plan)),
    };
    tried.map(outcome).collect()
}

/// What `plan` comes to.
pub(super) fn outcome(workload: &Workload, plan: &Plan) -> Outcome {
    let sum: u128 = plan.completions.iter().map(|t| u128::from(t.nanoseconds())).sum();
    let mean = sum / plan.completions.len().max(1) as u128;
    let is_cut = |(j, partition): (usize, &cutpoint_plan::plan::Partition)| {
        let layers = workload.models[workload.jobs[j].index()].layers.len();
        (1..layers).contains(&partition.device_layers.count())
    };
    Outcome {
        makespan: plan.makespan,
        mean_completion: Time::from_nanoseconds(u64::try_from(mean).unwrap_or(u64::MAX)),
        gap: plan.gap(),
        is_optimal: plan.optimal,
        jobs_cut: plan.partitions.iter().enumerate().filter(|&p| is_cut(p)).count(),
    }
}

/// The outcome of `policy`, if it has one.
pub(super) fn outcome_of(outcomes: &[PolicyOutcome], policy: Policy) -> Option<Outcome> {
    outcomes.iter().find(|o| o.policy == policy).and_then(|o| o.outcome.ok())
}

/// The table of all policies; the plan's own is marked.
pub(super) fn policy_table(
    m: &mut Markup,
    workload: &Workload,
    plan: &Plan,
    outcomes: &[PolicyOutcome],
) {
    let own = outcome(workload, plan);
    let longest = outcomes.iter().filter_map(|o| o.outcome.ok()).map(|o| o.makespan);
    let longest = longest.chain([own.makespan]).max().unwrap_or_default();
    m.element("div", &[("class", &"scroll"), ("tabindex", &"0")], |m| {
        m.element("table", &[("class", &"policies")], |m| {
            m.literal(
                "<thead><tr><th scope=\"col\">Policy</th><th scope=\"col\">Makespan, planned</th>\
                 <th class=\"r\" scope=\"col\">Above the bound</th><th class=\"r\" \
                 scope=\"col\">Mean completion</th><th class=\"r\" scope=\"col\">Jobs cut</th></tr>\
                 </thead>",
            );
            m.element("tbody", &[], |m| {
                for found in outcomes {
                    let is_own = found.policy == plan.policy;
                    let class = if is_own { "own" } else { "" };
                    m.element("tr", &[("class", &class)], |m| {
                        m.element("th", &[("scope", &"row")], |m| {
                            m.text(found.policy.name());
                            if is_own {
                                m.leaf("span", &[("class", &"tag")], "this plan");
                            }
                        });
                        let shown = if is_own { Ok(own) } else { found.outcome };
                        match shown {
                            Ok(shown) => cells(m, &shown, longest),
                            Err(error) => {
                                m.leaf("td", &[("class", &"dim"), ("colspan", &4)], error)
                            }
                        }
                    });
                }
            });
        });
    });
}

fn cells(m: &mut Markup, outcome: &Outcome, longest: Time) {
    m.element("td", &[("class", &"bar")], |m| {
        m.element("div", &[], |m| {
            m.leaf("span", &[], time(outcome.makespan));
            m.element("svg", &[("class", &"total"), ("aria-hidden", &"true")], |m| {
                let width = Percent::of(outcome.makespan, longest);
                let size: &[(_, &dyn Display)] = &[("width", &width), ("height", &"100%")];
                m.start("rect", size);
                m.literal("</rect>");
            });
        });
    });
    let gap = match outcome.is_optimal {
        true => "optimal".to_owned(),
        false => format!("{:.2} %", outcome.gap * 100.0),
    };
    for cell in [gap, time(outcome.mean_completion), outcome.jobs_cut.to_string()] {
        m.leaf("td", &[("class", &"r")], cell);
    }
}
