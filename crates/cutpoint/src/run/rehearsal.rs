//! What a run teaches about the next one: the times of the parts of models as they were when device,
//! link and server were all at work.
//!
//! Profiles are taken of one machine at a time. In a run the device's processor also sends, and in
//! trials on one machine the server computes beside the device; both take longer than alone. So a
//! few jobs are executed under the policy at hand, and layers are scaled to what they took.

use super::paced::{nested, scale};
use super::{RunOptions, Runner};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{OnDemand, Supply};
use crate::profile::median;
use crate::trace::Execution;
use cutpoint_plan::cut::LayerSet;
use cutpoint_plan::plan::{Operation, Partition, Plan, Policy, Upload, Work};
use cutpoint_plan::policy::{PlanOptions, plan};
use cutpoint_plan::simulate::{Decision, plan_of};
use cutpoint_plan::units::{TIME_MAX, Time};
use cutpoint_plan::workload::{JobId, LayerId, Model, ModelId, Workload};

/// Times on the server are scaled by at most this factor up or down.
const SERVER_SCALE_MAX: f64 = 4.0;

impl Runner {
    /// Plans a workload and executes some of its jobs as that plan has them, evenly chosen in its
    /// order and at most `most`; returns the workload with the layers scaled to what they took.
    ///
    /// `inputs` has those of each job of the workload.
    ///
    /// # Errors
    /// Those of planning, preparing and executing.
    pub fn rehearse(
        &self,
        workload: &Workload,
        most: usize,
        policy: Policy,
        options: &PlanOptions,
        inputs: &dyn Supply,
    ) -> Result<Workload> {
        let whole = plan(workload, policy, options)
            .map_err(|e| Error::new(ErrorKind::Workload, e.to_string()))?;
        let chosen = evenly_chosen(&in_order(&whole), most);
        let (few, plan) = excerpt(workload, &whole, &chosen);
        let inputs = OnDemand::new(chosen.len(), |number| inputs.inputs(chosen[number].index()));
        let mut prepared = self.prepare(&few, &plan)?;
        let how = RunOptions::default();
        let execution = self.execute(&mut prepared, &few, &inputs, &how, |_, _| ())?;
        Ok(Workload { jobs: workload.jobs.clone(), ..as_executed(few, &plan, &execution) })
    }
}

/// A plan's jobs in the order in which it begins them.
fn in_order(plan: &Plan) -> Vec<JobId> {
    let mut begins = vec![TIME_MAX; plan.partitions.len()];
    for operation in plan.schedule.device.iter().chain(&plan.schedule.uplink) {
        let begin = &mut begins[operation.job.index()];
        *begin = (*begin).min(operation.start);
    }
    let mut jobs: Vec<JobId> = (0..begins.len()).map(JobId::at).collect();
    jobs.sort_by_key(|j| begins[j.index()]);
    jobs
}

/// At most `most` of some jobs, from the first to the last: both ends of a plan have cuts of their
/// own.
fn evenly_chosen(jobs: &[JobId], most: usize) -> Vec<JobId> {
    let chosen = jobs.len().min(most);
    let steps = chosen.saturating_sub(1).max(1);
    (0..chosen).map(|k| jobs[k * (jobs.len() - 1) / steps]).collect()
}

/// Some jobs of a workload, each cut as in a plan for all, and in its order.
fn excerpt(workload: &Workload, plan: &Plan, jobs: &[JobId]) -> (Workload, Plan) {
    let number = |job: JobId| jobs.iter().position(|&j| j == job).map(JobId::at);
    let few = Workload {
        jobs: jobs.iter().map(|j| workload.jobs[j.index()]).collect(),
        ..workload.clone()
    };
    let device = plan.schedule.device.iter().filter_map(|o| Some((number(o.job)?, o.work)));
    let uplink = plan.schedule.uplink.iter().filter_map(|o| match o.work {
        Work::Transfer(tensor) => Some((number(o.job)?, tensor)),
        _ => None,
    });
    let decision = Decision {
        partitions: jobs.iter().map(|j| plan.partitions[j.index()].clone()).collect(),
        device: device.collect(),
        uplink: uplink.collect(),
        server: None,
        period: None,
    };
    let no_bound = |_| Time::ZERO;
    let (policy, granularity) = (plan.policy, plan.granularity);
    let plan = plan_of(&few, policy, granularity, plan.objective, decision, no_bound);
    (few, plan)
}

/// The workload with each layer's times scaled so that the parts of models that a run has executed
/// take what they took.
fn as_executed(mut workload: Workload, plan: &Plan, execution: &Execution) -> Workload {
    for m in 0..workload.models.len() {
        let of_model = |j: &usize| workload.jobs[*j] == ModelId::at(m);
        let jobs: Vec<usize> = (0..workload.jobs.len()).filter(of_model).collect();
        let device_ms = device_ms(&workload, m, &jobs, plan, execution);
        let server = server_scale(&workload, m, &jobs, plan, execution);
        for (layer, ms) in workload.models[m].layers.iter_mut().zip(device_ms) {
            layer.device = nanoseconds(ms * 1e6);
            layer.server = nanoseconds(layer.server.nanoseconds() as f64 * server);
        }
    }
    if let Some(overhead) = message_overhead(&workload, plan, execution) {
        workload.link.message_overhead = overhead;
    }
    workload
}

