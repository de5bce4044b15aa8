//! New plans in mid-run: for the jobs that are left, from the cuts that are loaded.

use crate::device::{Loaded, Planned, Planner, Prepared, Standing};
use crate::error::Result;
use cutpoint_plan::check::check_plan;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::options::{PlanOptions, Policy};
use cutpoint_plan::plan::{Partition, Plan};
use cutpoint_plan::policy::plan;
use cutpoint_plan::replan::Replanner;
use cutpoint_plan::units::{Bandwidth, Time};
use cutpoint_plan::workload::{JobId, ModelId, Workload};

/// Multiples of the measured bandwidth whose cuts are loaded as well.
const OTHER_BANDWIDTHS: [f64; 4] = [0.25, 0.5, 2.0, 4.0];

/// The most cuts of a model that are loaded in addition to those of the plan. Each divides a segment, and
/// is a suffix that the server holds.
pub(super) const OTHER_CUTS_MAX: usize = 4;

/// Cuts are loaded for another bandwidth only if plans without them would take this much longer there:
/// each divides a segment, which costs time at every bandwidth.
const OTHER_GAIN_MIN: f64 = 0.1;

/// Plans of one job each, one for each cut that a plan would also take at other bandwidths. A model
/// that the device runs in one piece is not divided for that: whole jobs may be offloaded then.
pub(super) fn other_plans(workload: &Workload, best: &Plan) -> Vec<(Workload, Plan)> {
    let own = cuts_of(workload, best);
    let mut found: Vec<(ModelId, Partition, usize)> = Vec::new();
    for plan in at_other_bandwidths(workload, best) {
        for (model, cut) in workload.jobs().iter().zip(&plan.partitions) {
            let is_known = has_cut(&own, *model, cut);
            let divides = !cut.device_layers.is_empty();
            let is_kept_whole = divides && runs_in_one_piece(&own, *model);
            if is_known || cut.uploads.is_empty() || is_kept_whole {
                continue;
            }
            match found.iter_mut().find(|(m, known, _)| m == model && is_alike(known, cut)) {
                Some((_, _, jobs)) => *jobs += 1,
                None => found.push((*model, cut.clone(), 1)),
            }
        }
    }
    found.sort_by_key(|&(_, _, jobs)| std::cmp::Reverse(jobs));
    let mut taken = vec![0usize; workload.models().len()];
    found.retain(|(model, _, _)| {
        taken[model.index()] += 1;
        taken[model.index()] <= OTHER_CUTS_MAX
    });
    let one_job = |(model, cut, _)| {
        let workload = workload.with_jobs([model]);
        let uplink = workload.link().uplink;
        let mut replanner = Replanner::of_cuts(&workload, best.granularity, &[(model, cut)])?;
        let plan = replanner.replan(uplink)?.plan();
        Some(plan)
    };
    found.into_iter().filter_map(one_job).collect()
}

/// The bandwidths at which a plan may come to be replaced.
pub(super) fn other_uplinks(workload: &Workload) -> impl Iterator<Item = Bandwidth> {
    let mbps = workload.link().uplink.mbit_per_s();
    OTHER_BANDWIDTHS.into_iter().filter_map(move |f| Bandwidth::from_mbit_per_s(mbps * f))
}

/// The plans that the policy of a plan makes for the same jobs at other bandwidths.
fn at_other_bandwidths(workload: &Workload, best: &Plan) -> Vec<Plan> {
    let uplinks = other_uplinks(workload);
    if chooses_cuts(best.policy) {
        let Some(mut free) = Replanner::new(workload, best.granularity) else {
            return Vec::new();
        };
        let own = with_local(workload, cuts_of(workload, best));
        let mut own = Replanner::of_cuts(workload, best.granularity, &own);
        let worth_loading = |uplink| {
            let free = free.replan(uplink)?;
            let own = own.as_mut().and_then(|own| Some(own.replan(uplink)?.makespan()));
            let least = |own: Time| own.nanoseconds() as f64 * (1.0 - OTHER_GAIN_MIN);
            let is_near = own.is_some_and(|own| least(own) <= free.makespan().nanoseconds() as f64);
            (!is_near).then(|| free.plan().1)
        };
        return uplinks.filter_map(worth_loading).collect();
    }
    let mut workload = workload.clone();
    let again = |uplink| {
        workload.set_uplink(uplink);
        plan(&workload, best.policy, &options_of(best)).ok()
    };
    uplinks.filter_map(again).collect()
}

/// How a plan was made, apart from the least gain.
fn options_of(plan: &Plan) -> PlanOptions {
    PlanOptions { objective: plan.objective, ..PlanOptions::raw(plan.granularity) }
}

/// Whether the device runs some jobs of a model, and all of these from the first layer to the last.
fn runs_in_one_piece(cuts: &[(ModelId, Partition)], model: ModelId) -> bool {
    let mut on_device = cuts.iter().filter(|(m, c)| *m == model && !c.device_layers.is_empty());
    let is_whole = |(_, cut): &(ModelId, Partition)| cut.uploads.is_empty();
    on_device.clone().next().is_some() && on_device.all(is_whole)
}

/// These cuts, and for each model the one that keeps everything on the device.
fn with_local(
    workload: &Workload,
    mut cuts: Vec<(ModelId, Partition)>,
) -> Vec<(ModelId, Partition)> {
    for (m, described) in workload.models().iter().enumerate() {
        let all = LayerSet::all(described);
        cuts.push((ModelId::at(m), Partition { device_layers: all, uploads: Vec::new() }));
    }
    cuts
}

/// Whether a policy chooses cuts and order together, among all cuts.
fn chooses_cuts(policy: Policy) -> bool {
    matches!(policy, Policy::Joint | Policy::Exhaustive)
}

/// Whether two cuts are the same, in whatever order their tensors are sent.
fn is_alike(a: &Partition, b: &Partition) -> bool {
    a.device_layers == b.device_layers
        && a.uploads.len() == b.uploads.len()
        && a.uploads.iter().all(|upload| b.uploads.contains(upload))
}

/// Whether a cut is among these.
pub(super) fn has_cut(cuts: &[(ModelId, Partition)], model: ModelId, cut: &Partition) -> bool {
    cuts.iter().any(|(m, known)| *m == model && is_alike(known, cut))
}

/// Adds a cut, unless it is there.
pub(super) fn add_cut(cuts: &mut Vec<(ModelId, Partition)>, model: ModelId, cut: &Partition) {
    if !has_cut(cuts, model, cut) {
        cuts.push((model, cut.clone()));
    }
}

/// The cuts that a plan takes, each once.
pub(super) fn cuts_of(workload: &Workload, plan: &Plan) -> Vec<(ModelId, Partition)> {
    let mut cuts = Vec::new();
    let taken = workload.jobs().iter().zip(&plan.partitions);
    taken.for_each(|(&model, cut)| add_cut(&mut cuts, model, cut));
    cuts
}

/// Plans the jobs that are left of a run whose jobs were all there from the start.
pub(super) struct JobsLeft {
    /// Its jobs and its link are those of the last plan.
    workload: Workload,
    policy: Policy,
    options: PlanOptions,
    cuts: Vec<(ModelId, Partition)>,
    loaded: Loaded,
}

impl JobsLeft {
    pub(super) fn new(workload: &Workload, plan: &Plan, prepared: &Prepared) -> JobsLeft {
        JobsLeft {
            workload: workload.clone(),
            policy: plan.policy,
            options: options_of(plan),
            cuts: with_local(workload, prepared.cuts.clone()),
            loaded: prepared.loaded.clone(),
        }
    }

    /// The plan for the jobs of the workload, its workload, and when the jobs are complete by it.
    fn plan_of_jobs(&mut self, standing: &Standing) -> Option<(Workload, Plan, Time)> {
        let policy = match standing.uplink {
            None => Policy::LocalOnly,
            Some(uplink) => {
                self.workload.set_uplink(uplink);
                self.policy
            }
        };
        if chooses_cuts(policy) {
            let uplink = self.workload.link().uplink;
            let granularity = self.options.granularity;
            let mut replanner = Replanner::of_cuts(&self.workload, granularity, &self.cuts)?;
            let present: Vec<&Partition> = standing.cuts.iter().map(|cut| &**cut).collect();
            let replan = replanner.replan_behind(uplink, standing.backlog, &present)?;
            let (workload, plan) = replan.plan();
            return Some((workload, plan, replan.makespan()));
        }
        let plan = plan(&self.workload, policy, &self.options).ok()?;
        let makespan = plan.makespan;
        Some((self.workload.clone(), plan, makespan))
    }
}