/// What a message took beyond its bytes at the link's bandwidth; `None` if nothing was sent.
fn message_overhead(workload: &Workload, plan: &Plan, execution: &Execution) -> Option<Time> {
    let beyond_ns = |o: &Operation| {
        let Work::Transfer(id) = o.work else { return None };
        let uploads = &plan.partitions[o.job.index()].uploads;
        let upload = uploads.iter().find(|upload| upload.tensor == id)?;
        let tensor = &workload.model_of(o.job).tensors[id.index()];
        let bytes = upload.encoding.map_or(tensor.bytes, |e| tensor.encodings[e].bytes);
        let foreseen = workload.link.uplink.transfer_time(bytes)?;
        let took = o.end.saturating_sub(o.start);
        Some(took.nanoseconds() as f64 - foreseen.nanoseconds() as f64)
    };
    let beyond: Vec<f64> = execution.schedule.uplink.iter().filter_map(beyond_ns).collect();
    (!beyond.is_empty()).then(|| nanoseconds(median(&beyond)))
}

/// The layers' times on the device.
fn device_ms(
    workload: &Workload,
    model: usize,
    jobs: &[usize],
    plan: &Plan,
    execution: &Execution,
) -> Vec<f64> {
    let layers = &workload.models[model].layers;
    let mut layers_ms: Vec<f64> = layers.iter().map(|l| l.device.milliseconds()).collect();
    let is_layer = |o: &Operation| matches!(o.work, Work::Layer(_));
    let mut parts: Vec<(LayerSet, Vec<f64>)> = Vec::new();
    for &j in jobs {
        let set = &plan.partitions[j].device_layers;
        if set.count() == 0 || execution.completions[j].is_none() || fell_back(execution, j) {
            continue;
        }
        let took = busy_ms(&execution.schedule.device, j, is_layer);
        match parts.iter_mut().find(|(known, _)| known == set) {
            Some((_, times)) => times.push(took),
            None => parts.push((set.clone(), vec![took])),
        }
    }
    parts.sort_by_key(|(_, times)| std::cmp::Reverse(times.len()));
    let chain = nested(parts.iter().map(|(set, _)| set.clone()));
    let mut measured_ms = Vec::with_capacity(chain.len() + 1);
    for set in &chain {
        let times = parts.iter().find(|(known, _)| known == set).map(|(_, times)| times);
        measured_ms.push(median(times.expect("the chain is made of them")));
    }
    let of = |set: &LayerSet| set.iter().map(|layer| layer.index()).collect::<Vec<usize>>();
    let Some(largest) = chain.last() else { return layers_ms };
    let largest_ms: f64 = of(largest).iter().map(|&l| layers_ms[l]).sum();
    if largest_ms <= 0.0 {
        return layers_ms;
    }
    if largest.count() < layers_ms.len() {
        let whole_ms: f64 = layers_ms.iter().sum();
        measured_ms.push(whole_ms * measured_ms[chain.len() - 1] / largest_ms);
    }
    let chain: Vec<Vec<usize>> = chain.iter().map(of).collect();
    scale(&mut layers_ms, &chain, &measured_ms);
    layers_ms
}

/// What the server took over what was foreseen.
fn server_scale(
    workload: &Workload,
    model: usize,
    jobs: &[usize],
    plan: &Plan,
    execution: &Execution,
) -> f64 {
    let Model { layers, tensors, .. } = &workload.models[model];
    let mut ratios: Vec<f64> = Vec::new();
    for &j in jobs {
        let Partition { device_layers, uploads } = &plan.partitions[j];
        let there = (0..layers.len()).filter(|&l| !device_layers.contains(LayerId::at(l)));
        let decode = |u: &Upload| Some(tensors[u.tensor.index()].encodings[u.encoding?].decode);
        let foreseen_ms: f64 = there
            .map(|l| layers[l].server)
            .chain(uploads.iter().filter_map(decode))
            .map(Time::milliseconds)
            .sum();
        let took_ms = busy_ms(&execution.schedule.server, j, |_| true);
        if foreseen_ms > 0.0 && took_ms > 0.0 && !fell_back(execution, j) {
            ratios.push(took_ms / foreseen_ms);
        }
    }
    if ratios.is_empty() {
        return 1.0;
    }
    median(&ratios).clamp(1.0 / SERVER_SCALE_MAX, SERVER_SCALE_MAX)
}

fn fell_back(execution: &Execution, job: usize) -> bool {
    execution.fallbacks.iter().any(|fallback| fallback.job == JobId::at(job))
}

/// How long a machine worked on a job.
fn busy_ms(operations: &[Operation], job: usize, counts: impl Fn(&Operation) -> bool) -> f64 {
    let of_job = operations.iter().filter(|o| o.job == JobId::at(job) && counts(o));
    of_job.map(|o| o.end.saturating_sub(o.start).milliseconds()).sum()
}

fn nanoseconds(value: f64) -> Time {
    Time::from_nanoseconds(value.max(0.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::parse_workload;
    use cutpoint_plan::check::check_plan;
    use cutpoint_plan::plan::Granularity;

    fn workload() -> Workload {
        let text = r#"{
            "schema": "cutpoint.workload/1",
            "link": { "uplink_mbps": 8.0, "rtt_ms": 1.0 },
            "models": { "m": { "inputs": { "i": 9000 }, "layers": [
                { "name": "a", "reads": ["i"], "writes": { "x": 5000 }, "device_ms": 4, "server_ms": 1 },
                { "name": "b", "reads": ["x"], "writes": { "y": 2000 }, "device_ms": 4, "server_ms": 1 },
                { "name": "c", "reads": ["y"], "writes": { "z": 10 }, "device_ms": 4, "server_ms": 1 }
            ] } },
            "jobs": [ { "model": "m", "count": 9 } ]
        }"#;
        parse_workload(text, "test").expect("a valid workload")
    }

    /// A run in which every operation of a machine took this much longer than planned.
    fn stretched(plan: &Plan, device: f64, server: f64) -> Execution {
        let stretch = |operations: &[Operation], factor: f64| -> Vec<Operation> {
            let longer = |o: &Operation| {
                let took = o.end.saturating_sub(o.start).nanoseconds() as f64;
                Operation { end: o.start + nanoseconds(took * factor), ..*o }
            };
            operations.iter().map(longer).collect()
        };
        let mut execution = Execution {
            schedule: plan.schedule.clone(),
            completions: vec![Some(Time::ZERO); plan.partitions.len()],
            ..Execution::default()
        };
        execution.schedule.device = stretch(&plan.schedule.device, device);
        execution.schedule.server = stretch(&plan.schedule.server, server);
        execution
    }

    #[test]
    fn a_run_as_planned_changes_nothing() {
        let workload = workload();
        for policy in [Policy::LocalOnly, Policy::ServerOnly, Policy::Joint] {
            let plan = plan(&workload, policy, &PlanOptions::at(Granularity::Layer))
                .expect("it can be planned");
            let again = as_executed(workload.clone(), &plan, &stretched(&plan, 1.0, 1.0));
            assert_eq!(again, workload, "{policy}");
        }
    }

    #[test]
    fn layers_take_what_the_run_took() {
        let workload = workload();
        let plan = plan(&workload, Policy::Joint, &PlanOptions::at(Granularity::Layer))
            .expect("it can be planned");
        let slower = as_executed(workload.clone(), &plan, &stretched(&plan, 1.25, 2.0));
        for (before, after) in workload.models[0].layers.iter().zip(&slower.models[0].layers) {
            assert_eq!(after.device, nanoseconds(before.device.nanoseconds() as f64 * 1.25));
            assert_eq!(after.server, nanoseconds(before.server.nanoseconds() as f64 * 2.0));
        }
    }

    #[test]
    fn messages_take_what_the_run_took_beyond_their_bytes() {
        let workload = workload();
        let plan = plan(&workload, Policy::ServerOnly, &PlanOptions::at(Granularity::Layer))
            .expect("it can be planned");
        let mut execution = stretched(&plan, 1.0, 1.0);
        let overhead = Time::from_nanoseconds(250_000);
        for operation in &mut execution.schedule.uplink {
            operation.end += overhead;
        }
        let again = as_executed(workload, &plan, &execution);
        assert_eq!(again.link.message_overhead, overhead);
    }

    #[test]
    fn jobs_are_chosen_from_the_first_to_the_last() {
        let jobs = |count: usize| (0..count).map(JobId::at).collect::<Vec<_>>();
        let numbers = |jobs: Vec<JobId>| jobs.iter().map(|j| j.0).collect::<Vec<_>>();
        assert_eq!(numbers(evenly_chosen(&jobs(3), 10)), [0, 1, 2]);
        assert_eq!(numbers(evenly_chosen(&jobs(30), 5)), [0, 7, 14, 21, 29]);
        assert_eq!(numbers(evenly_chosen(&jobs(30), 1)), [0]);
        assert_eq!(evenly_chosen(&[], 10), []);
    }

    #[test]
    fn an_excerpt_has_the_cuts_of_the_whole_plan() {
        let workload = workload();
        for granularity in [Granularity::Job, Granularity::Layer] {
            let whole = plan(&workload, Policy::Joint, &PlanOptions::at(granularity))
                .expect("it can be planned");
            let order = in_order(&whole);
            let all = excerpt(&workload, &whole, &order).1;
            assert_eq!(all.makespan, whole.makespan, "the whole plan is an excerpt of itself");
            let chosen = evenly_chosen(&order, 4);
            let (few, plan) = excerpt(&workload, &whole, &chosen);
            assert_eq!(check_plan(&few, &plan), []);
            for (partition, job) in plan.partitions.iter().zip(&chosen) {
                assert_eq!(*partition, whole.partitions[job.index()]);
            }
        }
    }
}