impl Planner for JobsLeft {
    fn plan(&mut self, jobs: &[(JobId, ModelId)], standing: &Standing) -> Result<Option<Planned>> {
        self.workload.set_jobs(jobs.iter().map(|(_, model)| *model));
        let Some((workload, plan, makespan)) = self.plan_of_jobs(standing) else { return Ok(None) };
        if let Some(violation) = check_plan(&workload, &plan).first() {
            log::error!("a new plan breaks a rule: {violation}");
            return Ok(None);
        }
        let Some(mut program) = self.loaded.program(&workload, &plan)? else { return Ok(None) };
        let ids: Vec<JobId> = jobs.iter().map(|(job, _)| *job).collect();
        program.renumber(&ids);
        Ok(Some(Planned { program, makespan }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::parse_workload;
    use cutpoint_plan::options::Granularity;

    /// Ten jobs of four layers, whose tensors shrink by half with each.
    fn workload(uplink_mbps: f64) -> Workload {
        let text = format!(
            r#"{{ "schema": "cutpoint.workload/1",
            "link": {{ "uplink_mbps": {uplink_mbps}, "rtt_ms": 1.0 }},
            "models": {{ "m": {{ "inputs": {{ "i": 40000 }}, "layers": [
                {{ "name": "a", "reads": ["i"], "writes": {{ "x": 20000 }}, "device_ms": 4 }},
                {{ "name": "b", "reads": ["x"], "writes": {{ "y": 10000 }}, "device_ms": 4 }},
                {{ "name": "c", "reads": ["y"], "writes": {{ "z": 5000 }}, "device_ms": 4 }},
                {{ "name": "d", "reads": ["z"], "writes": {{ "o": 10 }}, "device_ms": 4 }}
            ] }} }},
            "jobs": [ {{ "model": "m", "count": 10 }} ] }}"#
        );
        parse_workload(&text, "test").expect("a valid workload")
    }

    #[test]
    fn extra_cuts_are_added_only_for_bandwidths_whose_plans_need_them() {
        let options = PlanOptions::raw(Granularity::Layer);
        let mut loaded = 0;
        for mbps in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] {
            let workload = workload(mbps);
            let best = plan(&workload, Policy::Joint, &options).expect("it can be planned");
            let others = other_plans(&workload, &best);
            loaded += others.len();
            let mut cuts = with_local(&workload, cuts_of(&workload, &best));
            cuts.extend(others.iter().flat_map(|(workload, plan)| cuts_of(workload, plan)));
            for uplink in OTHER_BANDWIDTHS.map(|factor| Bandwidth::from_mbit_per_s(mbps * factor)) {
                let uplink = uplink.expect("positive");
                let makespan_of = |mut replanner: Replanner<'_>| {
                    replanner.replan(uplink).expect("it can be planned").makespan().milliseconds()
                };
                let free = Replanner::new(&workload, best.granularity).expect("there are cuts");
                let known = Replanner::of_cuts(&workload, best.granularity, &cuts);
                let known = makespan_of(known.expect("local is a cut"));
                let most = makespan_of(free) / (1.0 - OTHER_GAIN_MIN);
                assert!(known <= most * 1.000_001, "{mbps}, {uplink:?}: {known} of {most} ms");
            }
        }
        assert!(loaded > 0, "some cuts are worth loading");
    }

    #[test]
    fn a_model_that_the_device_runs_in_one_piece_is_not_divided() {
        let options = PlanOptions::raw(Granularity::Layer);
        let mut mixes = 0;
        for mbps in [0.1, 1.0, 8.0, 32.0] {
            let workload = workload(mbps);
            for policy in [Policy::LocalOnly, Policy::ScheduleOnly] {
                let whole = plan(&workload, policy, &options).expect("always possible");
                let is_offloaded = whole.partitions.iter().filter(|p| !p.uploads.is_empty());
                let offloaded = is_offloaded.count();
                mixes += usize::from(0 < offloaded && offloaded < whole.partitions.len());
                if offloaded == whole.partitions.len() {
                    continue;
                }
                let whole = Plan { policy: Policy::Joint, ..whole };
                for (_, other) in other_plans(&workload, &whole) {
                    assert!(other.partitions.iter().all(|p| p.device_layers.is_empty()), "{mbps}");
                }
            }
        }
        assert!(mixes > 0, "some plans share whole jobs out");
    }
}
